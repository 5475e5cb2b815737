package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/worker"
)

// sleepers has one subscription of each organisation that is told, and one that nobody woke.
type sleepers struct {
	mu      sync.Mutex
	overdue int
	woken   []int64
	err     error
}

func (s *sleepers) ClaimSubscriptions(_ context.Context, parties []models.Party) ([]int64, error) {
	return make([]int64, len(parties)), nil
}

func (s *sleepers) ClaimOverdueSubscriptions(context.Context) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.overdue++
	return []int64{7}, nil
}

func (s *sleepers) WakeSubscription(_ context.Context, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.woken = append(s.woken, id)
	return s.err
}

func TestWaker_WakesWhoIsToldAndLooksForOthersNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		told, s := make(chan []models.Party), &sleepers{err: errors.New("temporal is away")}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			worker.Waker{Told: told, Sleepers: s, Alarm: s, Log: slog.New(slog.DiscardHandler)}.Run(ctx)
		}()
		told <- []models.Party{"0192:310000027", "0192:310000035"}
		synctest.Wait()
		require.Equal(t, []int64{0, 0}, s.woken, "at once, each, whatever the others do")
		time.Sleep(35 * time.Second)
		synctest.Wait()
		require.Equal(t, 3, s.overdue)
		require.Equal(t, []int64{0, 0, 7, 7, 7}, s.woken)
		stop()
		<-done
	})
}
