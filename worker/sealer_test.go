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

	"github.com/formidling/formidling/worker"
)

// schedule counts what a sealer does. The sealer runs beside the test, so both take the lock.
type schedule struct {
	mu                     sync.Mutex
	kept, asked, triggered int
	due                    bool
	away                   error
}

func (s *schedule) LogDue(context.Context, bool) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.due, nil
}

func (s *schedule) KeepReceiptLog(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept++
	return s.away
}

func (s *schedule) SealReceiptLog(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.triggered++
	return nil
}

func (s *schedule) set(due bool, away error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due, s.away = due, away
}

func (s *schedule) is(t *testing.T, kept, asked, triggered int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Equal(t, []int{kept, asked, triggered}, []int{s.kept, s.asked, s.triggered})
}

func TestSealer_TriggersTheScheduleAtEachIntervalInWhichThereIsSomethingToSeal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &schedule{away: errors.New("temporal is away")}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			worker.Sealer{Due: s, Signs: true, Schedule: s, Every: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}.Run(ctx)
		}()
		synctest.Wait()
		s.is(t, 1, 0, 0)
		s.set(false, nil)
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		s.is(t, 2, 1, 0)
		time.Sleep(50 * time.Second)
		synctest.Wait()
		s.is(t, 2, 6, 0)
		s.set(true, nil)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		s.is(t, 2, 8, 2)
		stop()
		<-done
	})
}
