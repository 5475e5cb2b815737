package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

const feed = "/events/api/v1/events"

// told reads a page of a party's events; query begins with ? or is empty.
func (b *bundle) told(by models.Party, query string) ([]contract.CloudEvent, reply) {
	b.t.Helper()
	a := b.call(by, "GET", feed+query, "").is(http.StatusOK, "")
	var events []contract.CloudEvent
	a.json(&events)
	return events, a
}

func types(events []contract.CloudEvent) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, strings.TrimPrefix(e.Type, "no.altinn.broker."))
	}
	return out
}

func TestEvents_HaveTheReferencesEnvelope(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish("hello")
	events, a := b.told(bob, "")
	require.Len(t, events, 1)
	var raw []map[string]any
	a.json(&raw)
	require.NotEmpty(t, raw[0]["id"])
	at, err := time.Parse(time.RFC3339Nano, raw[0]["time"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)
	require.True(t, strings.HasSuffix(raw[0]["time"].(string), "Z"))
	delete(raw[0], "id")
	delete(raw[0], "time")
	require.Equal(t, map[string]any{
		"specversion": "1.0", "type": "no.altinn.broker.published", "resource": "urn:altinn:resource:" + svc,
		"resourceinstance": id, "subject": "urn:altinn:organization:identifier-no:310000035",
		"source": publicURL + "/broker/api/v1/filetransfer", "data": map[string]any{"Role": "Recipient"},
	}, raw[0])
	again, _ := b.told(bob, "")
	require.Equal(t, events, again, "ids are stable")

	sent, _ := b.told(alice, "")
	require.Equal(t, []string{"filetransferinitialized", "uploadprocessing", "published"}, types(sent))
	require.Equal(t, contract.CloudEventDataRoleSender, sent[1].Data.Role)
	none, a := b.told(mallory, "")
	require.Empty(t, none)
	require.Equal(t, "[]", string(a.body))
	require.Empty(t, a.Header.Get("next"))
}

func TestEvents_SayWhyAnUploadFailed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize(func(m map[string]any) { m["checksum"] = strings.Repeat("0", 32) })
	b.upload(id, []byte("hello")).is(http.StatusBadRequest, "BRO-00009")
	events, _ := b.told(alice, "?type=uploadfailed")
	require.Len(t, events, 1)
	require.Equal(t, "checksummismatch", *events[0].Data.Reason)
	none, _ := b.told(bob, "")
	require.Empty(t, none, "it was never offered the file")
}

func TestEvents_ArePagedByTheNextHeader(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 4 {
		b.publish("hello")
	}
	all, _ := b.told(alice, "")
	require.Len(t, all, 12)
	var paged []contract.CloudEvent
	for query := "?size=3"; ; {
		events, a := b.told(alice, query)
		paged = append(paged, events...)
		if len(events) == 0 {
			require.Empty(t, a.Header.Get("next"))
			break
		}
		next, err := url.Parse(a.Header.Get("next"))
		require.NoError(t, err)
		require.Equal(t, publicURL+feed, "https://"+next.Host+next.Path)
		require.Equal(t, fmt.Sprintf("<%s>; rel=\"next\"", next), a.Header.Get("Link"))
		query = "?" + next.RawQuery
	}
	require.Equal(t, all, paged)
	some, _ := b.told(alice, "?type=no.altinn.broker.published&type=uploadfailed&resource=urn:altinn:resource:"+svc+"&subject="+alice.URN())
	require.Equal(t, []string{"published", "published", "published", "published"}, types(some))
	none, _ := b.told(alice, "?resource=another")
	require.Empty(t, none)
}

