// Package activities holds the side effects in the life of a transfer, one per file, in the order of
// that life: authorize, find upload, verify content, deliver, remind, record confirmation, record
// cancellation, record failure, purge, discard content. Each may run twice, and says why that does no harm.
//
// The ports below are all that activities need of the world; cmd/formidling connects them.
package activities

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// Transfers changes the rows of a transfer. Every method is one transaction and may be repeated.
type Transfers interface {
	AcceptTransfer(ctx context.Context, s models.Submission, runID string, uploadWindow time.Duration) (models.Acceptance, error)
	DeliverTransfer(ctx context.Context, transfer, attempt uuid.UUID, group int) error
	ConfirmTransfer(ctx context.Context, transfer uuid.UUID, party models.Party) (all bool, err error)
	CancelTransfer(ctx context.Context, transfer uuid.UUID) error
	FailTransfer(ctx context.Context, transfer uuid.UUID, text string) error
	PurgeTransfer(ctx context.Context, transfer uuid.UUID) error
	Reminders
	Discards
}

// Discards tells that content is gone.
type Discards interface {
	RecordDiscarded(ctx context.Context, transfer uuid.UUID) error
}

// Reminders tells who has not confirmed.
type Reminders interface {
	RemindOfTransfer(ctx context.Context, transfer uuid.UUID, left time.Duration) error
}

// Uploads reads the facts that the API appended about uploads.
type Uploads interface {
	Staged(ctx context.Context, transfer, attempt uuid.UUID) (models.Transfer, models.Content, error)
	UploadFacts(ctx context.Context, transfer uuid.UUID) (staged *uuid.UUID, runningUntil time.Time, err error)
}

// Contents is the object storage.
type Contents interface {
	Stat(ctx context.Context, key string) (models.StoredObject, error)
	DeleteAll(ctx context.Context, prefix string) error
}

// Receipts signs what the transactions of Transfers wrote down. A step that is done does not wait for it.
type Receipts interface {
	IssueOrLeave(ctx context.Context, transfer uuid.UUID)
	RecordRefusal(ctx context.Context, s models.Submission, runID string, refusal *models.Error) error
	Settle(ctx context.Context, patience time.Duration) error
}

// Log is the public log of all receipts.
type Log interface {
	SealFor(ctx context.Context, patience time.Duration) error
}

// Activities are registered by worker.Register; each exported method is one activity.
type Activities struct {
	transfers    Transfers
	uploads      Uploads
	contents     Contents
	uploadWindow time.Duration
	receipts     Receipts // nil: none are issued
	log          Log
}

// New connects the activities to their ports. uploadWindow is how long a sender has to upload.
func New(t Transfers, u Uploads, c Contents, uploadWindow time.Duration) *Activities {
	return &Activities{transfers: t, uploads: u, contents: c, uploadWindow: uploadWindow}
}

// WithReceipts returns activities of which every step issues the receipts of what it did. It is no method, because each of
// those is an activity.
func WithReceipts(a *Activities, r Receipts, l Log) *Activities {
	out := *a
	out.receipts, out.log = r, l
	return &out
}

// issue signs the receipts of a step. Also of one that is repeated after a crash, or was refused because another came
// first: what is signed already is left alone.
func (a *Activities) issue(ctx context.Context, transfer uuid.UUID) {
	if a.receipts != nil {
		a.receipts.IssueOrLeave(ctx, transfer)
	}
}
