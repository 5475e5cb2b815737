package subscriptions_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
	"github.com/formidling/formidling/store/subscriptions"
)

func head(b *storetest.Bundle, t *testing.T, p models.Party) int64 {
	t.Helper()
	head, err := b.FeedHead(t.Context(), p)
	require.NoError(t, err)
	return head
}

func TestSubscription_HearsOfWhatHappensFromNowOn(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		b.Accept(t, storetest.Bob)
		n := b.Validated(t, storetest.Alice)
		require.Equal(t, head(b, t, storetest.Alice), n.Cursor)
		require.Positive(t, n.Cursor)
		require.Empty(t, b.Undelivered(t, n))
		b.Accept(t, storetest.Bob)
		require.Len(t, b.Undelivered(t, n), 1)
		v, err := b.SubscriptionOf(t.Context(), storetest.Alice, n.ID)
		require.NoError(t, err)
		require.EqualValues(t, 1, v.Lag)
		_, err = b.SubscriptionOf(t.Context(), storetest.Bob, n.ID)
		require.ErrorIs(t, err, models.ErrSubscriptionNotFound)
	})
}

func TestSubscription_IsMadeOnceForOneKey(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		key := "key"
		n := storetest.Wish()
		n.IdempotencyKey = &key
		var wg sync.WaitGroup
		ids := make([]int64, 8)
		for i := range ids {
			wg.Go(func() {
				put, _, err := b.InsertSubscription(context.Background(), storetest.As(storetest.Alice), n)
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
		_, _, err := b.InsertSubscription(t.Context(), storetest.As(storetest.Alice), n)
		require.ErrorIs(t, err, models.ErrKeyReused)
		_, created, err := b.InsertSubscription(t.Context(), storetest.As(storetest.Bob), n)
		require.NoError(t, err)
		require.True(t, created, "keys are each organisation's own")
	})
}

func TestSubscription_CountsAgainstTheQuota(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		b.Quota(t, func(q *models.Quotas) { q.Subscriptions = 2 })
		first := b.Subscribe(t, storetest.Alice)
		b.Subscribe(t, storetest.Alice)
		_, _, err := b.InsertSubscription(t.Context(), storetest.As(storetest.Alice), storetest.Wish())
		e, ok := models.AsError(err)
		require.True(t, ok)
		require.EqualValues(t, 2, *e.Limit)
		require.NoError(t, b.DeleteSubscription(t.Context(), storetest.As(storetest.Alice), first.ID, storetest.Always))
		b.Subscribe(t, storetest.Alice)
		list, err := b.SubscriptionsOf(t.Context(), storetest.Alice, 0, 10)
		require.NoError(t, err)
		require.Len(t, list, 2)
		rest, err := b.SubscriptionsOf(t.Context(), storetest.Alice, list[0].ID, 10)
		require.NoError(t, err)
		require.Equal(t, list[1:], rest)
	})
}

func TestSubscription_MovesOnlyFromWhereItStands(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		n := b.Validated(t, storetest.Alice)
		b.Accept(t, storetest.Bob)
		b.Accept(t, storetest.Bob)
		events := b.Undelivered(t, n)
		moved, err := b.AdvanceSubscription(t.Context(), n, events[0])
		require.NoError(t, err)
		require.True(t, moved)
		moved, err = b.AdvanceSubscription(t.Context(), n, events[1])
		require.NoError(t, err)
		require.False(t, moved, "another attempt was faster")
		n = b.Reread(t, n.ID)
		require.Equal(t, events[0].ID, *n.LastEventID)

		_, err = b.ReplaySubscription(t.Context(), storetest.As(storetest.Alice), n.ID, events[0].ID, storetest.Always)
		require.NoError(t, err)
		moved, err = b.AdvanceSubscription(t.Context(), n, events[1])
		require.NoError(t, err)
		require.False(t, moved, "its owner moved it")
		require.Equal(t, events, b.Undelivered(t, b.Reread(t, n.ID)))
		_, err = b.ReplaySubscription(t.Context(), storetest.As(storetest.Alice), n.ID, uuid.New(), storetest.Always)
		require.ErrorIs(t, err, models.ErrNoSuchEvent)
	})
}

