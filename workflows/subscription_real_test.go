package workflows_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/webhook"
	"github.com/formidling/formidling/worker"
	"github.com/formidling/formidling/workflows"
)

// prepareWebhooks lets the workers push events to this machine, and wakes subscriptions as a worker process does.
func (r *real) prepareWebhooks(t *testing.T) {
	t.Helper()
	var err error
	r.keys, err = webhook.NewKeys("k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	require.NoError(t, err)
	g, err := webhook.NewGuard([]string{"127.0.0.0/8"})
	require.NoError(t, err)
	r.hooks = activities.NewWebhooks(r.Store, r.Store, webhook.NewSender(r.keys, g, webhook.Options{}), "https://broker.example", time.Now)
	ctx, stop := context.WithCancel(context.Background())
	dispatcher := worker.SubscriptionDispatcher{Notified: r.Notified(), Subscriptions: r.Store, Workflows: r.door, Log: quietLog()}
	var running sync.WaitGroup
	running.Go(func() { dispatcher.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// endpoint is a receiver of webhooks that answers as its test says.
type endpoint struct {
	*httptest.Server
	mu       sync.Mutex
	got      []hook
	answer   func(w http.ResponseWriter, h hook, n int) // n counts from 1
	arrivals chan hook
}

type hook struct {
	ID, Type, Transfer string
	Signatures         []string
	Body               string
	Header             http.Header
}

func listen(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{answer: func(http.ResponseWriter, hook, int) {}, arrivals: make(chan hook, 1000)}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var event struct{ Type, ResourceInstance string }
		if json.Unmarshal(body, &event) != nil {
			w.WriteHeader(http.StatusTeapot)
		}
		h := hook{
			ID: r.Header.Get("Webhook-Id"), Type: event.Type, Transfer: event.ResourceInstance, Body: string(body), Header: r.Header,
			Signatures: strings.Fields(r.Header.Get("Webhook-Signature")),
		}
		e.mu.Lock()
		e.got = append(e.got, h)
		answer, n := e.answer, len(e.got)
		e.mu.Unlock()
		answer(w, h, n)
		e.arrivals <- h
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) answers(f func(w http.ResponseWriter, h hook, n int)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = f
}

// next waits for one webhook.
func (e *endpoint) next(t *testing.T) hook {
	t.Helper()
	select {
	case h := <-e.arrivals:
		return h
	case <-time.After(20 * time.Second):
		require.Fail(t, "no webhook came")
		return hook{}
	}
}

func (r *real) subscribe(t *testing.T, p models.Party, endPoint string) models.Subscription {
	t.Helper()
	_, sealed, err := r.keys.NewSecret(p)
	require.NoError(t, err)
	n, _, err := r.InsertSubscription(t.Context(), models.Caller{Party: p}, models.Subscription{
		EndPoint: endPoint, TypeFilter: []string{}, Secrets: []models.SealedSecret{{Sealed: sealed}},
	})
	require.NoError(t, err)
	require.NoError(t, r.door.WakeSubscription(t.Context(), n.ID))
	return n
}

// subscribed is a subscription whose endpoint has answered the validation event.
func (r *real) subscribed(t *testing.T, p models.Party) (models.Subscription, *endpoint) {
	t.Helper()
	e := listen(t)
	n := r.subscribe(t, p, e.URL)
	require.Equal(t, models.EventValidateSubscription, e.next(t).Type)
	return n, e
}

// rests waits until a subscription has pushed everything and waits to be woken.
func (r *real) rests(t *testing.T, id int64) models.Subscription {
	t.Helper()
	var n models.Subscription
	require.Eventually(t, func() bool {
		var err error
		n, err = r.Subscription(t.Context(), id)
		require.NoError(t, err)
		return n.Status == models.SubscriptionActive && n.Busy == nil
	}, 20*time.Second, 10*time.Millisecond)
	return n
}

func (r *real) initialize(t *testing.T) string {
	t.Helper()
	s := r.submission(t, bob)
	_, err := r.door.Initialize(t.Context(), s)
	require.NoError(t, err)
	return s.ID.String()
}

func TestWebhooks_PushEveryEventOnceAndInOrder(t *testing.T) {
	r := setupReal(t, client.Options{})
	_, first := r.subscribed(t, alice)
	_, second := r.subscribed(t, alice)
	second.answers(func(w http.ResponseWriter, _ hook, n int) {
		if n%3 == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	var want []string
	for range 6 {
		want = append(want, r.initialize(t))
	}
	for _, id := range want {
		require.Equal(t, id, first.next(t).Transfer, "the other one's failures hold nothing up")
	}
	var seen []string
	ids := map[string]string{}
	for len(seen) < len(want) {
		h := second.next(t)
		if before, again := ids[h.Transfer]; again {
			require.Equal(t, before, h.ID, "an event that is sent again has the same webhook-id")
			continue
		}
		ids[h.Transfer], seen = h.ID, append(seen, h.Transfer)
	}
	require.Equal(t, want, seen)
}

func TestWebhooks_StayInOrderWhileWorkersComeAndGo(t *testing.T) {
	r := setupReal(t, client.Options{})
	n, e := r.subscribed(t, alice)
	gates, arrived := make(chan chan struct{}, 1), make(chan struct{})
	e.answers(func(w http.ResponseWriter, _ hook, n int) {
		select {
		case gate := <-gates:
			arrived <- struct{}{}
			<-gate
		default:
		}
		if n%7 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	var want []string
	for range 3 {
		gate, stopped := make(chan struct{}), make(chan struct{})
		gates <- gate
		for range 5 {
			want = append(want, r.initialize(t))
		}
		<-arrived // so that the worker is stopped in the middle of a push
		go func() { defer close(stopped); r.stop() }()
		close(gate)
		<-stopped
		r.work(t)
	}
	r.rests(t, n.ID)
	var pushed []string
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.got[1:] {
		if !slices.Contains(pushed, h.Transfer) {
			pushed = append(pushed, h.Transfer)
		}
	}
	require.Equal(t, want, pushed)
}

func TestWebhooks_GoOnFromTheCursorWhenTheWorkflowWasTerminated(t *testing.T) {
	r := setupReal(t, client.Options{})
	n, e := r.subscribed(t, alice)
	earlier := r.initialize(t)
	require.Equal(t, earlier, e.next(t).Transfer)
	r.rests(t, n.ID)
	require.NoError(t, r.temporal.TerminateWorkflow(t.Context(), workflows.SubscriptionID(n.ID), "", "an operator did it"))
	later := r.initialize(t)
	require.Equal(t, later, e.next(t).Transfer)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, r.status(t, n.ID))
}

func (r *real) status(t *testing.T, id int64) enumspb.WorkflowExecutionStatus {
	t.Helper()
	d, err := r.temporal.DescribeWorkflowExecution(t.Context(), workflows.SubscriptionID(id), "")
	require.NoError(t, err)
	return d.GetWorkflowExecutionInfo().GetStatus()
}

func TestWebhooks_AreReplayedRotatedTestedAndEnded(t *testing.T) {
	r := setupReal(t, client.Options{})
	by := models.Caller{Party: alice}
	n, e := r.subscribed(t, alice)
	first, second := r.initialize(t), r.initialize(t)
	a, b := e.next(t), e.next(t)
	require.Equal(t, []string{first, second}, []string{a.Transfer, b.Transfer})
	require.Len(t, a.Signatures, 2)

	r.rests(t, n.ID)
	from, err := uuid.Parse(a.ID)
	require.NoError(t, err)
	_, err = r.ReplaySubscription(t.Context(), by, n.ID, from, models.Condition{Unconditional: true})
	require.NoError(t, err)
	require.NoError(t, r.door.WakeSubscription(t.Context(), n.ID))
	require.Equal(t, a.ID, e.next(t).ID)
	require.Equal(t, b.ID, e.next(t).ID)

	_, sealed, err := r.keys.NewSecret(alice)
	require.NoError(t, err)
	_, err = r.RotateSubscription(t.Context(), by, n.ID, sealed, time.Hour, models.Condition{Unconditional: true})
	require.NoError(t, err)
	test, err := r.door.TestSubscription(t.Context(), n.ID, uuid.New())
	require.NoError(t, err)
	require.True(t, test.Delivered)
	h := e.next(t)
	require.Equal(t, models.EventTestSubscription, h.Type)
	require.Equal(t, test.EventID.String(), h.ID)
	require.Len(t, h.Signatures, 3, "both secrets sign")

	require.NoError(t, r.DeleteSubscription(t.Context(), by, n.ID, models.Condition{Unconditional: true}))
	require.NoError(t, r.door.WakeSubscription(t.Context(), n.ID))
	require.NoError(t, r.temporal.GetWorkflow(t.Context(), workflows.SubscriptionID(n.ID), "").Get(t.Context(), nil))
	_, err = r.Subscription(t.Context(), n.ID)
	require.ErrorIs(t, err, models.ErrSubscriptionNotFound)
	r.initialize(t)
	_, err = r.door.TestSubscription(t.Context(), n.ID, uuid.New())
	require.ErrorIs(t, err, models.ErrSubscriptionNotFound)
	require.Empty(t, e.arrivals)
}

func TestWebhooks_ASlowEndpointHoldsNoTransfer(t *testing.T) {
	r := setupReal(t, client.Options{})
	_, e := r.subscribed(t, alice)
	release := make(chan struct{})
	arrived := make(chan struct{}, 1)
	e.answers(func(http.ResponseWriter, hook, int) { arrived <- struct{}{}; <-release })
	t.Cleanup(func() { close(release) })
	r.initialize(t)
	<-arrived
	began := time.Now()
	s := r.publish(t, bob)
	require.NoError(t, r.confirm(t, s, bob))
	require.Less(t, time.Since(began), 5*time.Second)
}

func TestWebhooks_LeaveNoSecretInHistories(t *testing.T) {
	r := setupReal(t, client.Options{}) // payloads in clear
	n, e := r.subscribed(t, alice)
	e.answers(func(w http.ResponseWriter, _ hook, n int) {
		if n == 2 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	r.initialize(t)
	e.next(t)
	e.next(t)
	n = r.rests(t, n.ID)
	secret, err := r.keys.Secret(alice, n.Secrets[0].Sealed)
	require.NoError(t, err)
	h := r.history(t, workflows.SubscriptionID(n.ID))
	text := h.String()
	for _, hidden := range []string{secret, strings.TrimPrefix(secret, "whsec_"), n.Secrets[0].Sealed, e.URL} {
		require.NotContains(t, text, hidden)
	}
}
