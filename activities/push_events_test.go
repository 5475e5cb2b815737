package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/formidling/formidling/models"
)

const subscriber models.Party = "0192:910000002"

// hook is one subscription, its organisation's feed, and an endpoint that answers as told. It is asked by one goroutine.
type hook struct {
	t    *testing.T
	n    models.Subscription
	feed []models.Event
	now  time.Time

	gone    bool
	sent    []string // type and id of what the endpoint got
	bodies  [][]byte
	answer  func(models.Message) (models.Answer, error)
	head    func() int64 // nil: the number of the last event
	rested  int
	rests   bool // whether it may
	resumes bool // whether it is taken back to work
	resumed int
	removed bool
	failed  []string
	next    time.Time
	final   bool
	disable bool  // what a failure ends in
	broken  error // of every method of the store
}

func newHook(t *testing.T, events ...models.EventType) *hook {
	t.Helper()
	h := &hook{
		t: t, now: time.Unix(1000, 0).UTC(), rests: true,
		n: models.Subscription{ID: 7, Party: subscriber, EndPoint: "https://e/hook", Status: models.SubscriptionActive, Created: time.Unix(1, 0).UTC(), Secrets: []models.SealedSecret{{Sealed: "s"}}},
	}
	for i, kind := range events {
		h.feed = append(h.feed, models.Event{Party: subscriber, Seq: int64(i + 1), ID: uuid.New(), Type: kind, TransferID: uuid.New(), ResourceID: "svc", Role: models.RoleRecipient, At: h.now})
	}
	h.answer = func(models.Message) (models.Answer, error) { return models.Answer{Status: 200}, nil }
	return h
}

func (h *hook) Subscription(_ context.Context, id int64) (models.Subscription, error) {
	require.Equal(h.t, int64(7), id)
	if h.gone {
		return models.Subscription{}, models.ErrSubscriptionNotFound
	}
	return h.n, h.broken
}

func (h *hook) ValidateSubscription(_ context.Context, n models.Subscription) (bool, error) {
	h.n.Status = models.SubscriptionActive
	return n.Status == models.SubscriptionUnvalidated, nil
}

func (h *hook) AdvanceSubscription(_ context.Context, n models.Subscription, e models.Event) (bool, error) {
	if n.Cursor != h.n.Cursor {
		return false, nil
	}
	h.n.Cursor = e.Seq
	return true, nil
}

func (h *hook) FailSubscription(_ context.Context, _ models.Subscription, e *models.Event, why string, next time.Time, final bool) (bool, error) {
	what := "validation"
	if e != nil {
		what = string(e.Type)
	}
	h.failed, h.next, h.final = append(h.failed, what+": "+why), next, final
	return h.disable || final, nil
}
func (h *hook) RemoveSubscription(context.Context, int64) error { h.removed = true; return nil }
func (h *hook) RestSubscription(_ context.Context, n models.Subscription, head int64) (bool, error) {
	h.rested++
	if h.rests {
		h.n.Cursor = max(head, n.Cursor)
	}
	return h.rests, nil
}

func (h *hook) ResumeSubscription(context.Context, int64) (bool, error) {
	h.resumed++
	return h.resumes, nil
}

func (h *hook) EventsAfter(_ context.Context, p models.Party, after int64, _ models.EventFilter, limit int) ([]models.Event, error) {
	require.Equal(h.t, subscriber, p)
	out := h.feed[min(after, int64(len(h.feed))):]
	return out[:min(limit, len(out))], nil
}

func (h *hook) FeedHead(context.Context, models.Party) (int64, error) {
	if h.head != nil {
		return h.head(), nil
	}
	return int64(len(h.feed)), nil
}

// WatchEvents wakes at once, so that no test waits.
func (h *hook) WatchEvents(models.Party) (<-chan struct{}, func()) {
	c := make(chan struct{})
	close(c)
	return c, func() {}
}