func TestSubscription_IsWokenByOneOfMany(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		n, other := b.Validated(t, storetest.Alice), b.Validated(t, storetest.Bob)
		for _, n := range []models.Subscription{n, other} {
			rests, err := b.RestSubscription(t.Context(), n, n.Cursor)
			require.NoError(t, err)
			require.True(t, rests)
		}
		b.Accept(t, storetest.Bob)
		require.Equal(t, []models.Party{storetest.Alice}, lastNotified(t, b))
		var mu sync.Mutex
		var claimed []int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				ids, err := b.ClaimSubscriptions(context.Background(), []models.Party{storetest.Alice})
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

// lastNotified is who the store says got events last.
func lastNotified(t *testing.T, b *storetest.Bundle) []models.Party {
	t.Helper()
	var last []models.Party
	for {
		select {
		case last = <-b.Notified():
		default:
			return last
		}
	}
}

func TestSubscription_IsFoundWhenNobodyWokeIt(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		overdue := func() []int64 {
			t.Helper()
			ids, err := b.ClaimOverdueSubscriptions(t.Context())
			require.NoError(t, err)
			return ids
		}
		n := b.Subscribe(t, storetest.Alice)
		require.Empty(t, overdue(), "who made it wakes it")
		b.Clock.Advance(2 * subscriptions.OverdueAfter)
		require.Equal(t, []int64{n.ID}, overdue(), "but did not")
		require.Empty(t, overdue(), "it is claimed")

		ok, err := b.ValidateSubscription(t.Context(), n)
		require.NoError(t, err)
		require.True(t, ok)
		n = b.Reread(t, n.ID)
		b.Clock.Advance(2 * subscriptions.OverdueAfter)
		require.Empty(t, overdue(), "it has nothing to tell")
		b.Accept(t, storetest.Bob)
		require.Equal(t, []int64{n.ID}, overdue())

		b.Clock.Advance(2 * subscriptions.OverdueAfter)
		_, err = b.FailSubscription(t.Context(), n, &b.Undelivered(t, n)[0], "why", b.Clock.Read().Add(time.Hour), false)
		require.NoError(t, err)
		b.Clock.Advance(2 * subscriptions.OverdueAfter)
		require.Empty(t, overdue(), "it waits for its next attempt")
		b.Clock.Advance(time.Hour)
		require.Equal(t, []int64{n.ID}, overdue())

		require.NoError(t, b.DeleteSubscription(t.Context(), storetest.As(storetest.Alice), n.ID, storetest.Always))
		b.Clock.Advance(2 * subscriptions.OverdueAfter)
		require.Equal(t, []int64{n.ID}, overdue(), "its workflow must end")
		require.NoError(t, b.RemoveSubscription(t.Context(), n.ID))
		_, err = b.Subscription(t.Context(), n.ID)
		require.ErrorIs(t, err, models.ErrSubscriptionNotFound)
	})
}

func TestSubscription_IsGivenUpAfterThreeDaysAndItsOwnerTold(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		n := b.Validated(t, storetest.Alice)
		b.Accept(t, storetest.Bob)
		e := b.Undelivered(t, n)[0]
		fail := func() bool {
			t.Helper()
			disabled, err := b.FailSubscription(t.Context(), b.Reread(t, n.ID), &e, "It answered 500.", b.Clock.Read(), false)
			require.NoError(t, err)
			return disabled
		}
		require.False(t, fail())
		b.Clock.Advance(models.GiveUpAfter - time.Minute)
		require.False(t, fail())
		require.Equal(t, "It answered 500.", b.Reread(t, n.ID).LastError)
		b.Clock.Advance(time.Minute)
		require.True(t, fail())
		require.Equal(t, models.SubscriptionDisabled, b.Reread(t, n.ID).Status)
		news := b.Undelivered(t, n)[1:]
		require.Len(t, news, 1)
		require.Equal(t, models.EventSubscriptionDisabled, news[0].Type)
		require.Equal(t, e.TransferID, news[0].TransferID)
		require.Equal(t, strconv.FormatInt(n.ID, 10), news[0].Detail)
		require.False(t, fail(), "once")

		after, err := b.EnableSubscription(t.Context(), storetest.As(storetest.Alice), n.ID, storetest.Always)
		require.NoError(t, err)
		require.Equal(t, models.SubscriptionActive, after.Status)
		require.Nil(t, after.FailingSince)
		require.False(t, fail(), "three days begin anew")
	})
}

func TestSubscription_IsChangedUnderItsVersionAndAudited(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		n := b.Subscribe(t, storetest.Alice)
		stale := models.Condition{Version: n.Version}
		rotated, err := b.RotateSubscription(t.Context(), storetest.As(storetest.Alice), n.ID, "k.second", time.Hour, stale)
		require.NoError(t, err)
		require.Equal(t, []string{"k.second", "k.first"}, rotated.Signing(b.Clock.Read()))
		require.Equal(t, []string{"k.second"}, rotated.Signing(b.Clock.Read().Add(time.Hour)))
		_, err = b.RotateSubscription(t.Context(), storetest.As(storetest.Alice), n.ID, "k.third", time.Hour, stale)
		require.ErrorIs(t, err, models.ErrPreconditionFailed)
		_, err = b.RotateSubscription(t.Context(), storetest.As(storetest.Bob), n.ID, "k.third", time.Hour, storetest.Always)
		require.ErrorIs(t, err, models.ErrSubscriptionNotFound)
		rotated, err = b.RotateSubscription(t.Context(), storetest.As(storetest.Alice), n.ID, "k.third", time.Hour, storetest.Always)
		require.NoError(t, err)
		require.Equal(t, []string{"k.third", "k.second"}, rotated.Signing(b.Clock.Read()), "only one older secret signs")

		require.NoError(t, b.DeleteSubscription(t.Context(), storetest.As(storetest.Alice), n.ID, storetest.Always))
		require.Empty(t, b.Reread(t, n.ID).Secrets)
		require.ErrorIs(t, b.DeleteSubscription(t.Context(), storetest.As(storetest.Alice), n.ID, storetest.Always), models.ErrSubscriptionNotFound)
		entries, _, err := b.AuditOf(t.Context(), storetest.Alice, models.AuditPage{Limit: 10})
		require.NoError(t, err)
		require.Len(t, entries, 4)
		for _, e := range entries {
			require.NotContains(t, e.Entry, "hidden")
			require.NotContains(t, e.Entry, "k.first")
		}
	})
}
