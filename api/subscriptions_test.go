package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/webhook"
)

// alarm stands for the workflows of subscriptions: it notes who is woken, and answers tests.
type alarm struct {
	mu    sync.Mutex
	woken []int64
	err   error
}

func (a *alarm) WakeSubscription(_ context.Context, id int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.woken = append(a.woken, id)
	return a.err
}

func (a *alarm) TestSubscription(_ context.Context, _ int64, event uuid.UUID) (models.TestResult, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return models.TestResult{EventID: event, Status: 500, Error: "It answered 500.", TookMillis: 3}, a.err
}

type hooks struct {
	*webhook.Keys
	*webhook.Guard
}

func setupSubscriptions(t *testing.T) (*bundle, *alarm) {
	t.Helper()
	k, err := webhook.NewKeys("k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	require.NoError(t, err)
	g, err := webhook.NewGuard([]string{"hooks.internal"})
	require.NoError(t, err)
	a := &alarm{}
	return setup(t, func(s *Server) {
		s.Subscriptions, s.Subscribers, s.Webhooks, s.PublicURL = s.Services.(Subscriptions), a, hooks{k, g}, "https://broker.example"
	}), a
}

const subscriptions = "/events/api/v1/subscriptions"

const endPoint = "https://hooks.internal/x?token=t"

func (b *bundle) subscribe(by models.Party, body string, headers ...string) contract.Subscription {
	b.t.Helper()
	var out contract.Subscription
	b.call(by, "POST", subscriptions, body, headers...).is(http.StatusCreated, "").json(&out)
	return out
}

func (b *bundle) subscription(by models.Party, id int64) contract.Subscription {
	b.t.Helper()
	var out contract.Subscription
	b.call(by, "GET", fmt.Sprintf("%s/%d", subscriptions, id), "").is(http.StatusOK, "").json(&out)
	return out
}

func TestSubscriptions_HaveAltinnsShapeAndShowTheirSecretOnce(t *testing.T) {
	t.Parallel()
	b, alarm := setupSubscriptions(t)
	made := b.subscribe(alice, `{"endPoint":"`+endPoint+`","resourceFilter":"urn:altinn:resource:tax-files","typeFilter":"no.altinn.broker.published, filepurged",
		"sourceFilter":"https://broker.example/broker/api/v1/filetransfer","subjectFilter":"urn:altinn:organization:identifier-no:310000027",
		"alternativeSubjectFilter":"/organisation/310000027","unknown":1}`)
	require.Equal(t, []int64{made.ID}, alarm.woken)
	require.Len(t, made.Secrets, 1)
	require.True(t, strings.HasPrefix(made.Secrets[0], "whsec_"))
	require.Equal(t, "unvalidated", string(made.Status))
	require.False(t, made.Validated)
	require.Equal(t, "no.altinn.broker.published,no.altinn.broker.filepurged", *made.TypeFilter)
	require.Equal(t, "urn:altinn:resource:tax-files", *made.ResourceFilter)
	require.Equal(t, "/organisation/310000027", made.Consumer)

	read := b.subscription(alice, made.ID)
	require.Empty(t, read.Secrets)
	made.Secrets = nil
	require.Equal(t, made, read)
	var list contract.SubscriptionList
	b.call(alice, "GET", subscriptions, "").is(http.StatusOK, "").json(&list)
	require.Equal(t, []contract.Subscription{read}, list.Subscriptions)
	b.call(bob, "GET", subscriptions, "").is(http.StatusOK, "").json(&list)
	require.Empty(t, list.Subscriptions)
}

func TestSubscriptions_SayWhichFieldIsWrong(t *testing.T) {
	t.Parallel()
	b, _ := setupSubscriptions(t)
	for body, field := range map[string]string{
		`{}`: "endPoint", `{"endPoint":"http://hooks.example/"}`: "endPoint", `{"endPoint":"https://127.0.0.1/"}`: "endPoint",
		`{"endPoint":"https://0x7f.1/"}`: "endPoint", `{"endPoint":"https://u:p@hooks.internal/"}`: "endPoint", `{"endPoint":5}`: "endPoint",
		`{"endPoint":"` + endPoint + `","sourceFilter":"https://other.example"}`:                            "sourceFilter",
		`{"endPoint":"` + endPoint + `","resourceFilter":"a:b"}`:                                            "resourceFilter",
		`{"endPoint":"` + endPoint + `","subjectFilter":"urn:altinn:organization:identifier-no:310000035"}`: "subjectFilter",
		`{"endPoint":"` + endPoint + `","alternativeSubjectFilter":"/organisation/310000035"}`:              "alternativeSubjectFilter",
		`{"endPoint":"` + endPoint + `","typeFilter":"no.altinn.broker.publised"}`:                          "typeFilter",
	} {
		p := b.call(alice, "POST", subscriptions, body).is(http.StatusBadRequest, "FMD-00001").problem()
		require.Contains(t, p.Errors, field, body)
	}
}

func TestSubscriptions_AreMadeOnceForOneKey(t *testing.T) {
	t.Parallel()
	b, alarm := setupSubscriptions(t)
	body := `{"endPoint":"` + endPoint + `"}`
	first := b.subscribe(alice, body, "Idempotency-Key", "k")
	again := b.subscribe(alice, body, "Idempotency-Key", "k")
	require.Len(t, first.Secrets, 1)
	require.Empty(t, again.Secrets, "it is told once")
	first.Secrets = nil
	require.Equal(t, first, again)
	require.Len(t, alarm.woken, 1)
	var rotated contract.Subscription // is how somebody gets one who did not get the first answer
	b.call(alice, "POST", fmt.Sprintf("%s/%d/rotate", subscriptions, again.ID), `{"overlap":"PT0S"}`).is(http.StatusOK, "").json(&rotated)
	require.Len(t, rotated.Secrets, 1)
	require.Empty(t, b.subscribe(alice, body, "Idempotency-Key", "k").Secrets)
	b.call(alice, "POST", subscriptions, `{"endPoint":"https://hooks.internal/other"}`, "Idempotency-Key", "k").is(http.StatusUnprocessableEntity, "FMD-00004")
}

func TestSubscriptions_AreTheirOrganisationsAlone(t *testing.T) {
	t.Parallel()
	b, _ := setupSubscriptions(t)
	n := b.subscribe(alice, `{"endPoint":"`+endPoint+`"}`)
	at := fmt.Sprintf("%s/%d", subscriptions, n.ID)
	for _, call := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"POST", "/test"}, {"POST", "/enable"}, {"POST", "/rotate"}} {
		b.call(bob, call[0], at+call[1], "").is(http.StatusNotFound, "FMD-00080")
		b.call("", call[0], at+call[1], "", impersonate, certified(alice, through(carol))).is(http.StatusForbidden, "FMD-00032")
	}
	b.call(bob, "POST", at+"/replay", `{"from":"`+uuid.NewString()+`"}`).is(http.StatusNotFound, "FMD-00080")
	b.call(alice, "GET", subscriptions+"/x", "").is(http.StatusBadRequest, "FMD-00001")
	b.call(alice, "GET", subscriptions+"/999999999999", "").is(http.StatusNotFound, "FMD-00080")
}

