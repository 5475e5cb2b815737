package workflows_test

import (
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/workflows"
)

// errBroken is no refusal, and trying again does not help: what a fault of the program looks like.
var errBroken = temporal.NewNonRetryableApplicationError("broken", "broken", nil)

// onceBroken fails the first time only, so that the step is done by a normal activity.
func onceBroken() func() error {
	tries := 0
	return func() error {
		if tries++; tries == 1 {
			return errBroken
		}
		return nil
	}
}

func always(err error) func() error { return func() error { return err } }

// deadlines are real time here: the upload's, and the end of the transfer.
func (k *take) deadlines(upload, expiry time.Duration) {
	k.terms(func(a *models.Acceptance) { a.UploadDeadline, a.Expires = k.began.Add(upload), k.began.Add(expiry) })
}

// transferLives are the paths of a transfer without delivery groups.
var transferLives = []life{
	{"confirmed", 2, func(k *take) {
		k.published()
		require.NoError(k.t, k.confirms(0, 0))
		require.NoError(k.t, k.confirms(1, 0))
		k.ends("Purged")
	}},
	{"kept-until-expiry", 1, func(k *take) {
		k.deadlines(time.Second, 2*time.Second) // the timer of the upload's deadline fires while the transfer is published
		k.terms(func(a *models.Acceptance) { a.PurgeAfterConfirmed = false })
		k.published()
		require.NoError(k.t, k.confirms(0, 0))
		k.ends("Purged")
	}},
	{"reminded-and-expired", 2, func(k *take) {
		k.deadlines(time.Hour, 3*time.Second)
		k.terms(func(a *models.Acceptance) {
			a.Reminders = []time.Duration{1500 * time.Millisecond, 700 * time.Millisecond}
		})
		k.published()
		require.NoError(k.t, k.confirms(0, 0))
		k.ends("Purged")
		require.Contains(k.t, k.made(), "remind 700ms")
	}},
	{"reminder-due-after-expiry", 1, func(k *take) {
		k.deadlines(time.Hour, 2*time.Second)
		k.terms(func(a *models.Acceptance) { a.Reminders = []time.Duration{time.Second} })
		k.published()
		k.stop()
		k.fired()
		<-time.After(time.Until(k.began.Add(2100 * time.Millisecond))) // the reminder fell due, and the transfer expired
		k.work(k.t)
		k.ends("Purged")
	}},
	{"not-uploaded", 1, func(k *take) {
		k.deadlines(500*time.Millisecond, time.Hour)
		k.begin()
		k.ends("Failed")
	}},
	{"found-upload", 1, func(k *take) {
		k.deadlines(500*time.Millisecond, time.Hour)
		k.firstStaged = &k.attempt
		k.begin()
		k.eventually(func() bool { return k.confirms(0, 0) == nil })
		k.ends("Purged")
	}},
	{"upload-runs-at-deadline", 1, func(k *take) {
		k.deadlines(500*time.Millisecond, time.Hour)
		k.runningUntil = k.began.Add(1500 * time.Millisecond)
		k.find = func() error {
			if time.Now().After(k.runningUntil) {
				k.runningUntil = time.Time{}
			}
			return nil
		}
		k.begin()
		k.ends("Failed")
	}},
	{"uploaded-after-deadline", 1, func(k *take) {
		k.deadlines(500*time.Millisecond, time.Hour)
		k.runningUntil = k.began.Add(time.Hour / 2)
		looked := make(chan struct{})
		k.find = func() error {
			k.find = always(nil)
			close(looked)
			return nil
		}
		k.begin()
		<-looked
		status, err := k.door.ContentReceived(k.t.Context(), k.sub.ID, k.attempt)
		require.NoError(k.t, err)
		require.Equal(k.t, models.TransferPublished, status)
		k.set(func() { k.runningUntil = time.Time{} })
		require.NoError(k.t, k.confirms(0, 0))
		k.ends("Purged")
	}},
	{"wrong-checksum", 1, func(k *take) {
		k.declaredMD5 = "declared"
		k.begin()
		_, err := k.door.ContentReceived(k.t.Context(), k.sub.ID, k.attempt)
		require.ErrorIs(k.t, err, models.ErrChecksumMismatch)
		k.ends("Failed")
	}},
	{"unknown-attempt", 1, func(k *take) {
		k.begin()
		_, err := k.door.ContentReceived(k.t.Context(), k.sub.ID, uuid.New())
		require.ErrorIs(k.t, err, models.ErrNoFileYet)
		k.signal(k.attempt)
		k.signal(k.attempt)
		k.eventually(func() bool { return k.confirms(0, 0) == nil })
		k.ends("Purged")
	}},
	{"two-uploads", 1, func(k *take) {
		second := uuid.New()
		k.staged[second] = models.Content{Size: 3, MD5: "other"}
		k.begin()
		k.stop()
		k.signal(k.attempt)
		k.signal(second)
		k.work(k.t)
		k.eventually(func() bool { return k.confirms(0, 0) == nil })
		k.ends("Purged")
	}},
	{"refused", 1, func(k *take) {
		k.accept = func() (models.Acceptance, error) { return models.Acceptance{}, models.ErrRecipientWithoutRight }
		_, err := k.door.Initialize(k.t.Context(), k.sub)
		require.ErrorIs(k.t, err, models.ErrRecipientWithoutRight)
		k.ends("Refused")
	}},
	{"accepted-before", 1, func(k *take) {
		k.terms(func(a *models.Acceptance) { a.Duplicate = true })
		duplicate, err := k.door.Initialize(k.t.Context(), k.sub)
		require.NoError(k.t, err)
		require.True(k.t, duplicate)
		k.ends("Refused")
	}},
	{"refused-while-content-waits", 1, func(k *take) {
		k.accept = func() (models.Acceptance, error) { return models.Acceptance{}, models.ErrRecipientWithoutRight }
		_, err := k.startsWith(workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: k.attempt})
		require.Error(k.t, err)
		k.ends("Refused")
	}},
	{"cancelled-before-content", 1, func(k *take) {
		k.begin()
		require.NoError(k.t, k.cancels())
		k.ends("Cancelled")
	}},
	{"cancelled-before-decided", 1, func(k *take) {
		_, err := k.startsWith(workflows.UpdateCancel, workflows.Cancel{})
		require.NoError(k.t, err)
		k.ends("Cancelled")
	}},
	{"cancelled", 2, func(k *take) {
		k.published()
		require.NoError(k.t, k.cancels())
		k.ends("Cancelled")
	}},
	{"cancelled-while-upload-runs", 1, func(k *take) {
		k.runningUntil = time.Now().Add(time.Second)
		k.find = func() error {
			if time.Now().After(k.runningUntil) {
				k.runningUntil = time.Time{}
			}
			return nil
		}
		k.begin()
		require.NoError(k.t, k.cancels())
		k.ends("Cancelled")
	}},
	{"cancelled-by-operator", 1, func(k *take) {
		k.published()
		require.NoError(k.t, k.temporal.CancelWorkflow(k.t.Context(), k.id(), ""))
		k.ends("Cancelled")
	}},
	{"operator-cancels-too-late", 1, func(k *take) {
		k.terms(func(a *models.Acceptance) { a.Grace = 2 * time.Second })
		k.published()
		require.NoError(k.t, k.confirms(0, 0))
		require.NoError(k.t, k.temporal.CancelWorkflow(k.t.Context(), k.id(), ""))
		k.ends("Purged")
		require.NotContains(k.t, k.made(), "cancel")
	}},
	{"cancellation-refused", 1, func(k *take) {
		k.cancel = always(models.ErrNotCancellable)
		confirm := k.confirm
		k.confirm = func(models.Party) (bool, error) { return false, models.ErrNotDownloaded }
		k.published()
		require.ErrorIs(k.t, k.cancels(), models.ErrNotCancellable)
		require.NoError(k.t, k.temporal.CancelWorkflow(k.t.Context(), k.id(), ""))
		require.ErrorIs(k.t, k.confirms(0, 0), models.ErrNotDownloaded)
		k.set(func() { k.confirm = confirm })
		k.again("again", workflows.UpdateConfirm, workflows.Confirm{Party: k.party(0)})
		k.ends("Purged")
	}},
	{"adopted-at-deadline", 1, func(k *take) {
		k.deadlines(500*time.Millisecond, time.Hour)
		k.fail = always(models.ErrMovedOn)
		k.begin()
		k.ends("Cancelled")
	}},
	{"adopted-while-delivering", 1, func(k *take) {
		k.deliver = func(int) error { return models.ErrAlreadyUploaded }
		k.begin()
		k.signal(k.attempt)
		k.ends("Cancelled")
	}},
	{"adopted-while-purging", 1, func(k *take) {
		k.purge = always(models.ErrMovedOn)
		k.published()
		require.NoError(k.t, k.confirms(0, 0))
		k.ends("Cancelled")
	}},
	{"adopted-what-is-known", 1, func(k *take) {
		k.deadlines(500*time.Millisecond, time.Hour)
		k.begin()
		k.stop()
		k.fired()
		require.NoError(k.t, k.temporal.CancelWorkflow(k.t.Context(), k.id(), ""))
		cancelled := make(chan struct{})
		k.cancel = func() error { close(cancelled); return nil } // a second one would panic
		k.fail = func() error {
			k.wait(cancelled)
			<-time.After(200 * time.Millisecond) // until the workflow has heard of it
			return models.ErrMovedOn
		}
		k.work(k.t)
		k.ends("Cancelled")
	}},
	{"upload-runs-while-purging", 1, func(k *take) {
		k.purge = func() error { k.runningUntil = time.Now().Add(time.Second); return nil }
		k.find = func() error {
			if time.Now().After(k.runningUntil) {
				k.runningUntil = time.Time{}
			}
			return nil
		}
		k.published()
		require.NoError(k.t, k.confirms(0, 0))
		k.ends("Purged")
	}},
	{"done-durably", 1, func(k *take) {
		deliver := onceBroken()
		k.deliver = func(int) error { return deliver() }
		k.purge = onceBroken()
		k.published()
		require.NoError(k.t, k.confirms(0, 0))
		k.ends("Purged")
	}},
	{"continued", 12, func(k *take) {
		k.deadlines(time.Hour, 2*time.Hour)
		k.terms(func(a *models.Acceptance) { a.Reminders = []time.Duration{time.Minute} })
		k.published()
		for n := range k.sub.Recipients {
			k.eventually(func() bool { return k.confirms(n, 0) == nil })
		}
		k.ends("Purged")
		require.FileExists(k.t, k.dir+"/continued-run-2.json")
	}},
	{"continued-and-cancelled", 12, func(k *take) {
		k.published()
		k.continues(func(n int) { require.NoError(k.t, k.confirms(n, 0)) })
		require.NoError(k.t, k.cancels())
		k.ends("Cancelled")
	}},
	{"continued-and-reminded", 12, func(k *take) {
		k.deadlines(time.Hour, 6*time.Second)
		k.terms(func(a *models.Acceptance) { a.Reminders = []time.Duration{1500 * time.Millisecond} })
		k.published()
		k.continues(func(n int) { require.NoError(k.t, k.confirms(n, 0)) })
		k.ends("Purged")
		require.Contains(k.t, k.made(), "remind 1.5s")
	}},
	{"broken-authorize", 1, func(k *take) {
		k.accept = func() (models.Acceptance, error) { return models.Acceptance{}, errBroken }
		k.starts()
		k.breaks(k.id())
	}},
	{"broken-find", 1, func(k *take) {
		k.deadlines(500*time.Millisecond, time.Hour)
		k.find = always(errBroken)
		k.begin()
		k.breaks(k.id())
	}},
	{"broken-verify", 1, func(k *take) {
		k.verify = always(errBroken)
		k.begin()
		k.signal(k.attempt)
		k.breaks(k.id())
	}},
	{"broken-deliver", 1, func(k *take) {
		k.deliver = func(int) error { return errBroken }
		k.begin()
		k.signal(k.attempt)
		k.breaks(k.id())
	}},
	{"broken-fail", 1, func(k *take) {
		k.fail = always(errBroken)
		k.declaredMD5 = "declared"
		k.begin()
		k.signal(k.attempt)
		k.breaks(k.id())
	}},
	{"broken-adoption", 1, func(k *take) {
		k.deliver, k.cancel = func(int) error { return models.ErrAlreadyUploaded }, always(errBroken)
		k.begin()
		k.signal(k.attempt)
		k.breaks(k.id())
	}},
	{"broken-remind", 1, func(k *take) {
		k.deadlines(time.Hour, 3*time.Second)
		k.terms(func(a *models.Acceptance) { a.Reminders = []time.Duration{time.Second} })
		k.remind = always(errBroken)
		k.published()
		k.breaks(k.id())
	}},
	{"broken-purge", 1, func(k *take) {
		k.purge = always(errBroken)
		k.published()
		require.NoError(k.t, k.confirms(0, 0))
		k.breaks(k.id())
	}},
	{"broken-discard", 1, func(k *take) {
		k.discard = always(errBroken)
		k.begin()
		require.NoError(k.t, k.cancels())
		k.breaks(k.id())
	}},
}

