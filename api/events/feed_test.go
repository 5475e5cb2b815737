package events_test

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

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/events"
	"github.com/formidling/formidling/models"
)

func types(events []contract.CloudEvent) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, strings.TrimPrefix(e.Type, "no.altinn.broker."))
	}
	return out
}

func TestEvents_HaveTheReferencesEnvelope(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Publish("hello")
	events, a := b.EventsOf(bob, "")
	require.Len(t, events, 1)
	var raw []map[string]any
	a.JSON(&raw)
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
		"source": apitest.PublicURL + "/broker/api/v1/filetransfer", "data": map[string]any{"Role": "Recipient"},
	}, raw[0])
	again, _ := b.EventsOf(bob, "")
	require.Equal(t, events, again, "ids are stable")

	sent, _ := b.EventsOf(alice, "")
	require.Equal(t, []string{"filetransferinitialized", "uploadprocessing", "published"}, types(sent))
	require.Equal(t, contract.CloudEventDataRoleSender, sent[1].Data.Role)
	none, a := b.EventsOf(mallory, "")
	require.Empty(t, none)
	require.Equal(t, "[]", string(a.Raw))
	require.Empty(t, a.Header.Get("next"))
}

func TestEvents_SayWhyAnUploadFailed(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize(func(m map[string]any) { m["checksum"] = strings.Repeat("0", 32) })
	b.Upload(id, []byte("hello")).Is(http.StatusBadRequest, "BRO-00009")
	events, _ := b.EventsOf(alice, "?type=uploadfailed")
	require.Len(t, events, 1)
	require.Equal(t, "checksummismatch", *events[0].Data.Reason)
	none, _ := b.EventsOf(bob, "")
	require.Empty(t, none, "it was never offered the file")
}

func TestEvents_ArePagedByTheNextHeader(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for range 4 {
		b.Publish("hello")
	}
	all, _ := b.EventsOf(alice, "")
	require.Len(t, all, 12)
	var paged []contract.CloudEvent
	for query := "?size=3"; ; {
		events, a := b.EventsOf(alice, query)
		paged = append(paged, events...)
		if len(events) == 0 {
			require.Empty(t, a.Header.Get("next"))
			break
		}
		next, err := url.Parse(a.Header.Get("next"))
		require.NoError(t, err)
		require.Equal(t, apitest.PublicURL+apitest.Feed, "https://"+next.Host+next.Path)
		require.Equal(t, fmt.Sprintf("<%s>; rel=\"next\"", next), a.Header.Get("Link"))
		query = "?" + next.RawQuery
	}
	require.Equal(t, all, paged)
	some, _ := b.EventsOf(alice, "?type=no.altinn.broker.published&type=uploadfailed&resource=urn:altinn:resource:"+svc+"&subject="+alice.URN())
	require.Equal(t, []string{"published", "published", "published", "published"}, types(some))
	none, _ := b.EventsOf(alice, "?resource=another")
	require.Empty(t, none)
}

func TestEvents_AreTheCallersOwn(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Publish("hello")
	own, _ := b.EventsOf(alice, "")
	b.Call(bob, "GET", apitest.Feed+"?after="+own[0].ID.String(), "").Is(http.StatusBadRequest, "FMD-00070")
	b.Call(bob, "GET", apitest.Feed+"?after="+uuid.NewString(), "").Is(http.StatusBadRequest, "FMD-00070")
	for query, field := range map[string]string{
		"?after=x": "after", "?after=urn:uuid:" + own[0].ID.String(): "after", "?size=0": "size", "?size=1001": "size", "?size=x": "size",
		"?wait=61": "wait", "?wait=-1": "wait", "?type=lost": "type", "?resource=a:b:c": "resource", "?subject=310": "subject", "?subject=" + string(alice): "subject",
	} {
		p := b.Call(bob, "GET", apitest.Feed+query, "").Is(http.StatusBadRequest, "FMD-00001").Problem()
		require.Contains(t, p.Errors, field, query)
	}
	require.Contains(t, b.Call(bob, "GET", apitest.Feed+"?resource=%00", "").Is(http.StatusBadRequest, "").Problem().Errors, "resource")
	b.Call("", "GET", apitest.Feed, "").Is(http.StatusUnauthorized, "FMD-00008")
	r := b.Request(alice, "GET", apitest.Feed, nil)
	r.Header.Set("Authorization", "Bearer "+b.Token(alice, models.ScopeServiceOwner))
	b.Do(r).Is(http.StatusForbidden, "FMD-00009")
	for _, scope := range []string{models.ScopeEvents, models.ScopeRead, models.ScopeWrite} {
		r.Header.Set("Authorization", "Bearer "+b.Token(alice, scope))
		b.Do(r).Is(http.StatusOK, "")
	}
}

