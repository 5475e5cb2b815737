package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

// SubscriptionInput names a subscription. Where it stands is in the database, so a workflow that somebody ended is
// started anew from there.
type SubscriptionInput struct{ ID int64 }

// Subscription pushes its organisation's events to the endpoint of one subscription, in order, until the subscription is
// deleted. Between events it waits for SignalWake and costs nothing. Its workflow ID is SubscriptionID(in.ID).
func Subscription(ctx workflow.Context, in SubscriptionInput) error {
	s := &subscription{in: in, wake: workflow.GetSignalChannel(ctx, SignalWake)}
	if err := s.listen(ctx); err != nil {
		return err
	}
	for !workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
		out, err := s.push(ctx)
		switch {
		case err != nil:
			return err
		case out.Next == activities.PushGone:
			return s.drain(ctx)
		case out.Next != activities.PushMore:
			s.describe(ctx, out)
			s.wake.Receive(ctx, nil)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err := s.drain(ctx); err != nil {
		return err
	}
	return workflow.NewContinueAsNewError(ctx, Subscription, in) // which begins with a push, as every wake asks for
}

type subscription struct {
	in      SubscriptionInput
	wake    workflow.ReceiveChannel
	testing bool
}

func (s *subscription) listen(ctx workflow.Context) error {
	o := workflow.UpdateHandlerOptions{Validator: s.maySendTest, Description: "sends a test event to the endpoint"}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateSendTest, s.sendTest, o)
}

// push sends the endpoint what there is. While that fails it is one pending activity, tried again for days; a wake
// meanwhile asks for a try at once.
func (s *subscription) push(ctx workflow.Context) (activities.PushResult, error) {
	for s.wake.ReceiveAsync(nil) { // this push is what they ask for
	}
	running, cancel := workflow.WithCancel(ctx)
	defer cancel()
	in := activities.PushInput{ID: s.in.ID}
	pushed := workflow.ExecuteActivity(patient(running, fmt.Sprintf("push events of subscription %d", s.in.ID)), w.PushEvents, in)
	woken := false
	workflow.NewSelector(ctx).
		AddFuture(pushed, func(workflow.Future) {}).
		AddReceive(s.wake, func(ch workflow.ReceiveChannel, _ bool) { woken = ch.ReceiveAsync(nil) }).
		Select(ctx)
	if woken {
		cancel()
	}
	var out activities.PushResult
	err := pushed.Get(ctx, &out)
	if (woken || temporal.IsTimeoutError(err)) && ctx.Err() == nil && out.Next != activities.PushGone {
		return activities.PushResult{Next: activities.PushMore}, nil
	}
	return out, err
}

// maySendTest refuses a second test while one is under way.
func (s *subscription) maySendTest(SendTest) error {
	if s.testing {
		return activities.Refusal(models.ErrTestRunning)
	}
	return nil
}

func (s *subscription) sendTest(ctx workflow.Context, m SendTest) (models.TestResult, error) {
	s.testing = true
	defer func() { s.testing = false }()
	var out models.TestResult
	in := activities.TestInput{ID: s.in.ID, Event: m.Event}
	err := workflow.ExecuteActivity(once(ctx, "send a test event"), w.SendTestEvent, in).Get(ctx, &out)
	return out, err
}

// describe tells operators where the subscription stands; it costs no event.
func (s *subscription) describe(ctx workflow.Context, out activities.PushResult) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**%s** since %s, at event %d",
		out.Next, workflow.Now(ctx).UTC().Format("2006-01-02 15:04:05 MST"), out.Cursor))
}

func (s *subscription) drain(ctx workflow.Context) error {
	return workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}

// w names the activities of subscriptions; its methods are never called here.
var w *activities.Webhooks
