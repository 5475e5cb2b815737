package apitest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/objects"
	"github.com/formidling/formidling/store"
)

// Workflows stands for the workflows: it runs the same activities, in the same order, at once.
type Workflows struct {
	*store.Store
	acts *activities.Activities
	objs objects.Store

	mu     sync.Mutex
	down   error // what every call answers while it is set
	Silent bool  // content-received is left with Temporal, as when no worker answers
	Forgot bool  // the workflow knows of no publication, until it is offered content again
}

func (d *Workflows) failing() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.down
}

// SetDown has every call answer with an error, until it is nil.
func (d *Workflows) SetDown(down error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

// Ready implements api.Transfers.
func (d *Workflows) Ready(context.Context) error { return d.failing() }

// Initialize implements api.Transfers.
func (d *Workflows) Initialize(ctx context.Context, s models.Submission) (bool, error) {
	if err := d.failing(); err != nil {
		return false, err
	}
	a, err := d.AcceptTransfer(ctx, s, uuid.NewString(), 24*time.Hour)
	return a.Duplicate, err
}

// ContentReceived implements api.Transfers.
func (d *Workflows) ContentReceived(ctx context.Context, transfer, attempt uuid.UUID) (models.TransferStatus, error) {
	if err := d.failing(); err != nil {
		return 0, err
	}
	if d.Silent {
		return models.TransferUploadProcessing, nil
	}
	d.Forgot = false
	v, err := d.acts.VerifyContent(ctx, activities.VerifyContentInput{Transfer: transfer, Attempt: attempt})
	if err != nil {
		return 0, err
	}
	if v.Fault != "" {
		err := errors.Join(d.FailTransfer(ctx, transfer, v.Fault), d.objs.DeleteAll(ctx, models.TransferPrefix(transfer)))
		if err == nil {
			err = models.ErrChecksumMismatch
		}
		return 0, err
	}
	return models.TransferPublished, d.DeliverTransfer(ctx, transfer, attempt, 0)
}

// Confirm implements api.Transfers.
func (d *Workflows) Confirm(ctx context.Context, transfer uuid.UUID, _ int, p models.Party) error {
	if err := d.failing(); err != nil {
		return err
	}
	if d.Forgot {
		return models.ErrNotPublished
	}
	_, err := d.ConfirmTransfer(ctx, transfer, p)
	return err
}

// Cancel implements api.Transfers.
func (d *Workflows) Cancel(ctx context.Context, transfer uuid.UUID) error {
	if err := d.failing(); err != nil {
		return err
	}
	return d.CancelTransfer(ctx, transfer)
}
