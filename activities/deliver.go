package activities

import (
	"context"

	"github.com/google/uuid"
)

// DeliverInput names verified content and the recipients it is for.
type DeliverInput struct {
	Transfer, Attempt uuid.UUID
	Group             int // 0: a transfer without delivery groups
}

// Deliver makes the file visible to the recipients of one group and writes their events; the first
// group publishes the transfer. Safe to repeat: who has it already is left alone.
func (a *Activities) Deliver(ctx context.Context, in DeliverInput) error {
	err := a.transfers.DeliverTransfer(ctx, in.Transfer, in.Attempt, in.Group)
	if err == nil {
		a.issue(ctx, in.Transfer)
	}
	return Refusal(err)
}
