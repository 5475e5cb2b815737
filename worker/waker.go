package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/formidling/formidling/models"
)

// lookEvery is how often a waker looks for subscriptions that nobody woke.
const lookEvery = 10 * time.Second

// Sleepers are the subscriptions that wait to be woken. Each is claimed by one waker only.
type Sleepers interface {
	ClaimSubscriptions(ctx context.Context, parties []models.Party) ([]int64, error)
	ClaimOverdueSubscriptions(ctx context.Context) ([]int64, error)
}

// Alarm wakes the workflow of a subscription, and starts it when it does not run.
type Alarm interface {
	WakeSubscription(ctx context.Context, id int64) error
}

// Waker wakes subscriptions: those of organisations that told names, as soon as this process wrote events for them, and
// from time to time those that somebody else should have woken.
type Waker struct {
	Told     <-chan []models.Party
	Sleepers Sleepers
	Alarm    Alarm
	Log      *slog.Logger
}

// Run wakes until ctx ends. What fails is found again by the next look.
func (w Waker) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		var ids []int64
		var err error
		select {
		case <-ctx.Done():
			return
		case parties := <-w.Told:
			ids, err = w.Sleepers.ClaimSubscriptions(ctx, parties)
		case <-tick.C:
			ids, err = w.Sleepers.ClaimOverdueSubscriptions(ctx)
		}
		for _, id := range ids {
			if failed := w.Alarm.WakeSubscription(ctx, id); failed != nil {
				err = failed
			}
		}
		if err != nil && ctx.Err() == nil {
			w.Log.WarnContext(ctx, "subscriptions not woken", "error", err.Error())
		}
	}
}