func TestEvents_ComeInTheFormThatIsAskedFor(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Publish("hello")
	for accept, want := range map[string]string{
		"":                                     "application/json; charset=utf-8",
		"text/html, */*;q=0.1":                 "application/json; charset=utf-8",
		"application/json":                     "application/json; charset=utf-8",
		"application/cloudevents+json":         "application/cloudevents+json; charset=utf-8",
		"application/cloudevents-batch+json":   "application/cloudevents-batch+json; charset=utf-8",
		";, application/cloudevents+json; a=b": "application/cloudevents+json; charset=utf-8",
	} {
		a := b.Call(bob, "GET", apitest.Feed, "", "Accept", accept).Is(http.StatusOK, "")
		require.Equal(t, want, a.Header.Get("Content-Type"), accept)
	}
	b.Call(bob, "GET", apitest.Feed, "", "Accept", "text/html").Is(http.StatusNotAcceptable, "")
}

// A supplier sees what was delegated to it, in order, and nothing else of its principal's.
func TestEvents_OfAPrincipalAreForItsSupplierWhereItDelegated(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	const other = "pension-files"
	b.OK(owner, "PUT", "/resource/"+other, `{}`)
	b.OK(owner, "PUT", "/resource/"+other+"/grants/"+alice.Number(), `{"send":true,"receive":false}`)
	b.OK(owner, "PUT", "/resource/"+other+"/grants/"+bob.Number(), `{"send":false,"receive":true}`)
	for range 2 {
		b.Publish("one")
		id := b.Initialize(func(m map[string]any) { m["resourceId"], m["recipients"] = other, []any{bob} })
		b.Upload(id, []byte("two")).Is(http.StatusOK, "")
	}
	supplied := func(query string) apitest.Reply {
		return b.Call("", "GET", apitest.Feed+query, "", apitest.Impersonate, apitest.Certified(bob, apitest.Through(mallory)))
	}
	supplied("").Is(http.StatusUnauthorized, "FMD-00008")
	put := func(p models.Party, resource string) {
		r := b.Request("", "PUT", "/identity/api/v1/delegations/"+mallory.Number()+resource, strings.NewReader(`{"receive":true,"send":false}`), apitest.Impersonate, apitest.Certified(p))
		b.Do(r).Is(http.StatusCreated, "")
	}
	put(bob, "?resource="+other)
	var events []contract.CloudEvent
	supplied("").Is(http.StatusOK, "").JSON(&events)
	require.Len(t, events, 2)
	for _, e := range events {
		require.Equal(t, "urn:altinn:resource:"+other, e.Resource)
	}
	supplied("?resource="+other).Is(http.StatusOK, "").JSON(&events)
	require.Len(t, events, 2)
	supplied("?resource="+svc).Is(http.StatusUnauthorized, "BRO-00006")
	supplied("?resource=unknown").Is(http.StatusUnauthorized, "BRO-00006")

	put(bob, "")
	supplied("").Is(http.StatusOK, "").JSON(&events)
	require.Len(t, events, 4)
	b.Policy(`{"suppliers":"none"}`)
	supplied("").Is(http.StatusOK, "").JSON(&events)
	require.Len(t, events, 2)
	supplied("?resource="+svc).Is(http.StatusForbidden, "FMD-00029")
}

