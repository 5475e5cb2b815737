package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
)

// quick is for database steps of a few milliseconds, run as local activities: one event each.
func quick(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout:    5 * time.Second,
		ScheduleToCloseTimeout: 7 * time.Second,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, MaximumInterval: time.Second},
		Summary:                summary,
	})
}

// durable is for the same steps while something they need is down: tried until it works, and seen by
// operators as pending with the cause.
func durable(ctx workflow.Context, summary, queue string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, MaximumInterval: 30 * time.Second},
		Summary:             summary,
	})
}

// do runs a short activity: as a local one, or durably when that did not succeed within seconds.
// A refusal is an answer and ends the trying.
func do(ctx workflow.Context, summary string, activity, in, out any) error {
	return doOn(ctx, QueueTransfers, summary, activity, in, out)
}

// doOn is do with the task queue of the durable attempt.
func doOn(ctx workflow.Context, queue, summary string, activity, in, out any) error {
	err := workflow.ExecuteLocalActivity(quick(ctx, summary), activity, in).Get(ctx, out)
	if err == nil || activities.IsRefusal(err) || temporal.IsCanceledError(err) {
		return err
	}
	return workflow.ExecuteActivity(durable(ctx, summary, queue), activity, in).Get(ctx, out)
}
