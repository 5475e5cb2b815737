package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

// mayCancel refuses when the table of moves has no way to Cancelled any more.
func (t *transfer) mayCancel(Cancel) error {
	if t.refusal != nil || !models.MayMove(t.state.Status, models.TransferCancelled) {
		return activities.Refusal(models.ErrNotCancellable)
	}
	return nil
}

// cancel ends the transfer, unless a download has begun. The database decides between this and
// everything that happens at the same moment.
func (t *transfer) cancel(ctx workflow.Context, _ Cancel) error {
	if err := workflow.Await(ctx, func() bool { return t.decided }); err != nil {
		return err
	}
	err := do(ctx, "record cancellation", a.RecordCancellation, activities.RecordCancellationInput{Transfer: t.sub.ID}, nil)
	if err != nil {
		return err
	}
	return t.enter(ctx, models.TransferCancelled, "")
}