func (h *hook) Send(_ context.Context, m models.Message) (models.Answer, error) {
	require.Equal(h.t, "https://e/hook", m.EndPoint)
	require.Equal(h.t, subscriber, m.Party)
	require.Equal(h.t, []string{"s"}, m.Secrets)
	var e struct{ ID, Type string }
	require.NoError(h.t, json.Unmarshal(m.Body, &e))
	require.Equal(h.t, m.ID.String(), e.ID)
	h.sent, h.bodies = append(h.sent, e.Type), append(h.bodies, m.Body)
	return h.answer(m)
}

func (h *hook) webhooks() *Webhooks {
	return NewWebhooks(h, h, h, "https://broker/", func() time.Time { return h.now })
}

// push runs one activity, the first attempt of it.
func (h *hook) push() (PushResult, error) {
	h.t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent{})
	env := suite.NewTestActivityEnvironment()
	w := h.webhooks()
	env.RegisterActivity(w.PushEvents)
	value, err := env.ExecuteActivity(w.PushEvents, PushInput{ID: 7})
	var out PushResult
	if err == nil {
		require.NoError(h.t, value.Get(&out))
	}
	return out, err
}

// silent is a logger that says nothing.
type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}

func TestPushEvents_TellsAllInOrderAndRests(t *testing.T) {
	t.Parallel()
	h := newHook(t, models.EventInitialized, models.EventPublished, models.EventPurged)
	out, err := h.push()
	require.NoError(t, err)
	require.Equal(t, PushResult{Next: PushIdle, Pushed: 3, Cursor: 3}, out)
	require.Equal(t, []string{models.EventInitialized.FullType(), models.EventPublished.FullType(), models.EventPurged.FullType()}, h.sent)
	require.Equal(t, 1, h.rested)
	require.JSONEq(t, `{"specversion":"1.0","id":"`+h.feed[1].ID.String()+`","type":"no.altinn.broker.published","time":"1970-01-01T00:16:40Z",
		"resource":"urn:altinn:resource:svc","resourceinstance":"`+h.feed[1].TransferID.String()+`","subject":"urn:altinn:organization:identifier-no:910000002",
		"source":"https://broker/broker/api/v1/filetransfer","data":{"Role":"Recipient"}}`, string(h.bodies[1]))
}

func TestPushEvents_SeesWhatCameWhileItWentToRest(t *testing.T) {
	t.Parallel()
	heads := func(numbers ...int64) func() int64 {
		return func() int64 { n := numbers[0]; numbers = numbers[min(1, len(numbers)-1):]; return n }
	}
	h := newHook(t)
	h.head, h.resumes = heads(0, 1, 1), true
	out, err := h.push()
	require.NoError(t, err)
	require.Equal(t, 1, h.resumed)
	require.Equal(t, 2, h.rested, "it looked again")
	require.Equal(t, PushIdle, out.Next)

	h = newHook(t)
	h.head = heads(0, 1)
	out, err = h.push()
	require.NoError(t, err)
	require.Equal(t, 1, h.resumed)
	require.Equal(t, PushIdle, out.Next, "somebody else woke it")
}

func TestPushEvents_EndsOrWaitsAsItsOwnerDecided(t *testing.T) {
	t.Parallel()
	h := newHook(t, models.EventPublished)
	h.n.Status = models.SubscriptionDeleted
	out, err := h.push()
	require.NoError(t, err)
	require.Equal(t, PushGone, out.Next)
	require.True(t, h.removed)

	h = newHook(t, models.EventPublished)
	h.gone = true
	out, err = h.push()
	require.NoError(t, err)
	require.Equal(t, PushGone, out.Next)

	h = newHook(t, models.EventPublished)
	h.n.Status = models.SubscriptionDisabled
	out, err = h.push()
	require.NoError(t, err)
	require.Equal(t, PushDisabled, out.Next)
	require.Empty(t, h.sent)

	h = newHook(t)
	h.broken = errors.New("database")
	_, err = h.push()
	require.ErrorContains(t, err, "database")
}

