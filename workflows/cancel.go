package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

// acceptOperatorCancellation treats a cancellation of the workflow itself, which the Temporal UI offers, as
// one by the sender: the transfer ends in good order, or lives on when it can no longer be cancelled. It
// returns the context of the life, which nothing cancels.
func (t *transfer) acceptOperatorCancellation(ctx workflow.Context) workflow.Context {
	life := ofLife(ctx)
	workflow.Go(life, func(life workflow.Context) {
		if ctx.Done().Receive(life, nil); ctx.Err() != nil && t.mayCancel(Cancel{}) == nil {
			_ = t.cancel(life, Cancel{}) // refused: it goes on
		}
	})
	return life
}

// mayCancel refuses when no transition leads to Cancelled any more.
func (t *transfer) mayCancel(Cancel) error {
	if t.refusal != nil {
		return activities.Refusal(models.ErrNotCancellable)
	}
	return activities.Refusal(models.MayCancel(t.state.Status, false)) // whether somebody downloaded, the store knows
}

// cancel ends the transfer, unless a download has begun. The database decides between this and
// everything that happens at the same moment.
func (t *transfer) cancel(ctx workflow.Context, _ Cancel) error {
	ctx = ofLife(ctx)
	if err := workflow.Await(ctx, func() bool { return t.decided }); err != nil {
		return err
	}
	err := do(ctx, "record cancellation", a.RecordCancellation, activities.RecordCancellationInput{Transfer: t.sub.ID}, nil)
	if err != nil || t.state.Status.Ended() {
		return err
	}
	return t.enter(ctx, models.TransferCancelled, "")
}

// adoptCancellation enters a cancellation that the database recorded before the step at hand. The update may be
// under way here, or Temporal and the worker may have lost it by dying together: no history holds an update
// before its first workflow task is done. Recording it again tells the two apart.
func (t *transfer) adoptCancellation(ctx workflow.Context) error {
	if t.state.Status.Ended() {
		return nil
	}
	return t.cancel(ctx, Cancel{})
}
