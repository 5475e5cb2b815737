package workflows

import (
	"math"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// QueueWebhooks is where what waits for endpoints of others waits, so that nothing of ours waits behind it.
const QueueWebhooks = "webhooks"

// What can be asked of a subscription. The names are part of every recorded history and must not change.
const (
	SignalWake     = "wake"
	UpdateSendTest = "send-test"
)

// Wake says that there may be events to push, or that the owner changed something.
type Wake struct{}

// SendTest asks for a test event with this id.
type SendTest struct{ Event uuid.UUID }

// How long pushes and tests may take.
const (
	pushLimit = 3 * time.Minute // of one attempt; it stops by itself after one
	pushBeat  = 10 * time.Second
	pushSpan  = 7 * 24 * time.Hour // of all attempts: longer than models.GiveUpAfter, which ends them before
	testLimit = 15 * time.Second
)

// patient is for what depends on endpoints of others: it is tried again until it ends by itself, at times that its
// errors name.
func patient(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: QueueWebhooks, StartToCloseTimeout: pushLimit, ScheduleToCloseTimeout: pushSpan, HeartbeatTimeout: pushBeat,
		WaitForCancellation: true, // two pushes at once would break the order
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, MaximumInterval: 30 * time.Second,
			MaximumAttempts: math.MaxInt32, // the test environment takes 0 for 10
		},
		Summary: summary,
	})
}

// once is for a single attempt that somebody waits for.
func once(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: QueueWebhooks, StartToCloseTimeout: testLimit, ScheduleToCloseTimeout: testLimit,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}, Summary: summary,
	})
}
