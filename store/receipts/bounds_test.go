package receipts_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/receipts"
	"github.com/formidling/formidling/store/storetest"
)

func TestReceiptFacts_TellOfANotificationOnceHoweverOftenItsEventIsReplayed(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		n, another := b.Validated(t, storetest.Bob), b.Validated(t, storetest.Bob)
		id := b.Publish(t, storetest.Bob)
		offered, err := b.EventsAfter(ctx, storetest.Bob, 0, models.EventFilter{Types: []string{string(models.EventPublished)}}, 10)
		require.NoError(t, err)
		for range 3 {
			for _, of := range []int64{n.ID, another.ID} {
				moved, err := b.AdvanceSubscription(ctx, b.Reread(t, of), offered[0])
				require.NoError(t, err)
				require.True(t, moved)
				_, err = b.ReplaySubscription(ctx, storetest.As(storetest.Bob), of, offered[0].ID, storetest.Always)
				require.NoError(t, err)
			}
			require.NoError(t, b.ReceiptFacts(ctx, id))
		}
		_, err = b.FailSubscription(ctx, b.Reread(t, n.ID), &offered[0], "no", b.Clock.Read(), true)
		require.NoError(t, err)
		require.NoError(t, b.ReceiptFacts(ctx, id))
		var told []string
		for _, r := range b.Entries(t, id) {
			if strings.HasPrefix(r.Event.Name(), "ConsignmentNotification") {
				told = append(told, r.Event.Name())
				require.Equal(t, "webhook", r.Claim.Text, "the sender reads it: no ids")
			}
		}
		require.Equal(t, []string{"ConsignmentNotification", "ConsignmentNotificationFailure"}, told)
	})
}

func TestTimeline_TellsNoNumbersOfOthersFeeds(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		n := b.Validated(t, storetest.Bob)
		id := b.Publish(t, storetest.Bob)
		moved, err := b.AdvanceSubscription(t.Context(), n, b.Undelivered(t, n)[0])
		require.NoError(t, err)
		require.True(t, moved)
		causes := func(p models.Party) (out []string) {
			_, entries, err := b.TimelineFor(t.Context(), id, models.TimelineQuery{Viewer: p, Limit: 10_000})
			require.NoError(t, err)
			for _, e := range entries {
				if e.Kind == models.TimelineNotification && e.Recipient == storetest.Bob {
					out = append(out, e.Cause)
				}
			}
			return out
		}
		require.ElementsMatch(t, []string{"an event in the feed of " + string(storetest.Bob), "webhook"}, causes(storetest.Alice))
		require.ElementsMatch(t, []string{"event 1 in your feed", "webhook"}, causes(storetest.Bob))
	})
}

func TestReceiptFacts_TellOfDownloadsWhoseProcessDied(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		id := b.Publish(t, storetest.Bob, storetest.Carol)
		begin := func(p models.Party) func(sent int64) {
			access, err := b.BeginAccess(ctx, id, storetest.As(p), 0, 3)
			require.NoError(t, err)
			return func(sent int64) {
				require.NoError(t, b.NoteAccess(ctx, access, sent))
			}
		}
		handovers := func() (out []string) {
			for _, name := range storetest.ReceiptNames(b.Entries(t, id)) {
				if strings.HasPrefix(name, "ContentHandover") {
					out = append(out, name)
				}
			}
			return out
		}
		cut, slow := begin(storetest.Bob), begin(storetest.Carol)
		cut(2)
		b.Clock.Advance(receipts.SilentAfter)
		slow(1) // it is alive
		b.Clock.Advance(time.Second)
		with, err := b.TransfersWithFacts(ctx, nil, 10)
		require.NoError(t, err)
		require.Len(t, with, 1)
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.Equal(t, []string{"ContentHandoverFailure 310000035"}, handovers())
		for _, r := range b.Entries(t, id) {
			if r.Event == models.ReceiptHandoverFailed {
				require.Equal(t, int64(2), r.Served.Bytes)
				require.True(t, r.Served.Until.Before(b.Clock.Read().Add(-receipts.SilentAfter)), "its last note")
			}
		}
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.Len(t, handovers(), 1, "once")

		slow(3) // and dies before it says that this was all
		b.Clock.Advance(receipts.SilentAfter + time.Second)
		_, err = b.ConfirmTransfer(ctx, id, storetest.Carol)
		require.NoError(t, err)
		require.Equal(t, []string{"ContentHandoverFailure 310000035", "ContentHandover 310000043"}, handovers())

		access, err := b.BeginAccess(ctx, id, storetest.As(storetest.Bob), 0, 3)
		require.NoError(t, err)
		b.Clock.Advance(receipts.SilentAfter + time.Second) // the database was away, say
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.NoError(t, b.EndAccess(ctx, access, 3))
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.Equal(t, []string{"ContentHandoverFailure 310000035", "ContentHandover 310000035"}, handovers()[2:], "what really came of it is told too")
	})
}

func TestRecordRefusal_IsBoundedPerOrganisationAndDay(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		b.Quota(t, func(q *models.Quotas) { q.Refusals = 3 })
		reason := models.ReceiptReason{Code: "BRO-00006", Text: "no"}
		refuse := func(p models.Party) (models.Submission, bool) {
			t.Helper()
			sub := storetest.Submission(storetest.Bob)
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
		first, receipted := refuse(storetest.Alice)
		require.True(t, receipted)
		for range 5 {
			again, err := b.RecordRefusal(ctx, first, "run", reason)
			require.NoError(t, err)
			require.True(t, again, "it is the same one")
		}
		require.False(t, often(storetest.Alice))
		refuse(storetest.Alice)
		_, receipted = refuse(storetest.Alice)
		require.True(t, receipted)
		require.True(t, often(storetest.Alice))
		fourth, receipted := refuse(storetest.Alice)
		require.False(t, receipted)
		require.Empty(t, b.Entries(t, fourth.ID))
		require.False(t, often(storetest.Carol))
		_, receipted = refuse(storetest.Carol)
		require.True(t, receipted, "another organisation's are its own")

		b.Clock.Advance(24 * time.Hour)
		require.False(t, often(storetest.Alice))
		_, receipted = refuse(storetest.Alice)
		require.True(t, receipted)
		var kept int64
		require.NoError(t, b.DB().Read(t.Context()).Table("refusal_counts").Where("organisation = ?", storetest.Alice).Count(&kept).Error)
		require.Equal(t, int64(1), kept, "other days are forgotten")

		ids := make(chan bool, 20)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				sub := storetest.Submission(storetest.Bob)
				sub.Sender.Party = storetest.Owner
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
