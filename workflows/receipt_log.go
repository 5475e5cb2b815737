package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
)

// ReceiptLogID is the workflow ID of the one ReceiptLog of an installation.
const ReceiptLogID = "receipt-log"

// ReceiptLogInput says how often the log is sealed.
type ReceiptLogInput struct{ Every time.Duration }

// sealsPerRun keeps one history short; then the workflow goes on in a fresh one.
const sealsPerRun = 500

// ReceiptLog is the one author of the log, and the heir of transfers that have ended: from time to time it makes receipts
// of the facts that nobody came to act on, adds what is new to the log and signs its state. It never ends.
func ReceiptLog(ctx workflow.Context, in ReceiptLogInput) error {
	for range sealsPerRun {
		if err := do(ctx, "seal log", a.SealLog, activities.SealLogInput{}, nil); err != nil {
			return err
		}
		if err := workflow.Sleep(ctx, in.Every); err != nil {
			return err
		}
	}
	return workflow.NewContinueAsNewError(ctx, ReceiptLog, in)
}

// KeepReceiptLog starts the log's workflow unless it runs. Every worker may call it. One that runs with another
// interval is told by ending it and starting anew: nothing is lost, because it remembers nothing.
func (c *Client) KeepReceiptLog(ctx context.Context, every time.Duration) error {
	_, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: ReceiptLogID, TaskQueue: QueueTransfers, StaticSummary: "seals the log of receipts",
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	}, ReceiptLog, ReceiptLogInput{Every: every})
	var running *serviceerror.WorkflowExecutionAlreadyStarted
	if err != nil && !errors.As(err, &running) {
		return fmt.Errorf("keep receipt log: %w", err)
	}
	return nil
}
