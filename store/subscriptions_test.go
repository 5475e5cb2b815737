package store

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func wish() models.Subscription {
	return models.Subscription{
		EndPoint: "https://example.com/hook?token=hidden", TypeFilter: []string{}, RequestHash: "hash",
		Secrets: []models.SealedSecret{{Sealed: "k.first"}},
	}
}

func (b *bundle) subscribe(t *testing.T, p models.Party) models.Subscription {
	t.Helper()
	n, created, err := b.InsertSubscription(t.Context(), as(p), wish())
	require.NoError(t, err)
	require.True(t, created)
	return n
}

// validated is a subscription whose endpoint has answered.
func (b *bundle) validated(t *testing.T, p models.Party) models.Subscription {
	t.Helper()
	n := b.subscribe(t, p)
	ok, err := b.ValidateSubscription(t.Context(), n)
	require.NoError(t, err)
	require.True(t, ok)
	return b.reread(t, n.ID)
}

func (b *bundle) reread(t *testing.T, id int64) models.Subscription {
	t.Helper()
	n, err := b.Subscription(t.Context(), id)
	require.NoError(t, err)
	return n
}

func (b *bundle) head(t *testing.T, p models.Party) int64 {
	t.Helper()
	head, err := b.FeedHead(t.Context(), p)
	require.NoError(t, err)
	return head
}

func (b *bundle) untold(t *testing.T, n models.Subscription) []models.Event {
	t.Helper()
	events, err := b.EventsAfter(t.Context(), n.Party, n.Cursor, n.Filter(), 100)
	require.NoError(t, err)
	return events
}

func TestSubscription_HearsOfWhatHappensFromNowOn(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		b.accept(t, bob)
		n := b.validated(t, alice)
		require.Equal(t, b.head(t, alice), n.Cursor)
		require.Positive(t, n.Cursor)
		require.Empty(t, b.untold(t, n))
		b.accept(t, bob)
		require.Len(t, b.untold(t, n), 1)
		v, err := b.SubscriptionOf(t.Context(), alice, n.ID)
		require.NoError(t, err)
		require.EqualValues(t, 1, v.Lag)
		_, err = b.SubscriptionOf(t.Context(), bob, n.ID)
		require.ErrorIs(t, err, models.ErrSubscriptionNotFound)
	})
}

func TestSubscription_IsMadeOnceForOneKey(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		key := "key"
		n := wish()
		n.IdempotencyKey = &key
		var wg sync.WaitGroup
		ids := make([]int64, 8)
		for i := range ids {
			wg.Go(func() {
				put, _, err := b.InsertSubscription(background, as(alice), n)
				if err == nil {
					ids[i] = put.ID
				}
			})
		}
		wg.Wait()
		for _, id := range ids {
			require.Equal(t, ids[0], id)
		}
		require.Positive(t, ids[0])
		n.RequestHash = "other"
		_, _, err := b.InsertSubscription(t.Context(), as(alice), n)
		require.ErrorIs(t, err, models.ErrKeyReused)
		_, created, err := b.InsertSubscription(t.Context(), as(bob), n)
		require.NoError(t, err)
		require.True(t, created, "keys are each organisation's own")
	})
}

func TestSubscription_CountsAgainstTheQuota(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		b.quotas.Subscriptions = 2
		first := b.subscribe(t, alice)
		b.subscribe(t, alice)
		_, _, err := b.InsertSubscription(t.Context(), as(alice), wish())
		e, ok := models.AsError(err)
		require.True(t, ok)
		require.EqualValues(t, 2, *e.Limit)
		require.NoError(t, b.DeleteSubscription(t.Context(), as(alice), first.ID, always))
		b.subscribe(t, alice)
		list, err := b.SubscriptionsOf(t.Context(), alice, 0, 10)
		require.NoError(t, err)
		require.Len(t, list, 2)
		rest, err := b.SubscriptionsOf(t.Context(), alice, list[0].ID, 10)
		require.NoError(t, err)
		require.Equal(t, list[1:], rest)
	})
}

func TestSubscription_MovesOnlyFromWhereItStands(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		n := b.validated(t, alice)
		b.accept(t, bob)
		b.accept(t, bob)
		events := b.untold(t, n)
		moved, err := b.AdvanceSubscription(t.Context(), n, events[0])
		require.NoError(t, err)
		require.True(t, moved)
		moved, err = b.AdvanceSubscription(t.Context(), n, events[1])
		require.NoError(t, err)
		require.False(t, moved, "another attempt was faster")
		n = b.reread(t, n.ID)
		require.Equal(t, events[0].ID, *n.LastEventID)

		_, err = b.ReplaySubscription(t.Context(), as(alice), n.ID, events[0].ID, always)
		require.NoError(t, err)
		moved, err = b.AdvanceSubscription(t.Context(), n, events[1])
		require.NoError(t, err)
		require.False(t, moved, "its owner moved it")
		require.Equal(t, events, b.untold(t, b.reread(t, n.ID)))
		_, err = b.ReplaySubscription(t.Context(), as(alice), n.ID, uuid.New(), always)
		require.ErrorIs(t, err, models.ErrNoSuchEvent)
	})
}

func TestSubscription_IsWokenByOneOfMany(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		n, other := b.validated(t, alice), b.validated(t, bob)
		for _, n := range []models.Subscription{n, other} {
			rests, err := b.RestSubscription(t.Context(), n, n.Cursor)
			require.NoError(t, err)
			require.True(t, rests)
		}
		b.accept(t, bob)
		require.Equal(t, []models.Party{alice}, lastTold(t, b))
		var mu sync.Mutex
		var claimed []int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				ids, err := b.ClaimSubscriptions(background, []models.Party{alice})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					claimed = append(claimed, ids...)
				}
			})
		}
		wg.Wait()
		require.Equal(t, []int64{n.ID}, claimed)
		resumed, err := b.ResumeSubscription(t.Context(), n.ID)
		require.NoError(t, err)
		require.False(t, resumed, "it was claimed")
		resumed, err = b.ResumeSubscription(t.Context(), other.ID)
		require.NoError(t, err)
		require.True(t, resumed)
	})
}

