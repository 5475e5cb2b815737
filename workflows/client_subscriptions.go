package workflows

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/formidling/formidling/models"
)

// How long a caller waits for a subscription's workflow.
const (
	testWait = 20 * time.Second
	wakeWait = 5 * time.Second
)

// SubscriptionID is the workflow ID of a subscription.
func SubscriptionID(id int64) string { return fmt.Sprintf("subscription/%d", id) }

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
