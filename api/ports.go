package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
)

// Authenticator knows who a request is from; its errors wrap models.ErrUnauthenticated.
type Authenticator interface {
	Authenticate(r *http.Request) (models.Caller, error)
	// AuthenticateLate takes a token that has expired too, and then tells when it did.
	AuthenticateLate(r *http.Request) (caller models.Caller, expired time.Time, err error)
}

// Tokens is the token endpoint.
type Tokens interface {
	Exchange(ctx context.Context, r identity.TokenRequest) (identity.TokenAnswer, error) // what the client did wrong is an *identity.TokenError
	KeySet() jose.JSONWebKeySet
	Metadata() identity.Metadata
}

// Transfers is the door to the workflows, which alone change transfers.
type Transfers interface {
	Initialize(ctx context.Context, s models.Submission) (duplicate bool, err error)
	ContentReceived(ctx context.Context, transfer, attempt uuid.UUID) (models.TransferStatus, error)
	Confirm(ctx context.Context, transfer uuid.UUID, group int, party models.Party) error
	Cancel(ctx context.Context, transfer uuid.UUID) error
	Ready(ctx context.Context) error
}

// Views reads transfers as a party may see them.
type Views interface {
	TransferFor(ctx context.Context, id uuid.UUID, viewer models.Party) (models.TransferView, error)
	TransferDetails(ctx context.Context, id uuid.UUID, viewer models.Party) (models.TransferView, error)
	SearchTransfers(ctx context.Context, q models.Search) (models.SearchPage, error)
	Ready(ctx context.Context) error
}

// Uploads appends facts about uploads.
type Uploads interface {
	BeginUpload(ctx context.Context, a models.UploadAttempt, lease time.Duration) error
	AdoptUpload(ctx context.Context, attempt, transfer uuid.UUID) error
	RenewLease(ctx context.Context, attempt uuid.UUID, lease time.Duration) error
	EndUpload(ctx context.Context, attempt uuid.UUID) error
	StageContent(ctx context.Context, transfer, attempt uuid.UUID, c models.Content, by models.Caller) error
	StagedAttempt(ctx context.Context, transfer uuid.UUID, idempotencyKey string) (*uuid.UUID, error)
}

// Downloads appends facts about downloads.
type Downloads interface {
	BeginAccess(ctx context.Context, transfer uuid.UUID, by models.Caller, first, length int64) (uuid.UUID, error)
	NoteAccess(ctx context.Context, access uuid.UUID, sent int64) error
	EndAccess(ctx context.Context, access uuid.UUID, sent int64) error
}

// Rights answers who may do what now.
type Rights interface {
	CheckCaller(ctx context.Context, by models.Caller) error
	CheckRight(ctx context.Context, resource string, q models.Question) error
	LookAs(ctx context.Context, resource string, by models.Caller) ([]models.Role, error)
	RightsOf(ctx context.Context, resource string, organisation models.Party) (send, receive bool, err error)
}

// Contents is the object storage.
type Contents interface {
	Put(ctx context.Context, key string, body io.Reader, limit int64, without ...models.Hash) (models.Content, error)
	Open(ctx context.Context, c models.Content, offset, length int64) (io.ReadCloser, error)
	DeleteAll(ctx context.Context, prefix string) error
	Ready(ctx context.Context) error
}