// starts starts the transfer without asking what becomes of it.
func (k *take) starts() {
	k.t.Helper()
	o := client.StartWorkflowOptions{ID: k.id(), TaskQueue: workflows.QueueTransfers}
	_, err := k.temporal.ExecuteWorkflow(k.t.Context(), o, workflows.Transfer, workflows.TransferInput{Submission: k.sub})
	require.NoError(k.t, err)
}

// startsWith starts the transfer with an update that is there before it is decided.
func (k *take) startsWith(update string, message any) (out any, err error) {
	k.t.Helper()
	o := client.StartWorkflowOptions{ID: k.id(), TaskQueue: workflows.QueueTransfers, WorkflowIDConflictPolicy: 1}
	handle, err := k.temporal.UpdateWithStartWorkflow(k.t.Context(), client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: k.temporal.NewWithStartWorkflowOperation(o, workflows.Transfer, workflows.TransferInput{Submission: k.sub}),
		UpdateOptions: client.UpdateWorkflowOptions{
			WorkflowID: k.id(), UpdateName: update, Args: []any{message}, WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	if err == nil {
		err = handle.Get(k.t.Context(), &out)
	}
	return out, err
}

// again sends an update under another id than the client does, which gives one id one answer.
func (k *take) again(id, update string, message any) {
	k.t.Helper()
	handle, err := k.temporal.UpdateWorkflow(k.t.Context(), client.UpdateWorkflowOptions{
		WorkflowID: k.id(), UpdateID: id, UpdateName: update, Args: []any{message}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	require.NoError(k.t, err)
	require.NoError(k.t, handle.Get(k.t.Context(), nil))
}

// continues does something, each time with the next number, until the transfer has a fresh history.
func (k *take) continues(do func(n int)) {
	k.t.Helper()
	n := 0
	k.eventually(func() bool {
		d, err := k.temporal.DescribeWorkflowExecution(k.t.Context(), k.id(), "")
		require.NoError(k.t, err)
		info := d.GetWorkflowExecutionInfo()
		if info.GetExecution().GetRunId() != info.GetFirstRunId() {
			return true
		}
		if len(k.history(k.t, k.id()).Events) <= suggestedAfter+5 {
			do(n)
			n++
		}
		return false
	})
}
