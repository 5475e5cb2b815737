package activities

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// RemindInput names a transfer that expires before long.
type RemindInput struct {
	Transfer uuid.UUID
	Left     time.Duration // until expiry
}

// Remind tells who was offered the file and has not confirmed, and the sender.
// Safe to repeat: each reminder is told once.
func (a *Activities) Remind(ctx context.Context, in RemindInput) error {
	return Refusal(a.transfers.RemindOfTransfer(ctx, in.Transfer, in.Left))
}
