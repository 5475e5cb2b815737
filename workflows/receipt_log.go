package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
)

// SealReceipts is the one author of the log of receipts. It makes receipts of facts that no workflow acts on any more,
// adds what is new to the log and signs its state. A schedule runs it, never two at once.
func SealReceipts(ctx workflow.Context) error {
	return do(ctx, "seal log", a.SealLog, activities.SealLogInput{}, nil)
}

// ReceiptLogInput says how often ReceiptLog sealed.
type ReceiptLogInput struct{ Every time.Duration }

// sealsPerRun kept one history short; then the workflow went on in a fresh one.
const sealsPerRun = 500

// ReceiptLog sealed the log before there was a schedule. One that an earlier program started ends itself in its next round.
func ReceiptLog(ctx workflow.Context, in ReceiptLogInput) error {
	for round := range sealsPerRun {
		if sealedBySchedule(ctx, round) {
			return nil
		}
		if err := do(ctx, "seal log", a.SealLog, activities.SealLogInput{}, nil); err != nil {
			return err
		}
		if err := workflow.Sleep(ctx, in.Every); err != nil {
			return err
		}
	}
	return workflow.NewContinueAsNewError(ctx, ReceiptLog, in)
}
