package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/formidling/formidling/models"
)

// How one push goes on.
const (
	pushBudget = time.Minute // then the workflow is told how far it came
	pushBatch  = 100         // events read at once
	// lingers is how long a push that delivered something waits for more: events come in bursts, and a push that ends
	// costs a workflow task or two to begin again.
	lingers = 500 * time.Millisecond
)

// PushInput names a subscription.
type PushInput struct{ ID int64 }

// PushResult tells the workflow what to do next.
type PushResult struct {
	Next   PushNext
	Pushed int   // events that were delivered
	Cursor int64 // where it stands
}

// PushNext is what comes after a push.
type PushNext string

// What may come after a push.
const (
	PushMore     PushNext = "more"     // push again at once
	PushIdle     PushNext = "idle"     // wait to be woken: there is nothing to tell
	PushDisabled PushNext = "disabled" // wait to be woken: the owner must enable it
	PushGone     PushNext = "gone"     // end: the subscription was deleted
)

// errDelivery is the type of an error that says an endpoint did not take an event. It is tried again.
const errDelivery = "DeliveryFailed"

// PushEvents tells a subscription's endpoint of the events that follow its cursor, one after the other, until there are
// no more. What the endpoint does not take is an error that says when to try again. Safe to repeat: the cursor moves
// with each delivery, and an event that is sent twice has the same id.
func (w *Webhooks) PushEvents(ctx context.Context, in PushInput) (PushResult, error) {
	p := push{w: w, id: in.ID}
	stop := beat(ctx)
	defer stop()
	for until := w.now().Add(pushBudget); w.now().Before(until); {
		next, err := p.step(ctx)
		if err != nil {
			if p.result.Pushed > 0 && isDelivery(err) { // the next push starts with a fresh count of attempts
				return p.result, nil
			}
			return p.result, err
		}
		if next != "" {
			p.result.Next = next
			return p.result, nil
		}
	}
	return p.result, nil
}

// push is the state of one push.
type push struct {
	w       *Webhooks
	id      int64
	result  PushResult
	waiting []models.Event // that were read, but not sent yet
	since   int64          // the cursor behind which they were read
	linger  bool           // something was delivered, and nobody has waited for more yet
}

// step does one thing; it reads the subscription afresh each time, so what its owner changed holds at once.
func (p *push) step(ctx context.Context) (PushNext, error) {
	p.result.Next = PushMore
	n, err := p.w.subscriptions.Subscription(ctx, p.id)
	if errors.Is(err, models.ErrSubscriptionNotFound) {
		return PushGone, nil
	}
	if err != nil {
		return "", err
	}
	p.result.Cursor = n.Cursor
	switch n.Status {
	case models.SubscriptionDeleted:
		return PushGone, p.w.subscriptions.RemoveSubscription(ctx, p.id)
	case models.SubscriptionDisabled:
		return PushDisabled, nil
	case models.SubscriptionUnvalidated:
		return p.validate(ctx, n)
	case models.SubscriptionActive:
	}
	if len(p.waiting) > 0 && p.since == n.Cursor {
		return p.deliver(ctx, n, p.waiting[0])
	}
	return p.read(ctx, n)
}

// read looks for events, and lets the subscription rest when there are none. An event that appears in between is seen
// by the second look, or by whoever wakes those that rest: one of them takes the subscription back to work.
func (p *push) read(ctx context.Context, n models.Subscription) (PushNext, error) {
	wake, stop := p.w.feed.WatchEvents(n.Party)
	defer stop()
	head, err := p.w.feed.FeedHead(ctx, n.Party)
	if err != nil {
		return "", err
	}
	p.since = n.Cursor
	if p.waiting, err = p.w.feed.EventsAfter(ctx, n.Party, n.Cursor, n.Filter(), pushBatch); err != nil || len(p.waiting) > 0 {
		return "", err
	}
	if p.linger {
		p.linger = false
		return "", await(ctx, wake)
	}
	rests, err := p.w.subscriptions.RestSubscription(ctx, n, head)
	if err != nil || !rests {
		return "", err
	}
	later, err := p.w.feed.FeedHead(ctx, n.Party)
	if err != nil {
		return "", err
	}
	if later > head {
		if resumed, err := p.w.subscriptions.ResumeSubscription(ctx, p.id); err != nil || resumed {
			return "", err
		}
	}
	return PushIdle, nil
}

