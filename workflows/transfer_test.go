package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/workflows"
)

func TestTransfer_IsPurgedAfterGraceWhenAllConfirmed(t *testing.T) {
	t.Parallel()
	b := setup(t, bob, carol)
	start := b.env.Now()
	accepted := b.send(t, time.Second, workflows.UpdateAuthorize, workflows.Authorized{RequestHash: "h"})
	published := b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	first := b.send(t, 2*time.Minute, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	last := b.send(t, 3*time.Minute, workflows.UpdateConfirm, workflows.Confirm{Party: carol})
	late := b.send(t, time.Hour, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: uuid.New()})
	require.Equal(t, workflows.TransferResult{Status: "Purged"}, b.run(t))
	for _, a := range []*answer{accepted, published, first, last} {
		a.ok()
	}
	require.Equal(t, workflows.ContentReceivedResult{Status: models.TransferPublished}, published.value)
	late.refused(models.ErrAlreadyUploaded)
	require.False(t, late.accepted, "a refused message leaves no event")
	require.Equal(t, []string{"accept", "deliver 0", "confirm " + string(bob), "confirm " + string(carol), "purge", "delete ft/" + b.in.Submission.ID.String()}, b.made())
	require.Equal(t, 2*time.Hour+3*time.Minute, b.env.Now().Sub(start).Truncate(time.Minute))
}

func TestTransfer_IsKeptUntilItExpiresWhereTheServiceKeepsFiles(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	accept := b.accept
	b.accept = func() (models.Acceptance, error) {
		a, err := accept()
		a.PurgeAfterConfirmed = false
		return a, err
	}
	start := b.env.Now()
	b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	b.send(t, time.Hour, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	require.Equal(t, "Purged", b.run(t).Status)
	require.Equal(t, 30*24*time.Hour, b.env.Now().Sub(start).Truncate(time.Hour))
}

func TestTransfer_IsPurgedWhenItExpiresUnconfirmed(t *testing.T) {
	t.Parallel()
	b := setup(t, bob, carol)
	b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	day29 := b.send(t, 29*24*time.Hour, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	require.Equal(t, "Purged", b.run(t).Status)
	day29.ok()
	require.Contains(t, b.made(), "purge")
}

func TestTransfer_EndsWhenRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.accept = func() (models.Acceptance, error) { return models.Acceptance{}, models.ErrRecipientWithoutRight }
	b.after(0, func() {})
	out := b.run(t)
	require.Equal(t, "Refused", out.Status)
	require.Contains(t, out.Text, "BRO-00028")
	require.Equal(t, []string{"accept"}, b.made())
}

func TestTransfer_AnswersTheSenderWithTheRefusal(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.accept = func() (models.Acceptance, error) { return models.Acceptance{}, models.ErrNoAccess }
	asked := b.send(t, 0, workflows.UpdateAuthorize, workflows.Authorized{RequestHash: "h"})
	other := b.send(t, 0, workflows.UpdateAuthorize, workflows.Authorized{RequestHash: "another request"})
	b.run(t)
	asked.refused(models.ErrNoAccess)
	other.refused(models.ErrKeyReused)
}

func TestTransfer_KnowsItsSenderAgainAfterAnUpgrade(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.in.Submission.RequestHash = "by the version before"
	asked := b.send(t, 0, workflows.UpdateAuthorize, workflows.Authorized{RequestHash: "v2:new", EarlierHash: "by the version before"})
	other := b.send(t, 0, workflows.UpdateAuthorize, workflows.Authorized{RequestHash: "v2:new", EarlierHash: "another request"})
	b.run(t)
	asked.ok()
	other.refused(models.ErrKeyReused)
}

func TestTransfer_LeavesATransferOfAnotherRunAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.accept = func() (models.Acceptance, error) { return models.Acceptance{Duplicate: true}, nil }
	asked := b.send(t, 0, workflows.UpdateAuthorize, workflows.Authorized{RequestHash: "h"})
	b.run(t)
	asked.ok()
	require.Equal(t, workflows.AuthorizedResult{Duplicate: true}, asked.value)
	require.Equal(t, []string{"accept"}, b.made())
}