func TestEvents_WakeWhoWaits(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	done := make(chan []contract.CloudEvent)
	began := time.Now()
	go func() {
		events, _ := b.EventsOf(bob, "?wait=60")
		done <- events
	}()
	b.Waiting(bob, 1)
	b.Upload(id, []byte("hello")).Is(http.StatusOK, "")
	events := <-done
	require.Equal(t, []string{"published"}, types(events))
	require.Less(t, time.Since(began), 30*time.Second)
	b.Waiting(bob, 0)

	none, _ := b.EventsOf(bob, "?wait=1&after="+events[0].ID.String())
	require.Empty(t, none)
	b.Waiting(bob, 0)

	ctx, leave := context.WithCancel(t.Context()) // a client that goes away frees its place
	r := b.Request(bob, "GET", apitest.Feed+"?wait=60&type=filepurged&after="+events[0].ID.String(), nil).WithContext(ctx)
	go func() { b.Waiting(bob, 1); leave() }()
	_, err := http.DefaultClient.Do(r)
	require.ErrorIs(t, err, context.Canceled)
	b.Waiting(bob, 0)
}

func TestEvents_RefuseWhoWaitsWhenAllPlacesAreTaken(t *testing.T) {
	t.Parallel()
	closing := make(chan struct{})
	b := apitest.Setup(t, func(s *apitest.Config) { s.Closing = closing })
	var waiting sync.WaitGroup
	for range 2 { // a quarter of eight
		waiting.Go(func() {
			none, _ := b.EventsOf(bob, "?wait=60")
			require.Empty(t, none)
		})
	}
	b.Waiting(bob, 2)
	a := b.Call(bob, "GET", apitest.Feed+"?wait=1", "").Is(http.StatusServiceUnavailable, "FMD-00071")
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	b.Call(bob, "GET", apitest.Feed, "", "Accept", "text/event-stream").Is(http.StatusServiceUnavailable, "FMD-00071")
	b.EventsOf(bob, "")
	b.EventsOf(carol, "?wait=1")
	close(closing) // whoever waits is answered with what there is
	waiting.Wait()
	b.Waiting(bob, 0)
}

func TestEvents_AreKeptFromWhoWasLockedOutMeanwhile(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	status := make(chan int)
	go func() {
		a := b.Call("", "GET", apitest.Feed+"?wait=60", "", apitest.Impersonate, apitest.Certified(bob))
		status <- a.StatusCode
	}()
	b.Waiting(bob, 1)
	lock := b.Request("", "PUT", "/identity/api/v1/credential-lock", strings.NewReader(`{"certificates":["`+apitest.Thumb("another")+`"],"keys":[],"issuers":[]}`),
		apitest.Impersonate, apitest.Certified(bob, func(c *models.Caller) { c.Credential.Thumbprint = apitest.Thumb("another") }))
	b.Do(lock).Is(http.StatusCreated, "")
	b.Upload(id, []byte("hello")).Is(http.StatusOK, "")
	require.Equal(t, http.StatusUnauthorized, <-status)
}

func FuzzEvents(f *testing.F) {
	f.Add("after=0&size=5&type=published", "application/json")
	f.Fuzz(func(t *testing.T, query, accept string) {
		require.NotPanics(t, func() { events.EventForm(accept) })
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
	b := apitest.Setup(t)
	var r contract.Resource
	b.Call(owner, "GET", "/resource/"+svc, "").Is(http.StatusOK, "").JSON(&r)
	require.Empty(t, r.ConfirmationReminders)
	b.Policy(`{"confirmationReminders":["P1D","P7D"]}`)
	b.Policy(`{"maxRecipients":5}`)
	b.Call(owner, "GET", "/resource/"+svc, "").Is(http.StatusOK, "").JSON(&r)
	require.Equal(t, []string{"P7D", "P1D"}, r.ConfirmationReminders)
	p := b.Call(owner, "PUT", "/resource/"+svc, `{"confirmationReminders":["soon"]}`, "If-Match", "*").Is(http.StatusBadRequest, "FMD-00001").Problem()
	require.Contains(t, p.Errors, "confirmationReminders[0]")

	id := apitest.MustUUID(t, b.Publish("hello"))
	require.NoError(t, b.Store.RemindOfTransfer(t.Context(), id, 7*24*time.Hour))
	events, _ := b.EventsOf(bob, "?type=confirmationreminder")
	require.Len(t, events, 1)
	require.Equal(t, "P7D", *events[0].Data.TimeLeft)
	b.Policy(`{"confirmationReminders":[]}`)
	b.Call(owner, "GET", "/resource/"+svc, "").Is(http.StatusOK, "").JSON(&r)
	require.Empty(t, r.ConfirmationReminders)
}
