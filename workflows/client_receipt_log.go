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
)

// ReceiptLogID is the id of the schedule that seals the log of receipts, and the beginning of the ids of its workflows.
const ReceiptLogID = "receipt-log"

// sealAnyway is how often the log is sealed without a trigger: it bounds what is left unsealed while no worker runs its
// Sealer.
const sealAnyway = 10 * time.Minute

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
