package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/models"
)

// overdueInterval is how often a dispatcher looks for subscriptions that have work and that nobody woke.
const overdueInterval = 10 * time.Second

// wakesAtOnce bounds the signals under way: one file to many recipients wakes many subscriptions.
const wakesAtOnce = 16

// Subscriptions are the subscriptions that have work to do. Each is claimed by one dispatcher only.
type Subscriptions interface {
	ClaimSubscriptions(ctx context.Context, parties []models.Party) ([]int64, error)
	ClaimOverdueSubscriptions(ctx context.Context) ([]int64, error)
}

// SubscriptionWorkflows wakes the workflow of a subscription, and starts it when it does not run.
type SubscriptionWorkflows interface {
	WakeSubscription(ctx context.Context, id int64) error
}

// SubscriptionDispatcher wakes the workflows of subscriptions that have work: at once for the organisations that
// Notified names, for which this process wrote events, and at intervals for those that another process should have woken.
type SubscriptionDispatcher struct {
	Notified      <-chan []models.Party
	Subscriptions Subscriptions
	Workflows     SubscriptionWorkflows
	Log           *slog.Logger
}

// Run dispatches until ctx ends. The next look for overdue subscriptions finds what failed.
func (d SubscriptionDispatcher) Run(ctx context.Context) {
	tick := time.NewTicker(overdueInterval)
	defer tick.Stop()
	for {
		var ids []int64
		var err error
		select {
		case <-ctx.Done():
			return
		case parties := <-d.Notified:
			ids, err = d.Subscriptions.ClaimSubscriptions(ctx, parties)
		case <-tick.C:
			ids, err = d.Subscriptions.ClaimOverdueSubscriptions(ctx)
		}
		if err = errors.Join(err, d.wake(ctx, ids)); err != nil && ctx.Err() == nil {
			d.Log.WarnContext(ctx, "subscriptions not woken", "error", err.Error())
		}
	}
}

// wake wakes several at once and returns the first failure; the others are woken all the same.
func (d SubscriptionDispatcher) wake(ctx context.Context, ids []int64) error {
	var group errgroup.Group
	group.SetLimit(wakesAtOnce)
	for _, id := range ids {
		group.Go(func() error { return d.Workflows.WakeSubscription(ctx, id) })
	}
	return group.Wait()
}
