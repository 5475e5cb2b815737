package workflows

import (
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

// deliver publishes the accepted content to every recipient: itself up to models.GroupSize recipients,
// through delivery groups above.
func (t *transfer) deliver(ctx workflow.Context) error {
	err := t.deliverToAll(ctx)
	if activities.IsRefusal(err) { // the sender cancelled first
		if wait := t.adoptCancellation(ctx); wait != nil {
			return wait
		}
		return err
	} else if err != nil || t.state.Status.Ended() {
		return err
	}
	return t.enter(ctx, models.TransferPublished, "")
}

func (t *transfer) deliverToAll(ctx workflow.Context) error {
	groups := t.groups()
	if groups == 0 {
		return do(ctx, "deliver", a.Deliver, activities.DeliverInput{Transfer: t.sub.ID, Attempt: t.state.Attempt}, nil)
	}
	if err := t.startGroups(ctx, groups); err != nil {
		return err
	}
	err := workflow.Await(ctx, func() bool { return len(t.delivered) == groups || t.forestalled || t.state.Status.Ended() })
	if err == nil && t.forestalled {
		err = activities.Refusal(models.ErrAlreadyUploaded)
	}
	return err
}

func (t *transfer) groups() int { return models.Groups(t.state.Terms.Recipients) }

// startGroups starts the delivery groups. They outlive a continue-as-new of this workflow and get a
// signal when the transfer ends, so the parent's closing means nothing to them.
func (t *transfer) startGroups(ctx workflow.Context, groups int) error {
	starts := make([]workflow.Future, 0, groups)
	for n := 1; n <= groups; n++ {
		members := t.members(n)
		child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID:            GroupID(t.sub.ID, n),
			WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
			ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
			StaticSummary:         t.sub.ResourceID + ": a group of recipients",
			TypedSearchAttributes: groupAttributes(t.sub, members),
		})
		in := GroupInput{Transfer: t.sub.ID, Attempt: t.state.Attempt, Group: n, Size: len(members)}
		starts = append(starts, workflow.ExecuteChildWorkflow(child, DeliveryGroup, in).GetChildWorkflowExecution())
	}
	for _, start := range starts {
		if err := start.Get(ctx, nil); err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			return err
		}
	}
	return nil
}

func (t *transfer) members(group int) []models.Addressee {
	first := (group - 1) * models.GroupSize
	return t.sub.Recipients[first:min(first+models.GroupSize, len(t.sub.Recipients))]
}

// endGroups signals every delivery group that the transfer is over. A group that has ended needs no signal.
func (t *transfer) endGroups(ctx workflow.Context) {
	var sent []workflow.Future
	for n := 1; n <= t.groups() && t.state.Attempt != noAttempt; n++ {
		sent = append(sent, workflow.SignalExternalWorkflow(ctx, GroupID(t.sub.ID, n), "", SignalTransferEnded, GroupMessage{Group: n}))
	}
	for _, f := range sent {
		_ = f.Get(ctx, nil) // it fails for a group that has ended, which is what we want
	}
}
