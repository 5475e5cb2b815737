package store

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestReceiptFacts_TellOfANotificationOnceHoweverOftenItsEventIsReplayed(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		n, another := b.validated(t, bob), b.validated(t, bob)
		id := b.publish(t, bob)
		offered, err := b.EventsAfter(ctx, bob, 0, models.EventFilter{Types: []string{string(models.EventPublished)}}, 10)
		require.NoError(t, err)
		for range 3 {
			for _, of := range []int64{n.ID, another.ID} {
				moved, err := b.AdvanceSubscription(ctx, b.reread(t, of), offered[0])
				require.NoError(t, err)
				require.True(t, moved)
				_, err = b.ReplaySubscription(ctx, as(bob), of, offered[0].ID, always)
				require.NoError(t, err)
			}
			require.NoError(t, b.ReceiptFacts(ctx, id))
		}
		_, err = b.FailSubscription(ctx, b.reread(t, n.ID), &offered[0], "no", b.clock.read(), true)
		require.NoError(t, err)
		require.NoError(t, b.ReceiptFacts(ctx, id))
		var told []string
		for _, r := range b.entries(t, id) {
			if strings.HasPrefix(r.Event.Name(), "ConsignmentNotification") {
				told = append(told, r.Event.Name())
				require.Equal(t, "webhook", r.Claim.Text, "the sender reads it: no ids")
			}
		}
		require.Equal(t, []string{"ConsignmentNotification", "ConsignmentNotificationFailure"}, told)
	})
}

func TestTimeline_TellsNoNumbersOfOthersFeeds(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		n := b.validated(t, bob)
		id := b.publish(t, bob)
		moved, err := b.AdvanceSubscription(t.Context(), n, b.untold(t, n)[0])
		require.NoError(t, err)
		require.True(t, moved)
		causes := func(p models.Party) (out []string) {
			_, entries, err := b.TimelineFor(t.Context(), id, models.TimelineQuery{Viewer: p, Limit: 10_000})
			require.NoError(t, err)
			for _, e := range entries {
				if e.Kind == models.TimelineNotification && e.Recipient == bob {
					out = append(out, e.Cause)
				}
			}
			return out
		}
		require.ElementsMatch(t, []string{"an event in the feed of " + string(bob), "webhook"}, causes(alice))
		require.ElementsMatch(t, []string{"event 1 in your feed", "webhook"}, causes(bob))
	})
}

func TestReceiptFacts_TellOfDownloadsWhoseProcessDied(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		id := b.publish(t, bob, carol)
		begin := func(p models.Party) func(sent int64) {
			access, err := b.BeginAccess(ctx, id, as(p), 0, 3)
			require.NoError(t, err)
			return func(sent int64) {
				require.NoError(t, b.NoteAccess(ctx, access, sent))
			}
		}
		handovers := func() (out []string) {
			for _, name := range names(b.entries(t, id)) {
				if strings.HasPrefix(name, "ContentHandover") {
					out = append(out, name)
				}
			}
			return out
		}
		cut, slow := begin(bob), begin(carol)
		cut(2)
		b.clock.advance(silentAfter)
		slow(1) // it is alive
		b.clock.advance(time.Second)
		with, err := b.TransfersWithFacts(ctx, nil, 10)
		require.NoError(t, err)
		require.Len(t, with, 1)
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.Equal(t, []string{"ContentHandoverFailure 310000035"}, handovers())
		for _, r := range b.entries(t, id) {
			if r.Event == models.ReceiptHandoverFailed {
				require.Equal(t, int64(2), r.Served.Bytes)
				require.True(t, r.Served.Until.Before(b.clock.read().Add(-silentAfter)), "its last note")
			}
		}
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.Len(t, handovers(), 1, "once")

		slow(3) // and dies before it says that this was all
		b.clock.advance(silentAfter + time.Second)
		_, err = b.ConfirmDelivery(ctx, id, carol)
		require.NoError(t, err)
		require.Equal(t, []string{"ContentHandoverFailure 310000035", "ContentHandover 310000043"}, handovers())

		access, err := b.BeginAccess(ctx, id, as(bob), 0, 3)
		require.NoError(t, err)
		b.clock.advance(silentAfter + time.Second) // the database was away, say
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.NoError(t, b.EndAccess(ctx, access, 3))
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.Equal(t, []string{"ContentHandoverFailure 310000035", "ContentHandover 310000035"}, handovers()[2:], "what really came of it is told too")
	})
}

func TestRecordRefusal_IsBoundedPerOrganisationAndDay(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		b.quotas.Refusals = 3
		reason := models.ReceiptReason{Code: "BRO-00006", Text: "no"}
		refuse := func(p models.Party) (models.Submission, bool) {
			t.Helper()
			sub := submission(bob)
			sub.Sender.Party = p
			receipted, err := b.RecordRefusal(ctx, sub, "run", reason)
			require.NoError(t, err)
			return sub, receipted
		}
		often := func(p models.Party) bool {
			t.Helper()
			yes, err := b.RefusedTooOften(ctx, p)
			require.NoError(t, err)
			return yes
		}
		first, receipted := refuse(alice)
		require.True(t, receipted)
		for range 5 {
			again, err := b.RecordRefusal(ctx, first, "run", reason)
			require.NoError(t, err)
			require.True(t, again, "it is the same one")
		}
		require.False(t, often(alice))
		refuse(alice)
		_, receipted = refuse(alice)
		require.True(t, receipted)
		require.True(t, often(alice))
		fourth, receipted := refuse(alice)
		require.False(t, receipted)
		require.Empty(t, b.entries(t, fourth.ID))
		require.False(t, often(carol))
		_, receipted = refuse(carol)
		require.True(t, receipted, "another organisation's are its own")

		b.clock.advance(24 * time.Hour)
		require.False(t, often(alice))
		_, receipted = refuse(alice)
		require.True(t, receipted)
		var kept int64
		require.NoError(t, b.read.Table("refusal_counts").Where("organisation = ?", alice).Count(&kept).Error)
		require.Equal(t, int64(1), kept, "other days are forgotten")

		ids := make(chan bool, 20)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				sub := submission(bob)
				sub.Sender.Party = owner
				receipted, err := b.RecordRefusal(ctx, sub, "run", reason)
				ids <- receipted && err == nil
			})
		}
		all.Wait()
		close(ids)
		n := 0
		for receipted := range ids {
			if receipted {
				n++
			}
		}
		require.Equal(t, 3, n)
	})
}