// lastTold is who the store says got events last.
func lastTold(t *testing.T, b *bundle) []models.Party {
	t.Helper()
	var last []models.Party
	for {
		select {
		case last = <-b.Told():
		default:
			return last
		}
	}
}

func TestSubscription_IsFoundWhenNobodyWokeIt(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		overdue := func() []int64 {
			t.Helper()
			ids, err := b.ClaimOverdueSubscriptions(t.Context())
			require.NoError(t, err)
			return ids
		}
		n := b.subscribe(t, alice)
		require.Empty(t, overdue(), "who made it wakes it")
		b.clock.advance(2 * overdueAfter)
		require.Equal(t, []int64{n.ID}, overdue(), "but did not")
		require.Empty(t, overdue(), "it is claimed")

		ok, err := b.ValidateSubscription(t.Context(), n)
		require.NoError(t, err)
		require.True(t, ok)
		n = b.reread(t, n.ID)
		b.clock.advance(2 * overdueAfter)
		require.Empty(t, overdue(), "it has nothing to tell")
		b.accept(t, bob)
		require.Equal(t, []int64{n.ID}, overdue())

		b.clock.advance(2 * overdueAfter)
		_, err = b.FailSubscription(t.Context(), n, &b.untold(t, n)[0], "why", b.clock.read().Add(time.Hour), false)
		require.NoError(t, err)
		b.clock.advance(2 * overdueAfter)
		require.Empty(t, overdue(), "it waits for its next attempt")
		b.clock.advance(time.Hour)
		require.Equal(t, []int64{n.ID}, overdue())

		require.NoError(t, b.DeleteSubscription(t.Context(), as(alice), n.ID, always))
		b.clock.advance(2 * overdueAfter)
		require.Equal(t, []int64{n.ID}, overdue(), "its workflow must end")
		require.NoError(t, b.RemoveSubscription(t.Context(), n.ID))
		_, err = b.Subscription(t.Context(), n.ID)
		require.ErrorIs(t, err, models.ErrSubscriptionNotFound)
	})
}

func TestSubscription_IsGivenUpAfterThreeDaysAndItsOwnerTold(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		n := b.validated(t, alice)
		b.accept(t, bob)
		e := b.untold(t, n)[0]
		fail := func() bool {
			t.Helper()
			disabled, err := b.FailSubscription(t.Context(), b.reread(t, n.ID), &e, "It answered 500.", b.clock.read(), false)
			require.NoError(t, err)
			return disabled
		}
		require.False(t, fail())
		b.clock.advance(models.GiveUpAfter - time.Minute)
		require.False(t, fail())
		require.Equal(t, "It answered 500.", b.reread(t, n.ID).LastError)
		b.clock.advance(time.Minute)
		require.True(t, fail())
		require.Equal(t, models.SubscriptionDisabled, b.reread(t, n.ID).Status)
		news := b.untold(t, n)[1:]
		require.Len(t, news, 1)
		require.Equal(t, models.EventSubscriptionDisabled, news[0].Type)
		require.Equal(t, e.TransferID, news[0].TransferID)
		require.Equal(t, strconv.FormatInt(n.ID, 10), news[0].Detail)
		require.False(t, fail(), "once")

		after, err := b.EnableSubscription(t.Context(), as(alice), n.ID, always)
		require.NoError(t, err)
		require.Equal(t, models.SubscriptionActive, after.Status)
		require.Nil(t, after.FailingSince)
		require.False(t, fail(), "three days begin anew")
	})
}

func TestSubscription_IsChangedUnderItsVersionAndAudited(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		n := b.subscribe(t, alice)
		stale := models.Condition{Version: n.Version}
		rotated, err := b.RotateSubscription(t.Context(), as(alice), n.ID, "k.second", time.Hour, stale)
		require.NoError(t, err)
		require.Equal(t, []string{"k.second", "k.first"}, rotated.Signing(b.clock.read()))
		require.Equal(t, []string{"k.second"}, rotated.Signing(b.clock.read().Add(time.Hour)))
		_, err = b.RotateSubscription(t.Context(), as(alice), n.ID, "k.third", time.Hour, stale)
		require.ErrorIs(t, err, models.ErrPreconditionFailed)
		_, err = b.RotateSubscription(t.Context(), as(bob), n.ID, "k.third", time.Hour, always)
		require.ErrorIs(t, err, models.ErrSubscriptionNotFound)
		rotated, err = b.RotateSubscription(t.Context(), as(alice), n.ID, "k.third", time.Hour, always)
		require.NoError(t, err)
		require.Equal(t, []string{"k.third", "k.second"}, rotated.Signing(b.clock.read()), "only one older secret signs")

		require.NoError(t, b.DeleteSubscription(t.Context(), as(alice), n.ID, always))
		require.Empty(t, b.reread(t, n.ID).Secrets)
		require.ErrorIs(t, b.DeleteSubscription(t.Context(), as(alice), n.ID, always), models.ErrSubscriptionNotFound)
		entries, _, err := b.AuditOf(t.Context(), alice, models.AuditPage{Limit: 10})
		require.NoError(t, err)
		require.Len(t, entries, 4)
		for _, e := range entries {
			require.NotContains(t, e.Entry, "hidden")
			require.NotContains(t, e.Entry, "k.first")
		}
	})
}
