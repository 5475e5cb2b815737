package workflows_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/worker"
	"github.com/formidling/formidling/workflows"
)

// book is one subscription and its organisation's feed in memory, and an endpoint that answers as its test says.
type book struct {
	mu     sync.Mutex
	now    func() time.Time
	n      models.Subscription
	gone   bool
	feed   []models.Event
	answer func(kind string) models.Answer
	sent   []string // types and numbers, in the order of arrival
	at     []time.Time
}

func (b *book) Subscription(context.Context, int64) (models.Subscription, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return models.Subscription{}, models.ErrSubscriptionNotFound
	}
	return b.n, nil
}

func (b *book) change(n models.Subscription, do func()) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.n.Cursor != n.Cursor || b.n.Status != n.Status {
		return false, nil
	}
	do()
	return true, nil
}

func (b *book) RestSubscription(_ context.Context, n models.Subscription, head int64) (bool, error) {
	return b.change(n, func() { b.n.Cursor = max(head, n.Cursor) })
}

func (b *book) ResumeSubscription(context.Context, int64) (bool, error) { return true, nil }

func (b *book) ValidateSubscription(_ context.Context, n models.Subscription) (bool, error) {
	return b.change(n, func() { b.n.Status, b.n.FailingSince = models.SubscriptionActive, nil })
}

func (b *book) AdvanceSubscription(_ context.Context, n models.Subscription, e models.Event) (bool, error) {
	return b.change(n, func() { b.n.Cursor, b.n.FailingSince = e.Seq, nil })
}

func (b *book) FailSubscription(_ context.Context, n models.Subscription, _ *models.Event, why string, _ time.Time, final bool) (disabled bool, err error) {
	_, err = b.change(n, func() {
		now := b.now()
		if b.n.FailingSince == nil {
			b.n.FailingSince = &now
		}
		b.n.LastError = why
		if disabled = final || now.Sub(*b.n.FailingSince) >= models.GiveUpAfter; disabled {
			b.n.Status = models.SubscriptionDisabled
		}
	})
	return disabled, err
}

func (b *book) RemoveSubscription(context.Context, int64) error {
	b.set(func() { b.gone = true })
	return nil
}

func (b *book) FeedHead(context.Context, models.Party) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(len(b.feed)), nil
}

func (b *book) WatchEvents(models.Party) (wake <-chan struct{}, stop func()) {
	return nil, func() {}
}

func (b *book) EventsAfter(_ context.Context, _ models.Party, after int64, _ models.EventFilter, limit int) ([]models.Event, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := b.feed[min(after, int64(len(b.feed))):]
	return rest[:min(limit, len(rest))], nil
}

