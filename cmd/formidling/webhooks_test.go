package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// receiver takes webhooks; while it is held, it does not answer.
type receiver struct {
	*httptest.Server
	arrived chan received
	mu      sync.Mutex
	hold    chan struct{} // nil: it answers at once
}

type received struct{ ID, Type, Transfer string }

func receive(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{arrived: make(chan received, 1000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		var e struct{ Type, ResourceInstance string }
		if json.NewDecoder(q.Body).Decode(&e) != nil {
			return
		}
		r.mu.Lock()
		hold := r.hold
		r.mu.Unlock()
		r.arrived <- received{q.Header.Get("Webhook-Id"), e.Type, e.ResourceInstance}
		if hold != nil {
			select {
			case <-hold:
			case <-q.Context().Done():
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) next(t *testing.T) received {
	t.Helper()
	select {
	case e := <-r.arrived:
		return e
	case <-time.After(60 * time.Second):
		require.Fail(t, "no webhook came")
		return received{}
	}
}

// events calls the part of the API that is about events.
func (i *installation) events(by models.Party, method, path, body string, want int, into any) {
	i.t.Helper()
	r, err := http.NewRequestWithContext(i.t.Context(), method, i.url+"/events/api/v1"+path, strings.NewReader(body))
	require.NoError(i.t, err)
	r.Header.Set("Authorization", "Bearer "+i.as(by).Token)
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	require.NoError(i.t, err)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	require.NoError(i.t, err)
	require.Equal(i.t, want, response.StatusCode, string(raw))
	if into != nil {
		require.NoError(i.t, json.Unmarshal(raw, into))
	}
}

func TestKilledWorker_InMidDeliveryTheWebhookIsSentAgain(t *testing.T) {
	t.Parallel()
	i := installWith(t, "FORMIDLING_WEBHOOK_EXCEPTIONS=127.0.0.0/8")
	i.makeService()
	r := receive(t)
	var n struct {
		ID     int64
		Status string
		Lag    int64
	}
	i.events(testSender, "POST", "/subscriptions", `{"endPoint":"`+r.URL+`/hook"}`, http.StatusCreated, &n)
	require.Equal(t, models.EventValidateSubscription, r.next(t).Type)

	hold := make(chan struct{})
	r.mu.Lock()
	r.hold = hold
	r.mu.Unlock()
	first, second := i.initialize(), ""
	held := r.next(t)
	require.Equal(t, first, held.Transfer)
	i.worker.Kill()
	r.mu.Lock()
	r.hold = nil
	r.mu.Unlock()
	close(hold)
	i.startWorker()
	second = i.initialize()
	require.Equal(t, held, r.next(t), "the same event, with the same webhook-id")
	require.Equal(t, second, r.next(t).Transfer, "and then the next one")

	// an API that dies right after it accepted, and a Temporal that is away meanwhile, lose nothing
	i.temporal.Kill()
	i.events(testSender, "POST", fmt.Sprintf("/subscriptions/%d/replay", n.ID), `{"from":"`+held.ID+`"}`, http.StatusOK, nil)
	i.api.Kill()
	i.startTemporal()
	i.startAPI()
	require.Equal(t, held, r.next(t))
	require.Equal(t, second, r.next(t).Transfer)
	require.Eventually(t, func() bool {
		i.events(testSender, "GET", fmt.Sprintf("/subscriptions/%d", n.ID), "", http.StatusOK, &n)
		return n.Status == "active" && n.Lag == 0
	}, 20*time.Second, 50*time.Millisecond)
}

func TestWebhooks_HaveKeysOfTheirOwnInDevelopmentAndGoNowhereElse(t *testing.T) {
	t.Parallel()
	c := config{Data: t.TempDir()}
	first, err := newWebhooks(&c, true)
	require.NoError(t, err)
	again, err := newWebhooks(&c, true)
	require.NoError(t, err)
	require.Equal(t, first.PublicKeys(), again.PublicKeys())
	info, err := os.Stat(filepath.Join(c.Data, "webhook.key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, first.Check(t.Context(), "http://127.0.0.1:9/"))

	c.PayloadKeys = "k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	shared, err := newWebhooks(&c, false)
	require.NoError(t, err)
	require.NotEqual(t, first.PublicKeys(), shared.PublicKeys())
	require.Error(t, shared.Check(t.Context(), "http://127.0.0.1:9/"))
	c.WebhookExceptions = []string{"not a host"}
	_, err = newWebhooks(&c, false)
	require.ErrorContains(t, err, "FORMIDLING_WEBHOOK_EXCEPTIONS")
}