func TestTransfer_FailsWhenNothingIsUploadedInTime(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	out := b.run(t)
	require.Equal(t, workflows.TransferResult{Status: "Failed", Text: "No file was uploaded before the deadline"}, out)
	require.Equal(t, []string{"accept", "fail: No file was uploaded before the deadline", "delete ft/" + b.in.Submission.ID.String()}, b.made())
}

func TestTransfer_TakesContentOfWhichNobodyNotifiedIt(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.firstStaged = &b.attempt // the API was killed between staging and offering
	confirmed := b.send(t, 25*time.Hour, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	require.Equal(t, "Purged", b.run(t).Status)
	confirmed.ok()
}

func TestTransfer_LetsARunningUploadFinishAfterTheDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.runningUntil = b.env.Now().Add(24*time.Hour + 30*time.Minute)
	b.after(24*time.Hour+20*time.Minute, func() { b.set(func() { b.runningUntil = time.Time{} }) })
	published := b.send(t, 24*time.Hour+25*time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	b.send(t, 25*time.Hour, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	require.Equal(t, "Purged", b.run(t).Status)
	published.ok()
}

func TestTransfer_DoesNotOutliveItselfForAnUploadThatNeverEnds(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	start := b.env.Now()
	accept := b.accept
	b.accept = func() (models.Acceptance, error) {
		a, err := accept()
		a.Expires = start.Add(25 * time.Hour)
		return a, err
	}
	b.runningUntil = start.Add(24*time.Hour + time.Minute)
	for n := range 600 {
		b.after(24*time.Hour+time.Duration(n)*15*time.Second, func() { b.set(func() { b.runningUntil = b.env.Now().Add(time.Minute) }) })
	}
	b.after(27*time.Hour, func() { b.set(func() { b.runningUntil = time.Time{} }) })
	var failed time.Time
	b.fail = func() error { failed = b.env.Now(); return nil }
	require.Equal(t, "Failed", b.run(t).Status)
	b.set(func() { require.LessOrEqual(t, failed.Sub(start), 25*time.Hour+time.Minute) })
}

func TestTransfer_FailsOnAChecksumMismatch(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.declaredMD5 = "declared"
	offered := b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	require.Equal(t, workflows.TransferResult{Status: "Failed", Text: "Checksum mismatch"}, b.run(t))
	offered.refused(models.ErrChecksumMismatch)
	require.Equal(t, []string{"accept", "fail: Checksum mismatch", "delete ft/" + b.in.Submission.ID.String()}, b.made())
}

func TestTransfer_FailsWhenStorageReportsAnotherSize(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.storedSize = 2
	offered := b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	require.Equal(t, "Failed", b.run(t).Status)
	offered.refused(models.ErrStoredDiffers)
}

func TestTransfer_GoesOnWaitingAfterAMessageWithoutContent(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	empty := b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: uuid.New()})
	b.after(2*time.Minute, func() {
		b.env.SignalWorkflow(workflows.SignalContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	})
	again := b.send(t, 3*time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	b.send(t, time.Hour, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	require.Equal(t, "Purged", b.run(t).Status)
	empty.refused(models.ErrNoFileYet)
	again.ok() // the same content is accepted once, however often it is offered
	require.Equal(t, 1, count(b.made(), "deliver 0"))
}

func TestTransfer_AcceptsTheFirstOfTwoUploadsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	second := uuid.New()
	b.staged[second] = models.Content{Size: 3, MD5: "other"}
	one := b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	two := b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: second})
	b.send(t, time.Hour, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	require.Equal(t, "Purged", b.run(t).Status)
	one.ok()
	two.refused(models.ErrAlreadyUploaded)
	require.Equal(t, 1, count(b.made(), "deliver 0"))
}

func TestTransfer_CanBeCancelled(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	done := b.send(t, time.Minute, workflows.UpdateCancel, workflows.Cancel{})
	again := b.send(t, time.Minute, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	require.Equal(t, "Cancelled", b.run(t).Status)
	done.ok()
	again.refused(models.ErrNotPublished)
}

func TestTransfer_TakesAnOperatorsCancellationForTheSenders(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	b.after(time.Hour, func() { b.env.CancelWorkflow() })
	require.Equal(t, "Cancelled", b.run(t).Status)
	require.Contains(t, b.made(), "delete ft/"+b.in.Submission.ID.String())

	b = setup(t, bob)
	b.cancel = func() error { return models.ErrNotCancellable }
	b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	b.after(time.Hour, func() { b.env.CancelWorkflow() })
	confirmed := b.send(t, 2*time.Hour, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	require.Equal(t, "Purged", b.run(t).Status)
	confirmed.ok() // the transfer lived on
}

// An update that Temporal and the worker forgot together: it was recorded, but the workflow never heard of it.
func TestTransfer_FindsACancellationThatItNeverHeardOf(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(*bundle){
		"before content": func(b *bundle) { b.fail = func() error { return models.ErrMovedOn } },
		"while delivering": func(b *bundle) {
			b.deliver = func(int) error { return models.ErrAlreadyUploaded }
			b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
		},
		"after publishing": func(b *bundle) {
			b.purge = func() error { return models.ErrMovedOn }
			b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, bob)
			arrange(b)
			require.Equal(t, "Cancelled", b.run(t).Status)
			require.Contains(t, b.made(), "delete ft/"+b.in.Submission.ID.String())
		})
	}
}

func TestTransfer_LivesOnWhenCancellingIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.cancel = func() error { return models.ErrNotCancellable }
	b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	refused := b.send(t, 2*time.Minute, workflows.UpdateCancel, workflows.Cancel{})
	b.send(t, time.Hour, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	require.Equal(t, "Purged", b.run(t).Status)
	refused.refused(models.ErrNotCancellable)
}

func TestTransfer_HasOneLegalOrderWhenCancelledWhileDelivering(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.deliver = func(int) error { return models.ErrAlreadyUploaded } // what the database says after the cancellation
	offered := b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	b.send(t, time.Minute, workflows.UpdateCancel, workflows.Cancel{})
	require.Equal(t, "Cancelled", b.run(t).Status)
	offered.refused(models.ErrAlreadyUploaded)
}

func TestTransfer_OutlivesADatabaseThatIsDown(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	up, deliver := 0, b.deliver
	b.deliver = func(g int) error {
		if up++; up < 14 {
			return errors.New("connection refused")
		}
		return deliver(g)
	}
	offered := b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	b.send(t, 20*time.Hour, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	require.Equal(t, "Purged", b.run(t).Status)
	offered.ok()
	b.set(func() { require.GreaterOrEqual(t, up, 14) })
}

func TestTransfer_DiscardsAgainWhileAnUploadMayLeaveSomethingBehind(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.runningUntil = b.env.Now().Add(2 * time.Minute)
	b.after(90*time.Second, func() { b.set(func() { b.runningUntil = time.Time{} }) })
	b.send(t, time.Minute, workflows.UpdateCancel, workflows.Cancel{})
	require.Equal(t, "Cancelled", b.run(t).Status)
	require.Equal(t, 2, count(b.made(), "delete ft/"+b.in.Submission.ID.String()))
}

func TestTransfer_ContinuesInAFreshHistory(t *testing.T) {
	t.Parallel()
	b := setup(t, bob, carol)
	b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	b.send(t, 2*time.Minute, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	b.after(3*time.Minute, func() { b.env.SetContinueAsNewSuggested(true) })
	b.env.ExecuteWorkflow(workflows.Transfer, b.in)
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, b.env.GetWorkflowError(), &next)

	c := setup(t, bob, carol)
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &c.in))
	require.Empty(t, c.in.Submission.FileName)
	last := c.send(t, time.Minute, workflows.UpdateConfirm, workflows.Confirm{Party: carol})
	c.confirm = func(models.Party) (bool, error) { return true, nil }
	require.Equal(t, "Purged", c.run(t).Status)
	last.ok()
	require.NotContains(t, c.made(), "accept")
}

// A confirmation that is under way when a history becomes too long ends before the next one begins.
func TestTransfer_TakesTheLastConfirmationIntoItsFreshHistory(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	terms, err := b.accept()
	require.NoError(t, err)
	b.in.Continued = &workflows.TransferState{
		Status: models.TransferPublished, Terms: terms, Attempt: b.attempt, Confirmed: []models.Party{bob}, All: true, Since: b.env.Now(),
	}
	start := b.env.Now()
	require.Equal(t, "Purged", b.run(t).Status)
	require.Less(t, b.env.Now().Sub(start), 24*time.Hour, "after the grace period, not at expiry")
}

func count(list []string, want string) (n int) {
	for _, s := range list {
		if s == want {
			n++
		}
	}
	return n
}
