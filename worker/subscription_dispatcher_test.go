package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/worker"
)

// subscriptions has one subscription of each organisation that is notified, and an overdue one.
type subscriptions struct {
	mu      sync.Mutex
	overdue int
	woken   []int64
	err     error
}

func (s *subscriptions) ClaimSubscriptions(_ context.Context, parties []models.Party) ([]int64, error) {
	return make([]int64, len(parties)), nil
}

func (s *subscriptions) ClaimOverdueSubscriptions(context.Context) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.overdue++
	return []int64{7}, nil
}

func (s *subscriptions) WakeSubscription(_ context.Context, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.woken = append(s.woken, id)
	return s.err
}

// state is how often overdue ones were looked for, and which were woken.
func (s *subscriptions) state() (overdue int, woken []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overdue, slices.Clone(s.woken)
}

func TestSubscriptionDispatcher_WakesTheNotifiedAtOnceAndTheOverdueAtIntervals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		notified, s := make(chan []models.Party), &subscriptions{err: errors.New("temporal is away")}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			worker.SubscriptionDispatcher{Notified: notified, Subscriptions: s, Workflows: s, Log: slog.New(slog.DiscardHandler)}.Run(ctx)
		}()
		notified <- []models.Party{"0192:310000027", "0192:310000035"}
		synctest.Wait()
		_, woken := s.state()
		require.Equal(t, []int64{0, 0}, woken, "at once, each, though waking the others fails")
		time.Sleep(35 * time.Second)
		synctest.Wait()
		overdue, woken := s.state()
		require.Equal(t, 3, overdue)
		require.Equal(t, []int64{0, 0, 7, 7, 7}, woken)
		stop()
		<-done
	})
}
