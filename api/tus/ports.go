package tus

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// Resumables keeps the state of uploads whose bytes come in several requests.
type Resumables interface {
	OpenTus(ctx context.Context, u models.TusUpload) (models.TusUpload, error)
	JoinTus(ctx context.Context, u models.TusUpload) (models.TusUpload, error)
	TusOf(ctx context.Context, transfer uuid.UUID, part *uuid.UUID) (models.TusUpload, error)
	TusParts(ctx context.Context, transfer uuid.UUID) ([]models.TusUpload, error)
	SpentTusShares(ctx context.Context, transfer uuid.UUID) ([]uuid.UUID, error)
	EndTus(ctx context.Context, upload uuid.UUID) error
	RejectTus(ctx context.Context, upload uuid.UUID) error
	OpenedBefore(ctx context.Context, transfer uuid.UUID, sender models.Party, at time.Time) (bool, error)
	StaleTus(ctx context.Context, limit int) (expired, unfinished []models.TusUpload, err error)
	Writing
	Digests
}

// Writing adds to what is durable of an upload.
type Writing interface {
	ClaimTus(ctx context.Context, upload uuid.UUID, offset int64, length *int64) (epoch int64, err error)
	CommitTus(ctx context.Context, upload uuid.UUID, epoch int64, p models.TusProgress) error
	WatchTus(ctx context.Context, upload uuid.UUID, epoch int64) error
	ReleaseTus(ctx context.Context, upload uuid.UUID, epoch int64) error
	HoldTus(ctx context.Context, upload uuid.UUID, lease time.Duration) error
	LastTusSegment(ctx context.Context, upload uuid.UUID) ([]models.TusSegment, error)
	TusSegments(ctx context.Context, uploads ...uuid.UUID) ([]models.TusSegment, error)
	ForgetTusSegments(ctx context.Context, uploads ...uuid.UUID) error
}

// Digests keeps how far parts are hashed.
type Digests interface {
	HoldDigest(ctx context.Context, transfer uuid.UUID, lease time.Duration) (d models.TusDigest, held bool, err error)
	SaveDigest(ctx context.Context, d models.TusDigest, lease time.Duration) error
}

// Drafts is the object storage, of uploads whose bytes come in several requests.
type Drafts interface {
	Append(ctx context.Context, d models.TusDraft, body io.Reader, a models.TusAppend) error
	Assemble(ctx context.Context, a models.TusAssembly) (models.Content, error)
	Digest(ctx context.Context, segments []models.TusSegment, at int64, h models.HashState, save func(at int64, h models.HashState) error) error
}

// Staging makes durable bytes known to the transfer that they belong to.
type Staging interface {
	StageContent(ctx context.Context, transfer, attempt uuid.UUID, c models.Content, by models.Caller) error
	StagedAttempt(ctx context.Context, transfer uuid.UUID, idempotencyKey string) (*uuid.UUID, error)
}

// Transfers is the door to the workflow of a transfer.
type Transfers interface {
	ContentReceived(ctx context.Context, transfer, attempt uuid.UUID) (models.TransferStatus, error)
}

// Contents deletes what is stored under a prefix.
type Contents interface {
	DeleteAll(ctx context.Context, prefix string) error
}

// Rights answers who may do what now.
type Rights interface {
	CheckRight(ctx context.Context, resource string, q models.Question) error
}

// Sight reads a transfer as a caller may see it.
type Sight interface {
	Look(ctx context.Context, id uuid.UUID, by models.Caller) (models.TransferView, error)
}

// Proofs checks the sender's own signature for content that it declared, and keeps it.
type Proofs interface {
	SenderProof(ctx context.Context, v models.TransferView, by models.Caller, proof string) error
}

// Logins takes a token that has expired too, and then tells when it did.
type Logins interface {
	AuthenticateLate(r *http.Request) (caller models.Caller, expired time.Time, err error)
}
