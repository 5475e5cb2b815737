package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
)

// SealReceipts is the one author of the log of receipts. It makes receipts of facts that no workflow acts on any more,
// adds what is new to the log and signs its state. A schedule runs it, never two at once.
func SealReceipts(ctx workflow.Context) error {
	return do(ctx, "seal log", a.SealLog, activities.SealLogInput{}, nil)
}