func TestPushEvents_AsksAnEndpointFirstWhetherItWantsToBeTold(t *testing.T) {
	t.Parallel()
	h := newHook(t, models.EventPublished)
	h.n.Status = models.SubscriptionUnvalidated
	out, err := h.push()
	require.NoError(t, err)
	require.Equal(t, []string{models.EventValidateSubscription, models.EventPublished.FullType()}, h.sent)
	require.Equal(t, 1, out.Pushed)
	require.Contains(t, string(h.bodies[0]), `"data":{"subscription":"7"}`)

	again := newHook(t)
	again.n.Status = models.SubscriptionUnvalidated
	again.answer = func(models.Message) (models.Answer, error) { return models.Answer{Status: 404, Fault: "HTTP 404"}, nil }
	_, err = again.push()
	require.ErrorContains(t, err, "HTTP 404")
	require.Equal(t, []string{"validation: HTTP 404"}, again.failed)
	require.Equal(t, h.bodies[0], again.bodies[0], "it is one event, however often it is sent")
}

func TestPushEvents_SaysWhenToTryAgain(t *testing.T) {
	t.Parallel()
	refused := func(a models.Answer) func(models.Message) (models.Answer, error) {
		return func(models.Message) (models.Answer, error) { return a, nil }
	}
	since := func(d time.Duration) *time.Time { at := time.Unix(1000, 0).Add(-d); return &at }
	for name, c := range map[string]struct {
		answer      models.Answer
		since       *time.Time
		least, most time.Duration
		failed      bool
	}{
		"at first":             {models.Answer{Fault: "down"}, nil, time.Second, 1200 * time.Millisecond, true},
		"as long as it failed": {models.Answer{Fault: "down"}, since(10 * time.Minute), 10 * time.Minute, 12 * time.Minute, true},
		"at most an hour":      {models.Answer{Fault: "down"}, since(48 * time.Hour), time.Hour, 72 * time.Minute, true},
		"as it asked":          {models.Answer{Fault: "busy", RetryAfter: 5 * time.Hour}, nil, 5 * time.Hour, 5 * time.Hour, true},
		"others are in line":   {models.Answer{Busy: true}, since(48 * time.Hour), busyWait, 600 * time.Millisecond, false},
	} {
		h := newHook(t, models.EventPublished)
		h.answer, h.n.FailingSince = refused(c.answer), c.since
		_, err := h.push()
		var app *temporal.ApplicationError
		require.ErrorAs(t, err, &app, name)
		require.True(t, isDelivery(err), name)
		require.GreaterOrEqual(t, app.NextRetryDelay(), c.least, name)
		require.LessOrEqual(t, app.NextRetryDelay(), c.most, name)
		require.Zero(t, h.n.Cursor, name)
		if c.failed {
			require.Equal(t, []string{"published: " + c.answer.Fault}, h.failed, name)
			require.Equal(t, h.now.Add(app.NextRetryDelay()), h.next, "%s: its owner is told the same", name)
		} else {
			require.Empty(t, h.failed, "%s: that says nothing of the endpoint", name)
		}
	}
}

func TestPushEvents_StopsWhereTheEndpointNoLongerTakesThem(t *testing.T) {
	t.Parallel()
	h := newHook(t, models.EventInitialized, models.EventPublished)
	h.answer = func(m models.Message) (models.Answer, error) {
		if m.ID == h.feed[1].ID {
			return models.Answer{Fault: "down"}, nil
		}
		return models.Answer{Status: 200}, nil
	}
	out, err := h.push()
	require.NoError(t, err, "what was delivered is told; the next push counts its attempts afresh")
	require.Equal(t, PushResult{Next: PushMore, Pushed: 1, Cursor: 1}, out)
	require.Equal(t, h.now, h.next, "and tries at once")

	for name, spoil := range map[string]func(*hook){
		"three days": func(h *hook) { h.disable = true },
		"answers 410": func(h *hook) {
			h.answer = func(models.Message) (models.Answer, error) { return models.Answer{Fault: "HTTP 410", Gone: true}, nil }
		},
	} {
		h := newHook(t, models.EventPublished)
		h.answer = func(models.Message) (models.Answer, error) { return models.Answer{Fault: "down"}, nil }
		spoil(h)
		out, err := h.push()
		require.NoError(t, err, name)
		require.Equal(t, PushDisabled, out.Next, name)
		require.Equal(t, name == "answers 410", h.final, name)
	}

	h = newHook(t, models.EventPublished)
	h.answer = func(models.Message) (models.Answer, error) { return models.Answer{}, errors.New("no keys") }
	_, err = h.push()
	require.ErrorContains(t, err, "no keys", "a fault of ours is not the endpoint's")
	require.False(t, isDelivery(err))
	require.Empty(t, h.failed)
}

