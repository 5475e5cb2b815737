package activities

import (
	"context"
	"time"
)

// sealPatience is how long one step of sealing may take; what is left then is for the next.
const sealPatience = 1500 * time.Millisecond

// SealLogInput is empty: what is left to do stands in the database.
type SealLogInput struct{}

// SealLog makes receipts of facts that no transfer's workflow came to act on, signs what was left unsigned, adds all new
// receipts and the registry's audit heads to the log, and signs the log's state. Safe to repeat: each of these finds what
// is left to do.
func (a *Activities) SealLog(ctx context.Context, _ SealLogInput) error {
	if a.receipts == nil {
		return nil
	}
	if err := a.receipts.Settle(ctx, sealPatience); err != nil {
		return err
	}
	return a.log.SealFor(ctx, sealPatience)
}
