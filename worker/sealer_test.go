package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/worker"
)

// ringing counts what a sealer does.
type ringing struct {
	kept, asked, rung int
	due               bool
	away              error
}

func (r *ringing) LogDue(context.Context, bool) (bool, error) { r.asked++; return r.due, nil }
func (r *ringing) KeepReceiptLog(context.Context) error       { r.kept++; return r.away }
func (r *ringing) SealReceiptLog(context.Context) error       { r.rung++; return nil }
func (r *ringing) state() (kept, asked, rung int)             { return r.kept, r.asked, r.rung }
func (r *ringing) is(t *testing.T, kept, asked, rung int) {
	t.Helper()
	k, a, n := r.state()
	require.Equal(t, []int{kept, asked, rung}, []int{k, a, n})
}

func TestSealer_RingsAtEachIntervalInWhichThereIsSomethingToSeal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &ringing{away: errors.New("temporal is away")}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			worker.Sealer{Due: r, Signs: true, Schedule: r, Every: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}.Run(ctx)
		}()
		synctest.Wait()
		r.is(t, 1, 0, 0)
		r.away = nil
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		r.is(t, 2, 1, 0)
		time.Sleep(50 * time.Second)
		synctest.Wait()
		r.is(t, 2, 6, 0)
		r.due = true
		time.Sleep(20 * time.Second)
		synctest.Wait()
		r.is(t, 2, 8, 2)
		stop()
		<-done
	})
}