func (b *book) Send(_ context.Context, m models.Message) (models.Answer, error) {
	var e struct {
		Type             string
		ResourceInstance string
	}
	if err := json.Unmarshal(m.Body, &e); err != nil {
		return models.Answer{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent, b.at = append(b.sent, e.Type), append(b.at, b.now())
	return b.answer(e.Type), nil
}

// happen appends events to the feed.
func (b *book) happen(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range n {
		b.feed = append(b.feed, models.Event{Party: alice, Seq: int64(len(b.feed) + 1), ID: uuid.New(), Type: models.EventPublished, ResourceID: svc, TransferID: uuid.New()})
	}
}

// set changes or reads the book while its workflow runs.
func (b *book) set(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	do()
}

var (
	accepted = models.Answer{Status: 200}
	broken   = models.Answer{Status: 500, Fault: "It answered 500."}
)

func setupBook(t *testing.T) (*book, *testsuite.TestWorkflowEnvironment) {
	t.Helper()
	env := new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
	env.SetWorkflowRunTimeout(400 * 24 * time.Hour)
	env.SetTestTimeout(time.Minute)
	b := &book{now: env.Now, n: models.Subscription{ID: 7, Party: alice, Status: models.SubscriptionActive}}
	b.answer = func(string) models.Answer { return accepted }
	worker.RegisterWorkflows(env)
	worker.RegisterWebhooks(env, activities.NewWebhooks(b, b, b, "https://broker.example", env.Now))
	return b, env
}

func runBook(t *testing.T, env *testsuite.TestWorkflowEnvironment) {
	t.Helper()
	env.ExecuteWorkflow(workflows.Subscription, workflows.SubscriptionInput{ID: 7})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
}

func wake(env *testsuite.TestWorkflowEnvironment) {
	env.SignalWorkflow(workflows.SignalWake, workflows.Wake{})
}

func TestSubscription_IsValidatedBeforeItsFirstEvent(t *testing.T) {
	t.Parallel()
	b, env := setupBook(t)
	b.n.Status = models.SubscriptionUnvalidated
	tries := 0
	b.answer = func(kind string) models.Answer {
		if tries++; tries < 3 {
			return broken
		}
		return accepted
	}
	b.happen(2)
	env.RegisterDelayedCallback(func() { b.set(func() { b.n.Status = models.SubscriptionDeleted }); wake(env) }, time.Hour)
	runBook(t, env)
	validate, published := models.EventValidateSubscription, models.EventPublished.FullType()
	b.set(func() {
		require.Equal(t, []string{validate, validate, validate, published, published}, b.sent)
		require.True(t, b.gone)
	})
}

func TestSubscription_IsGivenUpAfterThreeDays(t *testing.T) {
	t.Parallel()
	b, env := setupBook(t)
	b.happen(3)
	b.answer = func(string) models.Answer { return broken }
	began := env.Now()
	env.RegisterDelayedCallback(func() {
		b.set(func() {
			require.Equal(t, models.SubscriptionDisabled, b.n.Status)
			require.Zero(t, b.n.Cursor, "no event was passed over")
			attempts := len(b.at)
			require.Greater(t, attempts, 60, "an hour at most lies between attempts")
			require.Less(t, attempts, 100)
			require.GreaterOrEqual(t, b.at[attempts-1].Sub(began), models.GiveUpAfter)
			require.Less(t, b.at[attempts-1].Sub(began), models.GiveUpAfter+90*time.Minute)
			b.n.Status, b.n.FailingSince = models.SubscriptionActive, nil
			b.answer = func(string) models.Answer { return accepted }
		})
		wake(env) // its owner enabled it
	}, models.GiveUpAfter+3*time.Hour)
	env.RegisterDelayedCallback(func() {
		b.set(func() {
			require.EqualValues(t, 3, b.n.Cursor, "it goes on where it stopped")
			b.n.Status = models.SubscriptionDeleted
		})
		wake(env)
	}, 10*24*time.Hour)
	runBook(t, env)
}

func TestSubscription_IsTriedAtOnceWhenItsOwnerSaysSo(t *testing.T) {
	t.Parallel()
	b, env := setupBook(t)
	b.happen(1)
	b.answer = func(string) models.Answer { return broken }
	var before int
	env.RegisterDelayedCallback(func() {
		b.set(func() {
			before = len(b.sent)
			b.answer = func(string) models.Answer { return accepted }
		})
		wake(env)
	}, 26*time.Hour+time.Minute)
	env.RegisterDelayedCallback(func() {
		b.set(func() {
			require.Len(t, b.sent, before+1)
			require.EqualValues(t, 1, b.n.Cursor)
			b.n.Status = models.SubscriptionDeleted
		})
		wake(env)
	}, 26*time.Hour+2*time.Minute)
	runBook(t, env)
}

func TestSubscription_EndsForGoodWhenTheEndpointIsGone(t *testing.T) {
	t.Parallel()
	b, env := setupBook(t)
	b.happen(1)
	b.answer = func(string) models.Answer { return models.Answer{Status: 410, Fault: "It answered 410.", Gone: true} }
	env.RegisterDelayedCallback(func() {
		b.set(func() {
			require.Len(t, b.sent, 1)
			require.Equal(t, models.SubscriptionDisabled, b.n.Status)
			b.n.Status = models.SubscriptionDeleted
		})
		wake(env)
	}, time.Minute)
	runBook(t, env)
}

func TestSubscription_WaitsAsLongAsTheEndpointAsks(t *testing.T) {
	t.Parallel()
	b, env := setupBook(t)
	b.happen(1)
	b.answer = func(string) models.Answer {
		if len(b.at) == 1 {
			return models.Answer{Status: 503, Fault: "It answered 503.", RetryAfter: 10 * time.Minute}
		}
		return accepted
	}
	env.RegisterDelayedCallback(func() { b.set(func() { b.n.Status = models.SubscriptionDeleted }); wake(env) }, time.Hour)
	runBook(t, env)
	b.set(func() {
		require.Len(t, b.at, 2)
		require.GreaterOrEqual(t, b.at[1].Sub(b.at[0]), 10*time.Minute)
		require.Less(t, b.at[1].Sub(b.at[0]), 11*time.Minute)
	})
}

func TestSubscription_TestsWhileItFailsAndOnlyOnceAtATime(t *testing.T) {
	t.Parallel()
	b, env := setupBook(t)
	b.happen(1)
	b.answer = func(string) models.Answer { return broken }
	results := []*answer{{t: t}, {t: t}}
	env.RegisterDelayedCallback(func() {
		for _, a := range results {
			env.UpdateWorkflow(workflows.UpdateSendTest, uuid.NewString(), a, workflows.SendTest{Event: uuid.New()})
		}
	}, 90*time.Second)
	env.RegisterDelayedCallback(func() {
		results[0].ok()
		got := results[0].value.(models.TestResult)
		require.Equal(t, 500, got.Status)
		require.False(t, got.Delivered)
		results[1].refused(models.ErrTestRunning)
		b.set(func() { b.n.Status = models.SubscriptionDeleted })
		wake(env)
	}, 2*time.Minute)
	runBook(t, env)
	b.set(func() { require.Contains(t, b.sent, models.EventTestSubscription) })
}
