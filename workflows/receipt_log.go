package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
)

// ReceiptLogID is the id of the schedule that seals the log of receipts, and begins those of its workflows. It also was
// the workflow ID of ReceiptLog.
const ReceiptLogID = "receipt-log"

// sealAnyway is how often the log is sealed though nobody rang for it: what workers see to, this finds without them.
const sealAnyway = 10 * time.Minute

// SealReceipts is the one author of the log, and the heir of transfers that have ended: it makes receipts of the facts that
// nobody came to act on, adds what is new to the log and signs its state. A schedule runs it, never two at once.
func SealReceipts(ctx workflow.Context) error {
	return do(ctx, "seal log", a.SealLog, activities.SealLogInput{}, nil)
}

// KeepReceiptLog makes the schedule that runs SealReceipts, or makes it what this program wants it to be. Every worker
// calls it when it starts. Whether an operator paused it, stays as it is.
func (c *Client) KeepReceiptLog(ctx context.Context) error {
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: sealAnyway}}}
	action := &client.ScheduleWorkflowAction{
		ID: ReceiptLogID + "-seal", Workflow: SealReceipts, TaskQueue: QueueTransfers, StaticSummary: "seals the log of receipts",
	}
	_, err := c.temporal.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: ReceiptLogID, Spec: spec, Action: action, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: time.Minute,
		TriggerImmediately: true,
	})
	if err == nil {
		return nil
	}
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return fmt.Errorf("make schedule of receipt log: %w", err)
	}
	err = c.temporal.ScheduleClient().GetHandle(ctx, ReceiptLogID).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			s := in.Description.Schedule
			s.Spec, s.Action = &spec, action
			s.Policy = &client.SchedulePolicies{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: time.Minute}
			return &client.ScheduleUpdate{Schedule: &s}, nil
		},
	})
	if err != nil {
		return fmt.Errorf("update schedule of receipt log: %w", err)
	}
	return nil
}

// SealReceiptLog has the schedule run now, unless a run is under way. A schedule that somebody deleted is made again.
func (c *Client) SealReceiptLog(ctx context.Context) error {
	err := c.temporal.ScheduleClient().GetHandle(ctx, ReceiptLogID).Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP})
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return c.KeepReceiptLog(ctx)
	}
	if err != nil {
		return fmt.Errorf("run schedule of receipt log: %w", err)
	}
	return nil
}

// ReceiptLogInput says how often ReceiptLog sealed.
type ReceiptLogInput struct{ Every time.Duration }

// sealsPerRun kept one history short; then the workflow went on in a fresh one.
const sealsPerRun = 500

// ReceiptLog sealed the log before there was a schedule. One that an earlier program started ends itself in its next round.
func ReceiptLog(ctx workflow.Context, in ReceiptLogInput) error {
	for round := range sealsPerRun {
		if sealedBySchedule(ctx, round) {
			return nil
		}
		if err := do(ctx, "seal log", a.SealLog, activities.SealLogInput{}, nil); err != nil {
			return err
		}
		if err := workflow.Sleep(ctx, in.Every); err != nil {
			return err
		}
	}
	return workflow.NewContinueAsNewError(ctx, ReceiptLog, in)
}
