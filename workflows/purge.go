package workflows

import (
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

var noAttempt uuid.UUID

// awaitGrace keeps a file that everybody has confirmed for a while: the grace period, or until it
// expires where the service keeps files.
func (t *transfer) awaitGrace(ctx workflow.Context) error {
	if t.state.Status != models.TransferAllConfirmedDownloaded {
		return nil
	}
	until, what := t.state.Terms.Expires, "expiry"
	if t.state.Terms.PurgeAfterConfirmed {
		until, what = t.state.Since.Add(t.state.Terms.Grace), "grace period"
	}
	_, err := t.alarm.wait(ctx, until, what, func() bool { return false })
	return err
}

// purge ends the life: whatever bytes there are go, and the transfer is Purged if it had a file.
func (t *transfer) purge(ctx workflow.Context) error {
	gone := false
	if models.MayPurge(t.state.Status) == nil {
		var left activities.DiscardContentResult
		err := doOn(ctx, QueueBytes, "purge the file", a.Purge, activities.PurgeInput{Transfer: t.sub.ID}, &left)
		if activities.IsRefusal(err) { // the sender cancelled first
			err = t.concede(ctx)
		} else if err == nil {
			gone = left.RunningUntil.IsZero()
			err = t.enter(ctx, models.TransferPurged, "")
		}
		if err != nil {
			return err
		}
	}
	t.endGroups(ctx)
	if gone {
		return nil
	}
	return t.discard(ctx)
}

// discard deletes what was stored, again for as long as an upload may still leave something behind.
func (t *transfer) discard(ctx workflow.Context) error {
	for {
		var left activities.DiscardContentResult
		err := doOn(ctx, QueueBytes, "discard the bytes", a.DiscardContent, activities.DiscardContentInput{Transfer: t.sub.ID}, &left)
		if err != nil || left.RunningUntil.IsZero() {
			return err
		}
		if err := workflow.Sleep(ctx, max(time.Second, left.RunningUntil.Sub(workflow.Now(ctx)))); err != nil {
			return err
		}
	}
}
