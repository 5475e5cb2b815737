package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// Authenticator knows who a request is from; its errors wrap models.ErrUnauthenticated.
type Authenticator interface {
	Authenticate(r *http.Request) (models.Caller, error)
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
	EndAccess(ctx context.Context, access uuid.UUID, sent int64) error
}

// Services keeps service owners, their services and who may use them.
type Services interface {
	InsertServiceOwner(ctx context.Context, by models.Caller, name string) error
	ServiceOwner(ctx context.Context, organisation models.Party) (models.ServiceOwner, error)
	PutResource(ctx context.Context, by models.Caller, id string, patch models.ResourcePatch, cond models.Condition) (models.Resource, error)
	ResourceByID(ctx context.Context, id string) (models.Resource, error)
}

// Rights answers who may do what now.
type Rights interface {
	CheckCaller(ctx context.Context, by models.Caller) error
	Permit(ctx context.Context, resource string, q models.Question) error
	RightsOf(ctx context.Context, resource string, organisation models.Party) (send, receive bool, err error)
}

// Grants is administered by service owners.
type Grants interface {
	PutGrant(ctx context.Context, by models.Caller, g models.Grant, cond models.Condition) (models.Grant, error)
	DeleteGrant(ctx context.Context, by models.Caller, resource string, organisation models.Party, cond models.Condition) error
	Grants(ctx context.Context, owner models.Party, resource string, after models.Party, limit int) ([]models.Grant, error)
}

// Contents is the object storage.
type Contents interface {
	Put(ctx context.Context, key string, body io.Reader, limit int64) (models.Content, error)
	Open(ctx context.Context, c models.Content, offset, length int64) (io.ReadCloser, error)
	DeleteAll(ctx context.Context, prefix string) error
	Ready(ctx context.Context) error
}