// await waits for events, for as long as a push lingers.
func await(ctx context.Context, wake <-chan struct{}) error {
	enough := time.NewTimer(lingers)
	defer enough.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-enough.C:
	}
	return nil
}

func (p *push) deliver(ctx context.Context, n models.Subscription, e models.Event) (PushNext, error) {
	body, err := json.Marshal(models.NewCloudEvent(e, models.EventSource(p.w.publicURL)))
	if err != nil {
		return "", fmt.Errorf("write event: %w", err)
	}
	answer, err := p.w.sender.Send(ctx, p.w.message(n, e.ID, body))
	if err != nil {
		return "", err
	}
	if !answer.Delivered() {
		return p.fail(ctx, n, &e, answer)
	}
	moved, err := p.w.subscriptions.AdvanceSubscription(ctx, n, e)
	if moved {
		p.linger = true
		p.result.Pushed++
		p.result.Cursor, p.since, p.waiting = e.Seq, e.Seq, p.waiting[1:]
	}
	return "", err
}

// validate asks an endpoint whether it wants to be told at all.
func (p *push) validate(ctx context.Context, n models.Subscription) (PushNext, error) {
	// one event, however often it is sent
	id := uuid.NewSHA1(validationSpace, fmt.Appendf(nil, "%d/%d", n.ID, n.Created.UnixNano()))
	body, err := p.w.subscriptionEvent(n, models.EventValidateSubscription, id, n.Created)
	if err != nil {
		return "", err
	}
	answer, err := p.w.sender.Send(ctx, p.w.message(n, id, body))
	if err != nil {
		return "", err
	}
	if !answer.Delivered() {
		return p.fail(ctx, n, nil, answer)
	}
	_, err = p.w.subscriptions.ValidateSubscription(ctx, n)
	return "", err
}

// fail notes what an endpoint did not take, and gives Temporal the time of the next attempt.
func (p *push) fail(ctx context.Context, n models.Subscription, e *models.Event, a models.Answer) (PushNext, error) {
	if a.Busy {
		return "", later("Other events are being sent to the same host.", jitter(n.ID, activity.GetInfo(ctx).Attempt, busyWait))
	}
	wait := max(backoff(n.ID, activity.GetInfo(ctx).Attempt), a.RetryAfter)
	if p.result.Pushed > 0 {
		wait = 0 // the next push tries at once, and waits then
	}
	disabled, err := p.w.subscriptions.FailSubscription(ctx, n, e, a.Fault, p.w.now().Add(wait), a.Gone)
	if err != nil {
		return "", err
	}
	if disabled {
		return PushDisabled, nil
	}
	return "", later(a.Fault, wait)
}

// The waits between attempts.
const (
	firstWait = time.Second
	longest   = time.Hour
	busyWait  = 500 * time.Millisecond
)

// backoff is how long to wait after an attempt, counted from 1: a second, twice as long each time, at most an hour.
func backoff(id int64, attempt int32) time.Duration {
	wait := longest
	if attempt < 13 {
		wait = min(firstWait<<(attempt-1), longest)
	}
	return jitter(id, attempt, wait)
}

// jitter makes a wait up to a fifth longer, so that subscriptions that failed together do not come back together.
func jitter(id int64, attempt int32, wait time.Duration) time.Duration {
	h := fnv.New32a()
	fmt.Fprintf(h, "%d/%d", id, attempt)
	return wait + wait/5*time.Duration(h.Sum32()%1000)/1000
}

func later(why string, wait time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(why, errDelivery, temporal.ApplicationErrorOptions{
		NextRetryDelay: max(wait, time.Millisecond), // zero would leave it to the policy
	})
}

func isDelivery(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.Type() == errDelivery
}

// beatEvery is how often Temporal hears that a push goes on; a cancellation comes back with the beat.
const beatEvery = time.Second

// beat tells Temporal that the activity goes on, until it is stopped.
func beat(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return func() { cancel(); <-done }
}
