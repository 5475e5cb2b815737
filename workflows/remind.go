package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

// remindUntil waits until the condition holds or the transfer expires, and reminds who has not confirmed at the moments
// that the service asked for. A transfer whose service asks for none waits as it did before there were reminders.
func (t *transfer) remindUntil(ctx workflow.Context, condition func() bool) error {
	for {
		next, until, what := t.nextReminder(), t.state.Terms.Expires, "expiry"
		if next != nil {
			until, what = next.At, "reminder"
		}
		met, err := t.deadline.wait(ctx, until, what, condition)
		if err != nil || met || next == nil {
			return err
		}
		if err := t.remind(ctx); err != nil {
			return err
		}
	}
}

// nextReminder is the first one since the file was published: an earlier one would follow its notification at once.
func (t *transfer) nextReminder() *models.Reminder {
	since := t.state.Since
	if t.state.Reminded.After(since) {
		since = t.state.Reminded
	}
	return t.state.Terms.NextReminder(since)
}

// remind sends the last reminder that is due. When no worker ran for days one is enough, and none once the transfer has
// expired.
func (t *transfer) remind(ctx workflow.Context) error {
	now, left := workflow.Now(ctx), time.Duration(0)
	for next := t.nextReminder(); next != nil && !next.At.After(now); next = t.nextReminder() {
		t.state.Reminded, left = next.At, next.Left
	}
	if !now.Before(t.state.Terms.Expires) {
		return nil
	}
	return do(ctx, "remind recipients", a.Remind, activities.RemindInput{Transfer: t.sub.ID, Left: left}, nil)
}
