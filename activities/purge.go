package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// PurgeInput names the transfer whose file goes.
type PurgeInput struct{ Transfer uuid.UUID }

// Purge marks the file as gone and then deletes its bytes, in this order, so that no download begins
// on bytes that are being deleted. Safe to repeat: marking twice changes nothing, and deleting what is
// absent is success.
func (a *Activities) Purge(ctx context.Context, in PurgeInput) (DiscardContentResult, error) {
	if err := a.transfers.PurgeTransfer(ctx, in.Transfer); err != nil {
		return DiscardContentResult{}, Refusal(err)
	}
	a.issue(ctx, in.Transfer)
	return a.DiscardContent(ctx, DiscardContentInput(in))
}

// DiscardContentInput names a transfer that needs no bytes any more.
type DiscardContentInput struct{ Transfer uuid.UUID }

// DiscardContentResult tells whether an upload may still leave something behind.
type DiscardContentResult struct{ RunningUntil time.Time } // zero when no upload runs

// DiscardContent deletes all that was ever stored for a transfer, leftovers of broken uploads included. Of a cancelled or
// failed transfer a receipt then tells so. Safe to repeat: deleting what is absent is success, and it is told once.
func (a *Activities) DiscardContent(ctx context.Context, in DiscardContentInput) (DiscardContentResult, error) {
	_, until, err := a.uploads.UploadFacts(ctx, in.Transfer)
	if err != nil {
		return DiscardContentResult{}, err
	}
	if err := a.contents.DeleteAll(ctx, models.TransferPrefix(in.Transfer)); err != nil {
		return DiscardContentResult{}, fmt.Errorf("discard content: %w", err)
	}
	if until.IsZero() {
		if err := a.transfers.RecordDiscarded(ctx, in.Transfer); err != nil && !IsRefusal(Refusal(err)) {
			return DiscardContentResult{}, err
		}
		a.issue(ctx, in.Transfer)
	}
	return DiscardContentResult{RunningUntil: until}, nil
}
