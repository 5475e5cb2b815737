package activities

import (
	"context"

	"github.com/google/uuid"
)

// RecordCancellationInput names the transfer that its sender takes back.
type RecordCancellationInput struct{ Transfer uuid.UUID }

// RecordCancellation ends the transfer, or refuses when a download came first.
// Safe to repeat: a cancelled transfer is left as it is.
func (a *Activities) RecordCancellation(ctx context.Context, in RecordCancellationInput) error {
	err := a.transfers.CancelTransfer(ctx, in.Transfer)
	if err == nil {
		a.issue(ctx, in.Transfer)
	}
	return Refusal(err)
}
