package apitest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/events"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/webhook"
)

// Feed is the path of the event feed.
const Feed = "/events/api/v1/events"

// EventsOf reads a page of a party's events; query begins with ? or is empty.
func (b *Bundle) EventsOf(by models.Party, query string) ([]contract.CloudEvent, Reply) {
	b.T.Helper()
	a := b.Call(by, "GET", Feed+query, "").Is(http.StatusOK, "")
	var events []contract.CloudEvent
	a.JSON(&events)
	return events, a
}

// Waiting waits until so many wait for a party's events.
func (b *Bundle) Waiting(p models.Party, n int) {
	b.T.Helper()
	require.Eventually(b.T, func() bool { return b.Server.Listening(p) == n }, 20*time.Second, time.Millisecond)
}

// Stream is a client of server-sent events.
type Stream struct {
	t        testing.TB
	Stop     context.CancelFunc
	Body     *bufio.Scanner
	Response *http.Response
}

// Stream opens a stream of an organisation's events.
func (b *Bundle) Stream(by models.Party, query string, headers ...string) *Stream {
	b.T.Helper()
	ctx, cancel := context.WithCancel(b.T.Context())
	r := b.Request(by, "GET", Feed+query, nil, append([]string{"Accept", "text/event-stream"}, headers...)...).WithContext(ctx)
	response, err := http.DefaultClient.Do(r)
	require.NoError(b.T, err)
	require.Equal(b.T, http.StatusOK, response.StatusCode)
	require.NoError(b.T, mustChecker(b.T).check(r, &http.Response{
		StatusCode: response.StatusCode, Header: response.Header, Request: r, Body: http.NoBody, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}))
	b.T.Cleanup(func() { cancel(); _ = response.Body.Close() })
	return &Stream{b.T, cancel, bufio.NewScanner(response.Body), response}
}

// Block reads one block of lines; false at the end.
func (s *Stream) Block() (map[string]string, bool) {
	s.t.Helper()
	fields := map[string]string{}
	for s.Body.Scan() {
		line := s.Body.Text()
		if line == "" {
			return fields, true
		}
		name, value, ok := strings.Cut(line, ": ")
		require.True(s.t, ok, line)
		fields[name] = value
	}
	return fields, false
}

// Next reads the next event.
func (s *Stream) Next() contract.CloudEvent {
	s.t.Helper()
	for {
		f, ok := s.Block()
		require.True(s.t, ok, "the stream ended")
		if f["data"] == "" {
			continue
		}
		var e contract.CloudEvent
		require.NoError(s.t, json.Unmarshal([]byte(f["data"]), &e))
		require.Equal(s.t, e.ID.String(), f["id"])
		require.Equal(s.t, e.Type, f["event"])
		return e
	}
}

// Dispatcher stands for the workflows of subscriptions: it notes who is woken, and answers tests.
type Dispatcher struct {
	mu    sync.Mutex
	woken []int64
	err   error // what every call answers while it is set
}

// WakeSubscription implements events.Subscribers.
func (a *Dispatcher) WakeSubscription(_ context.Context, id int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.woken = append(a.woken, id)
	return a.err
}

// Woken are the subscriptions that were woken, in order.
func (a *Dispatcher) Woken() []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.woken)
}

// SetDown has every call answer with an error, until it is nil.
func (a *Dispatcher) SetDown(down error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = down
}

// TestSubscription implements events.Subscribers.
func (a *Dispatcher) TestSubscription(_ context.Context, _ int64, event uuid.UUID) (models.TestResult, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return models.TestResult{EventID: event, Status: 500, Error: "It answered 500.", TookMillis: 3}, a.err
}

type hooks struct {
	*webhook.Keys
	*webhook.Guard
}

// SetupSubscriptions is Setup with webhooks, to one host beside the public ones.
func SetupSubscriptions(t *testing.T) (*Bundle, *Dispatcher) {
	t.Helper()
	k, err := webhook.NewKeys("k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	require.NoError(t, err)
	g, err := webhook.NewGuard([]string{"hooks.internal"})
	require.NoError(t, err)
	a := &Dispatcher{}
	return Setup(t, func(s *Config) {
		s.Subscriptions, s.Subscribers, s.Webhooks, s.PublicURL = s.Services.(events.Subscriptions), a, hooks{k, g}, "https://broker.example"
	}), a
}

// Subscriptions is their path.
const Subscriptions = "/events/api/v1/subscriptions"

// Subscribe makes a subscription.
func (b *Bundle) Subscribe(by models.Party, body string, headers ...string) contract.Subscription {
	b.T.Helper()
	var out contract.Subscription
	b.Call(by, "POST", Subscriptions, body, headers...).Is(http.StatusCreated, "").JSON(&out)
	return out
}

// Subscription reads one.
func (b *Bundle) Subscription(by models.Party, id int64) contract.Subscription {
	b.T.Helper()
	var out contract.Subscription
	b.Call(by, "GET", fmt.Sprintf("%s/%d", Subscriptions, id), "").Is(http.StatusOK, "").JSON(&out)
	return out
}