func TestSubscriptions_AreTestedEnabledReplayedRotatedAndEnded(t *testing.T) {
	t.Parallel()
	b, alarm := setupSubscriptions(t)
	n := b.subscribe(alice, `{"endPoint":"`+endPoint+`"}`)
	at := fmt.Sprintf("%s/%d", subscriptions, n.ID)
	var test contract.SubscriptionTest
	b.call(alice, "POST", at+"/test", "").is(http.StatusConflict, "FMD-00082")
	stored, err := b.store.Subscription(t.Context(), n.ID)
	require.NoError(t, err)
	_, err = b.store.ValidateSubscription(t.Context(), stored)
	require.NoError(t, err)
	b.call(alice, "POST", at+"/test", "").is(http.StatusOK, "").json(&test)
	require.Equal(t, 500, *test.Status)
	require.Equal(t, "It answered 500.", *test.Error)

	b.call(alice, "POST", at+"/enable", "", "If-Match", `"999"`).is(http.StatusPreconditionFailed, "FMD-00025")
	b.call(alice, "POST", at+"/enable", "", "If-Match", n.Etag).is(http.StatusOK, "")

	b.initialize()
	events, err := b.store.EventsAfter(t.Context(), alice, 0, models.EventFilter{}, 10)
	require.NoError(t, err)
	require.EqualValues(t, 1, b.subscription(alice, n.ID).Lag)
	b.call(alice, "POST", at+"/replay", `{"from":"`+events[0].ID.String()+`"}`).is(http.StatusOK, "")
	require.Contains(t, b.call(alice, "POST", at+"/replay", `{"from":"`+uuid.NewString()+`"}`).is(http.StatusBadRequest, "FMD-00001").problem().Errors, "from")
	b.call(alice, "POST", at+"/replay", `{"from":"x"}`).is(http.StatusBadRequest, "FMD-00001")
	b.call(alice, "POST", at+"/replay", `{"from":"`+events[0].ID.String()+`","x":1}`).is(http.StatusBadRequest, "FMD-00001")

	var rotated contract.Subscription
	b.call(alice, "POST", at+"/rotate", `{"overlap":"PT1H"}`).is(http.StatusOK, "").json(&rotated)
	require.NotEqual(t, n.Secrets, rotated.Secrets)
	b.call(alice, "POST", at+"/rotate", "").is(http.StatusOK, "")
	b.call(alice, "POST", at+"/rotate", `{"overlap":"P30D"}`).is(http.StatusBadRequest, "FMD-00001")

	alarm.err = models.ErrUnavailable
	b.call(alice, "POST", at+"/test", "").is(http.StatusServiceUnavailable, "FMD-00002")
	b.call(alice, "DELETE", at, "").is(http.StatusOK, "")
	b.call(alice, "GET", at, "").is(http.StatusNotFound, "FMD-00080")
	b.call(alice, "DELETE", at, "").is(http.StatusNotFound, "FMD-00080")
}

func TestWebhookKeys_AreForEverybody(t *testing.T) {
	t.Parallel()
	b, _ := setupSubscriptions(t)
	var keys contract.WebhookKeyList
	b.call("", "GET", "/events/api/v1/keys", "").is(http.StatusOK, "").json(&keys)
	require.Len(t, keys.Keys, 1)
	require.True(t, strings.HasPrefix(keys.Keys[0].PublicKey, "whpk_"))
}
