package activities

import (
	"context"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// RecordConfirmationInput names a recipient that has the file.
type RecordConfirmationInput struct {
	Transfer uuid.UUID
	Party    models.Party
}

// RecordConfirmationResult tells whether all recipients have confirmed now.
type RecordConfirmationResult struct{ All bool }

// RecordConfirmation records that a recipient has the file.
// Safe to repeat: a confirmation counts once.
func (a *Activities) RecordConfirmation(ctx context.Context, in RecordConfirmationInput) (RecordConfirmationResult, error) {
	all, err := a.transfers.ConfirmTransfer(ctx, in.Transfer, in.Party)
	if err == nil {
		a.issue(ctx, in.Transfer)
	}
	return RecordConfirmationResult{all}, Refusal(err)
}
