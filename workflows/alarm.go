package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/workflow"
)

// errContinue asks for a fresh history.
var errContinue = errors.New("the history is long")

// alarm is the one clock of a transfer. A timer that was set is never cancelled, because a life has
// several deadlines, each later than the one before, and most lives end before the first one rings:
// it rings, finds that it is not yet time, and is set again.
type alarm struct {
	at    time.Time // of the earliest timer that has not rung
	rings int
}

// wait blocks until the condition holds (true) or the time has come (false).
func (a *alarm) wait(ctx workflow.Context, until time.Time, what string, condition func() bool) (bool, error) {
	for !condition() {
		now := workflow.Now(ctx)
		if !now.Before(until) {
			return false, nil
		}
		if a.at.IsZero() || a.at.After(until) {
			a.set(ctx, until, now, what)
		}
		rings := a.rings
		if err := workflow.Await(ctx, func() bool { return condition() || a.rings > rings }); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (a *alarm) set(ctx workflow.Context, until, now time.Time, what string) {
	a.at = until
	timer := workflow.NewTimerWithOptions(ctx, until.Sub(now), workflow.TimerOptions{Summary: what})
	workflow.Go(ctx, func(ctx workflow.Context) {
		if timer.Get(ctx, nil) != nil {
			return // the workflow is being cancelled
		}
		if a.at.Equal(until) {
			a.at = time.Time{}
		}
		a.rings++
	})
}