func TestPushEvents_LeavesAPlaceThatSomebodyElseMoved(t *testing.T) {
	t.Parallel()
	h := newHook(t, models.EventInitialized, models.EventPublished)
	h.answer = func(m models.Message) (models.Answer, error) {
		if m.ID == h.feed[0].ID {
			h.n.Cursor = 2 // its owner skipped both
		}
		return models.Answer{Status: 200}, nil
	}
	out, err := h.push()
	require.NoError(t, err)
	require.Equal(t, PushResult{Next: PushIdle, Pushed: 0, Cursor: 2}, out)
	require.Len(t, h.sent, 1)
}

func TestPushEvents_TellsTheWorkflowAfterAMinuteHowFarItCame(t *testing.T) {
	t.Parallel()
	h := newHook(t, models.EventInitialized, models.EventPublished)
	h.answer = func(models.Message) (models.Answer, error) {
		h.now = h.now.Add(pushBudget)
		return models.Answer{Status: 200}, nil
	}
	out, err := h.push()
	require.NoError(t, err)
	require.Equal(t, PushResult{Next: PushMore, Pushed: 1, Cursor: 1}, out)
}

func TestPushEvents_LeavesTheRestToAnotherWorkerWhenItsOwnStops(t *testing.T) {
	t.Parallel()
	h := newHook(t, models.EventPublished)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent{})
	env := suite.NewTestActivityEnvironment()
	stop := make(chan struct{})
	close(stop)
	env.SetWorkerStopChannel(stop)
	w := h.webhooks()
	env.RegisterActivity(w.PushEvents)
	value, err := env.ExecuteActivity(w.PushEvents, PushInput{ID: 7})
	require.NoError(t, err)
	var out PushResult
	require.NoError(t, value.Get(&out))
	require.Equal(t, PushMore, out.Next)
	require.Empty(t, h.sent)
}

func TestSendTestEvent_TellsHowTheEndpointAnswered(t *testing.T) {
	t.Parallel()
	event := uuid.New()
	h := newHook(t)
	h.n.Status = models.SubscriptionDisabled
	h.answer = func(models.Message) (models.Answer, error) {
		h.now = h.now.Add(30 * time.Millisecond)
		return models.Answer{Status: 500, Fault: "HTTP 500"}, nil
	}
	out, err := h.webhooks().SendTestEvent(t.Context(), TestInput{ID: 7, Event: event})
	require.NoError(t, err)
	require.Equal(t, models.TestResult{EventID: event, Status: 500, Error: "HTTP 500", TookMillis: 30}, out)
	require.Equal(t, []string{models.EventTestSubscription}, h.sent)
	require.Contains(t, string(h.bodies[0]), fmt.Sprintf(`"source":"https://broker/events/api/v1/subscriptions/%d"`, h.n.ID))
	require.Empty(t, h.failed, "a test moves nothing")

	h.answer = func(models.Message) (models.Answer, error) { return models.Answer{Status: 200}, nil }
	out, err = h.webhooks().SendTestEvent(t.Context(), TestInput{ID: 7, Event: event})
	require.NoError(t, err)
	require.True(t, out.Delivered)

	for name, spoil := range map[string]func(*hook){
		"busy": func(h *hook) {
			h.answer = func(models.Message) (models.Answer, error) { return models.Answer{Busy: true}, nil }
		},
		"broken": func(h *hook) {
			h.answer = func(models.Message) (models.Answer, error) { return models.Answer{}, errors.New("x") }
		},
		"gone":    func(h *hook) { h.gone = true },
		"deleted": func(h *hook) { h.n.Status = models.SubscriptionDeleted },
	} {
		h := newHook(t)
		spoil(h)
		_, err = h.webhooks().SendTestEvent(t.Context(), TestInput{ID: 7, Event: event})
		require.Error(t, err, name)
		require.Equal(t, name == "gone" || name == "deleted", IsRefusal(err), "%s: who deleted it needs no other try", name)
	}
}
