package activities

import (
	"context"

	"github.com/google/uuid"
)

// RecordFailureInput says why a transfer failed, in words its parties may read.
type RecordFailureInput struct {
	Transfer uuid.UUID
	Text     string
}

// RecordFailure ends the transfer as failed.
// Safe to repeat: a failed transfer is left as it is.
func (a *Activities) RecordFailure(ctx context.Context, in RecordFailureInput) error {
	err := a.transfers.FailTransfer(ctx, in.Transfer, in.Text)
	if err == nil {
		a.issue(ctx, in.Transfer)
	}
	return Refusal(err)
}