func TestEvents_AreTheCallersOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish("hello")
	own, _ := b.told(alice, "")
	b.call(bob, "GET", feed+"?after="+own[0].ID.String(), "").is(http.StatusBadRequest, "FMD-00070")
	b.call(bob, "GET", feed+"?after="+uuid.NewString(), "").is(http.StatusBadRequest, "FMD-00070")
	for query, field := range map[string]string{
		"?after=x": "after", "?after=urn:uuid:" + own[0].ID.String(): "after", "?size=0": "size", "?size=1001": "size", "?size=x": "size",
		"?wait=61": "wait", "?wait=-1": "wait", "?type=lost": "type", "?resource=a:b:c": "resource", "?subject=310": "subject", "?subject=" + string(alice): "subject",
	} {
		p := b.call(bob, "GET", feed+query, "").is(http.StatusBadRequest, "FMD-00001").problem()
		require.Contains(t, p.Errors, field, query)
	}
	require.Contains(t, b.call(bob, "GET", feed+"?resource=%00", "").is(http.StatusBadRequest, "").problem().Errors, "resource")
	b.call("", "GET", feed, "").is(http.StatusUnauthorized, "FMD-00008")
	r := b.request(alice, "GET", feed, nil)
	r.Header.Set("Authorization", "Bearer "+b.token(alice, models.ScopeServiceOwner))
	b.do(r).is(http.StatusForbidden, "FMD-00009")
	for _, scope := range []string{models.ScopeEvents, models.ScopeRead, models.ScopeWrite} {
		r.Header.Set("Authorization", "Bearer "+b.token(alice, scope))
		b.do(r).is(http.StatusOK, "")
	}
}

func TestEvents_ComeInTheFormThatIsAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish("hello")
	for accept, want := range map[string]string{
		"":                                     "application/json; charset=utf-8",
		"text/html, */*;q=0.1":                 "application/json; charset=utf-8",
		"application/json":                     "application/json; charset=utf-8",
		"application/cloudevents+json":         "application/cloudevents+json; charset=utf-8",
		"application/cloudevents-batch+json":   "application/cloudevents-batch+json; charset=utf-8",
		";, application/cloudevents+json; a=b": "application/cloudevents+json; charset=utf-8",
	} {
		a := b.call(bob, "GET", feed, "", "Accept", accept).is(http.StatusOK, "")
		require.Equal(t, want, a.Header.Get("Content-Type"), accept)
	}
	b.call(bob, "GET", feed, "", "Accept", "text/html").is(http.StatusNotAcceptable, "")
}

// A supplier sees what was delegated to it, in order, and nothing else of its principal's.
func TestEvents_OfAPrincipalAreForItsSupplierWhereItDelegated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const other = "pension-files"
	b.ok(owner, "PUT", "/resource/"+other, `{}`)
	b.ok(owner, "PUT", "/resource/"+other+"/grants/"+alice.Number(), `{"send":true,"receive":false}`)
	b.ok(owner, "PUT", "/resource/"+other+"/grants/"+bob.Number(), `{"send":false,"receive":true}`)
	for range 2 {
		b.publish("one")
		id := b.initialize(func(m map[string]any) { m["resourceId"], m["recipients"] = other, []any{bob} })
		b.upload(id, []byte("two")).is(http.StatusOK, "")
	}
	supplied := func(query string) reply {
		return b.call("", "GET", feed+query, "", impersonate, certified(bob, through(mallory)))
	}
	supplied("").is(http.StatusUnauthorized, "FMD-00008")
	put := func(p models.Party, resource string) {
		r := b.request("", "PUT", "/identity/api/v1/delegations/"+mallory.Number()+resource, strings.NewReader(`{"receive":true,"send":false}`), impersonate, certified(p))
		b.do(r).is(http.StatusCreated, "")
	}
	put(bob, "?resource="+other)
	var events []contract.CloudEvent
	supplied("").is(http.StatusOK, "").json(&events)
	require.Len(t, events, 2)
	for _, e := range events {
		require.Equal(t, "urn:altinn:resource:"+other, e.Resource)
	}
	supplied("?resource="+other).is(http.StatusOK, "").json(&events)
	require.Len(t, events, 2)
	supplied("?resource="+svc).is(http.StatusUnauthorized, "BRO-00006")
	supplied("?resource=unknown").is(http.StatusUnauthorized, "BRO-00006")

	put(bob, "")
	supplied("").is(http.StatusOK, "").json(&events)
	require.Len(t, events, 4)
	b.policy(`{"suppliers":"none"}`)
	supplied("").is(http.StatusOK, "").json(&events)
	require.Len(t, events, 2)
	supplied("?resource="+svc).is(http.StatusForbidden, "FMD-00029")
}

// waiting waits until somebody waits for a party's events.
func (b *bundle) waiting(p models.Party, n int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		l := &b.server.listeners
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.of[p] == n
	}, 20*time.Second, time.Millisecond)
}

