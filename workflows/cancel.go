package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

// heedOperators takes a cancellation of the workflow itself, as the Temporal UI offers it, for the
// sender's wish: the transfer ends in good order, or lives on when it can no longer be cancelled. The
// context it returns is the life's, which nothing cancels.
func (t *transfer) heedOperators(ctx workflow.Context) workflow.Context {
	life, _ := workflow.NewDisconnectedContext(ctx)
	workflow.Go(life, func(life workflow.Context) {
		if ctx.Done().Receive(life, nil); ctx.Err() != nil && t.mayCancel(Cancel{}) == nil {
			_ = t.cancel(life, Cancel{}) // refused: it goes on
		}
	})
	return life
}

// mayCancel refuses when the table of moves has no way to Cancelled any more.
func (t *transfer) mayCancel(Cancel) error {
	if t.refusal != nil {
		return activities.Refusal(models.ErrNotCancellable)
	}
	return activities.Refusal(models.MayCancel(t.state.Status, false)) // whether somebody downloaded, the store knows
}

// cancel ends the transfer, unless a download has begun. The database decides between this and
// everything that happens at the same moment.
func (t *transfer) cancel(ctx workflow.Context, _ Cancel) error {
	if err := workflow.Await(ctx, func() bool { return t.decided }); err != nil {
		return err
	}
	err := do(ctx, "record cancellation", a.RecordCancellation, activities.RecordCancellationInput{Transfer: t.sub.ID}, nil)
	if err != nil || t.state.Status.Ended() {
		return err
	}
	return t.enter(ctx, models.TransferCancelled, "")
}
