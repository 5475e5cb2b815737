package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/workflow"
)

// errContinue asks for a fresh history.
var errContinue = errors.New("the history is long")

// deadlineTimer is the one timer of a transfer, for all its deadlines. A timer that was started is never cancelled,
// because each deadline is later than the one before and most lives end before the first: it fires, finds that it is
// early, and another one is started. So a deadline that never comes costs no event.
type deadlineTimer struct {
	at    time.Time // of the earliest timer that has not fired
	fired int
}

// wait blocks until the condition holds (true) or the deadline has come (false).
func (d *deadlineTimer) wait(ctx workflow.Context, until time.Time, what string, condition func() bool) (bool, error) {
	for !condition() {
		now := workflow.Now(ctx)
		if !now.Before(until) {
			return false, nil
		}
		if d.at.IsZero() || d.at.After(until) {
			d.start(ctx, until, now, what)
		}
		fired := d.fired
		if err := workflow.Await(ctx, func() bool { return condition() || d.fired > fired }); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (d *deadlineTimer) start(ctx workflow.Context, until, now time.Time, what string) {
	d.at = until
	timer := workflow.NewTimerWithOptions(ctx, until.Sub(now), workflow.TimerOptions{Summary: what})
	workflow.Go(ctx, func(ctx workflow.Context) {
		if timer.Get(ctx, nil) != nil {
			return // the workflow is being cancelled
		}
		if d.at.Equal(until) {
			d.at = time.Time{}
		}
		d.fired++
	})
}
