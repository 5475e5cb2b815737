package workflows

import (
	"slices"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

// awaitContent waits until an upload's content is accepted, refused, or too late.
func (t *transfer) awaitContent(ctx workflow.Context) error {
	deadline := t.state.Terms.UploadDeadline
	for t.state.Status == models.TransferInitialized {
		offered, err := t.alarm.wait(ctx, deadline, "upload deadline", func() bool {
			return len(t.offers) > 0 || t.state.Status != models.TransferInitialized
		})
		if err != nil {
			return err
		}
		switch {
		case t.state.Status != models.TransferInitialized: // cancelled
		case offered:
			err = t.take(ctx, t.offers[0])
		default:
			var found activities.FindUploadResult
			if err = do(ctx, "look for an upload", a.FindUpload, activities.FindUploadInput{Transfer: t.sub.ID}, &found); err != nil {
				return err
			}
			switch {
			case found.Staged != nil && t.offer(*found.Staged):
			case found.RunningUntil.After(workflow.Now(ctx)) && workflow.Now(ctx).Before(t.state.Terms.Expires):
				deadline = found.RunningUntil // who is uploading may finish, but not outlive the transfer
			default:
				err = t.fail(ctx, models.FaultNoUpload)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// offer puts an attempt in line for a verdict, once.
func (t *transfer) offer(attempt uuid.UUID) bool {
	if _, known := t.verdicts[attempt]; known || slices.Contains(t.offers, attempt) {
		return false
	}
	t.offers = append(t.offers, attempt)
	return true
}

// take verifies the content of an attempt and delivers it, or fails the transfer.
func (t *transfer) take(ctx workflow.Context, attempt uuid.UUID) error {
	err := t.judge(ctx, attempt)
	if err != nil && !activities.IsRefusal(err) {
		return err
	}
	t.verdicts[attempt] = activities.FromTemporal(err)
	t.offers = slices.DeleteFunc(t.offers, func(o uuid.UUID) bool { return o == attempt })
	if t.state.Status == models.TransferInitialized {
		return nil // there was no such content; go on waiting
	}
	for _, late := range t.offers {
		t.verdicts[late] = models.ErrAlreadyUploaded
	}
	t.offers = nil
	return nil
}

func (t *transfer) judge(ctx workflow.Context, attempt uuid.UUID) error {
	var found activities.VerifyContentResult
	err := do(ctx, "verify checksum and size", a.VerifyContent, activities.VerifyContentInput{Transfer: t.sub.ID, Attempt: attempt}, &found)
	if err != nil {
		return err
	}
	if found.Fault != "" {
		if err := t.fail(ctx, found.Fault); err != nil {
			return err
		}
		return activities.Refusal(models.ContentFault(found.Fault))
	}
	t.state.Attempt, t.state.Size = attempt, found.Size
	return t.deliver(ctx)
}

// fail ends the transfer, unless its sender cancelled it at the same moment.
func (t *transfer) fail(ctx workflow.Context, text string) error {
	err := do(ctx, "record failure", a.RecordFailure, activities.RecordFailureInput{Transfer: t.sub.ID, Text: text}, nil)
	if activities.IsRefusal(err) {
		return t.concede(ctx)
	} else if err != nil {
		return err
	}
	return t.enter(ctx, models.TransferFailed, text)
}

// concede enters the cancellation that came first. Its update may be under way here, or may have been lost
// after it was recorded: an update is in no history before its first workflow task is done, so Temporal and
// the worker can forget it by dying together. Recording it again says which of both is true.
func (t *transfer) concede(ctx workflow.Context) error {
	if t.state.Status.Ended() {
		return nil
	}
	return t.cancel(ctx, Cancel{})
}

// mayReceiveContent refuses content for a transfer that has some, or has ended.
func (t *transfer) mayReceiveContent(m ContentReceived) error {
	_, known := t.verdicts[m.Attempt]
	switch {
	case !t.decided, known:
		return nil
	case t.refusal != nil:
		return activities.Refusal(models.ErrAlreadyUploaded)
	}
	return activities.Refusal(models.MayOffer(t.state.Status))
}

// contentReceived offers an attempt's content and answers with the verdict.
func (t *transfer) contentReceived(ctx workflow.Context, m ContentReceived) (ContentReceivedResult, error) {
	t.offer(m.Attempt)
	err := workflow.Await(ctx, func() bool {
		_, judged := t.verdicts[m.Attempt]
		return judged || t.refusal != nil || t.state.Status.Ended()
	})
	if err != nil {
		return ContentReceivedResult{}, err
	}
	verdict, judged := t.verdicts[m.Attempt]
	if !judged {
		verdict = models.ErrAlreadyUploaded
	}
	return ContentReceivedResult{Status: t.state.Status}, activities.Refusal(verdict)
}
