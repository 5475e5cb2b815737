package tus

import (
	"context"
	"errors"
	"time"

	"github.com/formidling/formidling/models"
)

// CollectTus gives up uploads that expired, with their bytes, and publishes those that were complete when their process
// ended. Safe to run in every replica.
func (t *Handler) CollectTus(ctx context.Context) error {
	const batch = 100
	expired, unfinished, err := t.Resumables.StaleTus(ctx, batch)
	errs := []error{err}
	for _, u := range expired {
		err := t.Resumables.RejectTus(ctx, u.ID)
		if err == nil {
			t.drop(ctx, models.TusUpload{ID: u.ID, TransferID: u.TransferID})
		}
		errs = append(errs, err)
	}
	for _, u := range unfinished {
		t.publishing.DoChan(u.ID.String(), func() (any, error) { // hashing may take minutes, and others wait to be collected
			return nil, t.collectWhole(context.WithoutCancel(ctx), u)
		})
	}
	return errors.Join(errs...)
}

// collectWhole publishes an upload that is complete, and gives it up when that has been failing for long.
func (t *Handler) collectWhole(ctx context.Context, u models.TusUpload) error {
	// Next time it is the turn of others first. The lease is short, as the transfer's deadline waits for it.
	err := t.Resumables.HoldTus(ctx, u.ID, time.Second)
	if err == nil {
		err = t.publish(ctx, u, u.OpenedBy)
	}
	if err == nil {
		return nil
	}
	t.Log.WarnContext(ctx, "complete upload not published yet", "upload", u.ID, "error", err.Error())
	if hopeless(err) && t.Now().Sub(*u.Completed) > models.TusLife {
		t.reject(ctx, u)
	}
	return err
}

// hopeless tells that an error will not pass by waiting: neither the database, the storage nor Temporal is away.
func hopeless(err error) bool {
	e, known := models.AsError(err)
	return (!known || !e.Retryable()) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}
