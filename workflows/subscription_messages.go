package workflows

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/models"
)

// QueueWebhooks is where what waits for endpoints of others waits, so that nothing of ours waits behind it.
const QueueWebhooks = "webhooks"

// What can be asked of a subscription. The names are part of every recorded history and must not change.
const (
	SignalWake     = "wake"
	UpdateSendTest = "send-test"
)

// Wake says that there may be something to tell, or that the owner changed something.
type Wake struct{}

// SendTest asks for a test event with this id.
type SendTest struct{ Event uuid.UUID }

// SubscriptionID is the workflow ID of a subscription.
func SubscriptionID(id int64) string { return fmt.Sprintf("subscription/%d", id) }

// How long pushes and tests may take.
const (
	pushLimit = 3 * time.Minute // of one attempt; it stops by itself after one
	pushBeat  = 10 * time.Second
	pushSpan  = 7 * 24 * time.Hour // of all attempts: longer than models.GiveUpAfter, which ends them before
	testLimit = 15 * time.Second
	testWait  = 20 * time.Second
	wakeWait  = 5 * time.Second
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

// WakeSubscription lets a subscription's workflow look what there is to do; one that does not run is started.
func (c *Client) WakeSubscription(ctx context.Context, id int64) error {
	ctx, cancel := context.WithTimeout(ctx, wakeWait)
	defer cancel()
	_, err := c.temporal.SignalWithStartWorkflow(ctx, SubscriptionID(id), SignalWake, Wake{}, subscriptionOptions(id), Subscription, SubscriptionInput{ID: id})
	return answer("wake subscription", err, models.ErrUnavailable)
}

// TestSubscription sends a test event to a subscription's endpoint and returns how that went.
func (c *Client) TestSubscription(ctx context.Context, id int64, event uuid.UUID) (models.TestResult, error) {
	ctx, cancel := context.WithTimeout(ctx, testWait)
	defer cancel()
	o := subscriptionOptions(id)
	start := c.temporal.NewWithStartWorkflowOperation(o, Subscription, SubscriptionInput{ID: id})
	handle, err := c.temporal.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: start,
		UpdateOptions: client.UpdateWorkflowOptions{
			WorkflowID: o.ID, UpdateID: event.String(), UpdateName: UpdateSendTest,
			Args: []any{SendTest{Event: event}}, WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	var out models.TestResult
	if err == nil {
		err = handle.Get(ctx, &out)
	}
	return out, answer("test subscription", err, models.ErrSubscriptionNotFound)
}

func subscriptionOptions(id int64) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: SubscriptionID(id), TaskQueue: QueueTransfers,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:            "Webhooks of a subscription",
		Priority:                 temporal.Priority{FairnessKey: SubscriptionID(id)},
	}
}
