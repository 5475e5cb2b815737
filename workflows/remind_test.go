package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/workflows"
)

const oneDay = 24 * time.Hour

// reminding lets the service ask for reminders.
func (b *bundle) reminding(before ...time.Duration) {
	accept := b.accept
	b.accept = func() (models.Acceptance, error) {
		a, err := accept()
		a.Reminders = before
		return a, err
	}
}

// reminders are those that were sent.
func (b *bundle) reminders() (out []string) {
	for _, c := range b.made() {
		if len(c) > 6 && c[:6] == "remind" {
			out = append(out, c)
		}
	}
	return out
}

func TestTransfer_RemindsBeforeItExpires(t *testing.T) {
	t.Parallel()
	b := setup(t, bob, carol)
	b.reminding(7*oneDay, oneDay)
	b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	b.send(t, oneDay, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	var before []string
	b.after(23*oneDay-time.Hour, func() { before = b.reminders() })
	b.after(23*oneDay+time.Hour, func() { require.Equal(t, []string{"remind 168h0m0s"}, b.reminders()) })
	require.Equal(t, "Purged", b.run(t).Status)
	require.Empty(t, before)
	require.Equal(t, []string{"remind 168h0m0s", "remind 24h0m0s"}, b.reminders())
}

func TestTransfer_RemindsNobodyAfterTheLastConfirmation(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.reminding(7*oneDay, oneDay)
	b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	b.send(t, 25*oneDay, workflows.UpdateConfirm, workflows.Confirm{Party: bob})
	require.Equal(t, "Purged", b.run(t).Status)
	require.Equal(t, []string{"remind 168h0m0s"}, b.reminders())
}

func TestTransfer_RemindsNobodyOfWhatTheyHaveJustBeenOffered(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.reminding(30*oneDay-time.Second, 40*oneDay, oneDay)
	b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	require.Equal(t, "Purged", b.run(t).Status)
	require.Equal(t, []string{"remind 24h0m0s"}, b.reminders())
}

func TestTransfer_RemembersItsRemindersInAFreshHistory(t *testing.T) {
	t.Parallel()
	b := setup(t, bob)
	b.reminding(7*oneDay, oneDay)
	b.send(t, time.Minute, workflows.UpdateContentReceived, workflows.ContentReceived{Attempt: b.attempt})
	b.after(24*oneDay, func() {
		b.env.SetContinueAsNewSuggested(true)
		b.env.UpdateWorkflow(workflows.UpdateConfirm, "wake", &answer{t: t}, workflows.Confirm{Party: carol})
	})
	b.confirm = func(models.Party) (bool, error) { return false, nil }
	start := b.env.Now()
	b.env.ExecuteWorkflow(workflows.Transfer, b.in)
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, b.env.GetWorkflowError(), &next)
	require.Equal(t, []string{"remind 168h0m0s"}, b.reminders())

	c := setup(t, bob)
	c.env.SetStartTime(start.Add(24*oneDay + time.Minute))
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &c.in))
	require.Equal(t, "Purged", c.run(t).Status)
	require.Equal(t, []string{"remind 24h0m0s"}, c.reminders())
}

// When nothing ran while several reminders fell due, the last one is enough; none when it is over.
func TestTransfer_RemindsOnceForAllThatFellDue(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		late time.Duration
		want []string
	}{
		"two": {29*oneDay + time.Hour, []string{"remind 24h0m0s"}}, "over": {31 * oneDay, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, bob)
			b.reminding(7*oneDay, oneDay)
			terms, err := b.accept()
			require.NoError(t, err)
			b.in.Continued = &workflows.TransferState{Status: models.TransferPublished, Terms: terms, Attempt: b.attempt, Since: b.env.Now()}
			b.env.SetStartTime(b.env.Now().Add(c.late))
			require.Equal(t, "Purged", b.run(t).Status)
			require.Equal(t, c.want, b.reminders())
		})
	}
}

func TestTransfer_RemindsTheRecipientsOfItsGroups(t *testing.T) {
	r := setupReal(t, client.Options{})
	life, before := "PT70S", []string{"PT55S"}
	_, err := r.PutResource(t.Context(), models.Caller{Party: owner}, svc, models.ResourcePatch{TimeToLive: &life, ConfirmationReminders: &before}, models.Condition{Unconditional: true})
	require.NoError(t, err)
	many := parties('7', 101)
	s := r.publish(t, many...)
	require.NoError(t, r.confirm(t, s, many[0]))
	kinds := func(p models.Party) (out []string) {
		events, err := r.EventsAfter(t.Context(), p, 0, models.EventFilter{Types: []string{"published", "confirmationreminder"}}, 10)
		require.NoError(t, err)
		for _, e := range events {
			out = append(out, string(e.Type))
		}
		return out
	}
	require.Eventually(t, func() bool { return len(kinds(alice)) == 2 }, 60*time.Second, 100*time.Millisecond)
	require.Equal(t, []string{"published"}, kinds(many[0]), "it has confirmed")
	for _, p := range many[1:] {
		require.Equal(t, []string{"published", "confirmationreminder"}, kinds(p))
	}
}