func TestEvents_WakeWhoWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	done := make(chan []contract.CloudEvent)
	began := time.Now()
	go func() {
		events, _ := b.told(bob, "?wait=60")
		done <- events
	}()
	b.waiting(bob, 1)
	b.upload(id, []byte("hello")).is(http.StatusOK, "")
	events := <-done
	require.Equal(t, []string{"published"}, types(events))
	require.Less(t, time.Since(began), 30*time.Second)
	b.waiting(bob, 0)

	none, _ := b.told(bob, "?wait=1&after="+events[0].ID.String())
	require.Empty(t, none)
	b.waiting(bob, 0)

	ctx, leave := context.WithCancel(t.Context()) // a client that goes away frees its place
	r := b.request(bob, "GET", feed+"?wait=60&type=filepurged&after="+events[0].ID.String(), nil).WithContext(ctx)
	go func() { b.waiting(bob, 1); leave() }()
	_, err := http.DefaultClient.Do(r)
	require.ErrorIs(t, err, context.Canceled)
	b.waiting(bob, 0)
}

func TestEvents_RefuseWhoWaitsWhenAllPlacesAreTaken(t *testing.T) {
	t.Parallel()
	closing := make(chan struct{})
	b := setup(t, func(s *Server) { s.Closing = closing })
	var waiting sync.WaitGroup
	for range 2 { // a quarter of eight
		waiting.Go(func() {
			none, _ := b.told(bob, "?wait=60")
			require.Empty(t, none)
		})
	}
	b.waiting(bob, 2)
	a := b.call(bob, "GET", feed+"?wait=1", "").is(http.StatusServiceUnavailable, "FMD-00071")
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	b.call(bob, "GET", feed, "", "Accept", "text/event-stream").is(http.StatusServiceUnavailable, "FMD-00071")
	b.told(bob, "")
	b.told(carol, "?wait=1")
	close(closing) // whoever waits is answered with what there is
	waiting.Wait()
	b.waiting(bob, 0)
}

func TestEvents_AreNotToldToWhoWasLockedOutMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	status := make(chan int)
	go func() {
		a := b.call("", "GET", feed+"?wait=60", "", impersonate, certified(bob))
		status <- a.StatusCode
	}()
	b.waiting(bob, 1)
	lock := b.request("", "PUT", "/identity/api/v1/credential-lock", strings.NewReader(`{"certificates":["`+thumb("another")+`"],"keys":[],"issuers":[]}`),
		impersonate, certified(bob, func(c *models.Caller) { c.Credential.Thumbprint = thumb("another") }))
	b.do(lock).is(http.StatusCreated, "")
	b.upload(id, []byte("hello")).is(http.StatusOK, "")
	require.Equal(t, http.StatusUnauthorized, <-status)
}

func FuzzEvents(f *testing.F) {
	f.Add("after=0&size=5&type=published", "application/json")
	f.Fuzz(func(t *testing.T, query, accept string) {
		require.NotPanics(t, func() { eventForm(accept) })
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		filter := models.EventFilter{Types: values["type"], Resource: values.Get("resource"), Subject: values.Get("subject")}
		if filter.Check() == nil {
			require.False(t, bytes.ContainsRune([]byte(filter.Resource), 0))
		}
	})
}

func TestEvents_OfRemindersAreAskedForByTheService(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var r contract.Resource
	b.call(owner, "GET", "/resource/"+svc, "").is(http.StatusOK, "").json(&r)
	require.Empty(t, r.ConfirmationReminders)
	b.policy(`{"confirmationReminders":["P1D","P7D"]}`)
	b.policy(`{"maxRecipients":5}`)
	b.call(owner, "GET", "/resource/"+svc, "").is(http.StatusOK, "").json(&r)
	require.Equal(t, []string{"P7D", "P1D"}, r.ConfirmationReminders)
	p := b.call(owner, "PUT", "/resource/"+svc, `{"confirmationReminders":["soon"]}`, "If-Match", "*").is(http.StatusBadRequest, "FMD-00001").problem()
	require.Contains(t, p.Errors, "confirmationReminders[0]")

	id := mustUUID(t, b.publish("hello"))
	require.NoError(t, b.store.RemindOfTransfer(t.Context(), id, 7*24*time.Hour))
	events, _ := b.told(bob, "?type=confirmationreminder")
	require.Len(t, events, 1)
	require.Equal(t, "P7D", *events[0].Data.TimeLeft)
	b.policy(`{"confirmationReminders":[]}`)
	b.call(owner, "GET", "/resource/"+svc, "").is(http.StatusOK, "").json(&r)
	require.Empty(t, r.ConfirmationReminders)
}
