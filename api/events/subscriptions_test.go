package events_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

const endPoint = "https://hooks.internal/x?token=t"

func TestSubscriptions_HaveAltinnsShapeAndShowTheirSecretOnce(t *testing.T) {
	t.Parallel()
	b, dispatcher := apitest.SetupSubscriptions(t)
	made := b.Subscribe(alice, `{"endPoint":"`+endPoint+`","resourceFilter":"urn:altinn:resource:tax-files","typeFilter":"no.altinn.broker.published, filepurged",
		"sourceFilter":"https://broker.example/broker/api/v1/filetransfer","subjectFilter":"urn:altinn:organization:identifier-no:310000027",
		"alternativeSubjectFilter":"/organisation/310000027","unknown":1}`)
	require.Equal(t, []int64{made.ID}, dispatcher.Woken())
	require.Len(t, made.Secrets, 1)
	require.True(t, strings.HasPrefix(made.Secrets[0], "whsec_"))
	require.Equal(t, "unvalidated", string(made.Status))
	require.False(t, made.Validated)
	require.Equal(t, "no.altinn.broker.published,no.altinn.broker.filepurged", *made.TypeFilter)
	require.Equal(t, "urn:altinn:resource:tax-files", *made.ResourceFilter)
	require.Equal(t, "/organisation/310000027", made.Consumer)

	read := b.Subscription(alice, made.ID)
	require.Empty(t, read.Secrets)
	made.Secrets = nil
	require.Equal(t, made, read)
	var list contract.SubscriptionList
	b.Call(alice, "GET", apitest.Subscriptions, "").Is(http.StatusOK, "").JSON(&list)
	require.Equal(t, []contract.Subscription{read}, list.Subscriptions)
	b.Call(bob, "GET", apitest.Subscriptions, "").Is(http.StatusOK, "").JSON(&list)
	require.Empty(t, list.Subscriptions)
}

func TestSubscriptions_SayWhichFieldIsWrong(t *testing.T) {
	t.Parallel()
	b, _ := apitest.SetupSubscriptions(t)
	for body, field := range map[string]string{
		`{}`: "endPoint", `{"endPoint":"http://hooks.example/"}`: "endPoint", `{"endPoint":"https://127.0.0.1/"}`: "endPoint",
		`{"endPoint":"https://0x7f.1/"}`: "endPoint", `{"endPoint":"https://u:p@hooks.internal/"}`: "endPoint", `{"endPoint":5}`: "endPoint",
		`{"endPoint":"` + endPoint + `","sourceFilter":"https://other.example"}`:                            "sourceFilter",
		`{"endPoint":"` + endPoint + `","resourceFilter":"a:b"}`:                                            "resourceFilter",
		`{"endPoint":"` + endPoint + `","subjectFilter":"urn:altinn:organization:identifier-no:310000035"}`: "subjectFilter",
		`{"endPoint":"` + endPoint + `","alternativeSubjectFilter":"/organisation/310000035"}`:              "alternativeSubjectFilter",
		`{"endPoint":"` + endPoint + `","typeFilter":"no.altinn.broker.publised"}`:                          "typeFilter",
	} {
		p := b.Call(alice, "POST", apitest.Subscriptions, body).Is(http.StatusBadRequest, "FMD-00001").Problem()
		require.Contains(t, p.Errors, field, body)
	}
}

func TestSubscriptions_AreMadeOnceForOneKey(t *testing.T) {
	t.Parallel()
	b, dispatcher := apitest.SetupSubscriptions(t)
	body := `{"endPoint":"` + endPoint + `"}`
	first := b.Subscribe(alice, body, "Idempotency-Key", "k")
	again := b.Subscribe(alice, body, "Idempotency-Key", "k")
	require.Len(t, first.Secrets, 1)
	require.Empty(t, again.Secrets, "it is told once")
	first.Secrets = nil
	require.Equal(t, first, again)
	require.Len(t, dispatcher.Woken(), 1)
	var rotated contract.Subscription // is how somebody gets one who did not get the first answer
	b.Call(alice, "POST", fmt.Sprintf("%s/%d/rotate", apitest.Subscriptions, again.ID), `{"overlap":"PT0S"}`).Is(http.StatusOK, "").JSON(&rotated)
	require.Len(t, rotated.Secrets, 1)
	require.Empty(t, b.Subscribe(alice, body, "Idempotency-Key", "k").Secrets)
	b.Call(alice, "POST", apitest.Subscriptions, `{"endPoint":"https://hooks.internal/other"}`, "Idempotency-Key", "k").Is(http.StatusUnprocessableEntity, "FMD-00004")
}

func TestSubscriptions_AreTheirOrganisationsAlone(t *testing.T) {
	t.Parallel()
	b, _ := apitest.SetupSubscriptions(t)
	n := b.Subscribe(alice, `{"endPoint":"`+endPoint+`"}`)
	at := fmt.Sprintf("%s/%d", apitest.Subscriptions, n.ID)
	for _, call := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"POST", "/test"}, {"POST", "/enable"}, {"POST", "/rotate"}} {
		b.Call(bob, call[0], at+call[1], "").Is(http.StatusNotFound, "FMD-00080")
		b.Call("", call[0], at+call[1], "", apitest.Impersonate, apitest.Certified(alice, apitest.Through(carol))).Is(http.StatusForbidden, "FMD-00032")
	}
	b.Call(bob, "POST", at+"/replay", `{"from":"`+uuid.NewString()+`"}`).Is(http.StatusNotFound, "FMD-00080")
	b.Call(alice, "GET", apitest.Subscriptions+"/x", "").Is(http.StatusBadRequest, "FMD-00001")
	b.Call(alice, "GET", apitest.Subscriptions+"/999999999999", "").Is(http.StatusNotFound, "FMD-00080")
}

func TestSubscriptions_AreTestedEnabledReplayedRotatedAndEnded(t *testing.T) {
	t.Parallel()
	b, dispatcher := apitest.SetupSubscriptions(t)
	n := b.Subscribe(alice, `{"endPoint":"`+endPoint+`"}`)
	at := fmt.Sprintf("%s/%d", apitest.Subscriptions, n.ID)
	var test contract.SubscriptionTest
	b.Call(alice, "POST", at+"/test", "").Is(http.StatusConflict, "FMD-00082")
	stored, err := b.Store.Subscription(t.Context(), n.ID)
	require.NoError(t, err)
	_, err = b.Store.ValidateSubscription(t.Context(), stored)
	require.NoError(t, err)
	b.Call(alice, "POST", at+"/test", "").Is(http.StatusOK, "").JSON(&test)
	require.Equal(t, 500, *test.Status)
	require.Equal(t, "It answered 500.", *test.Error)

	b.Call(alice, "POST", at+"/enable", "", "If-Match", `"999"`).Is(http.StatusPreconditionFailed, "FMD-00025")
	b.Call(alice, "POST", at+"/enable", "", "If-Match", n.Etag).Is(http.StatusOK, "")

	b.Initialize()
	events, err := b.Store.EventsAfter(t.Context(), alice, 0, models.EventFilter{}, 10)
	require.NoError(t, err)
	require.EqualValues(t, 1, b.Subscription(alice, n.ID).Lag)
	b.Call(alice, "POST", at+"/replay", `{"from":"`+events[0].ID.String()+`"}`).Is(http.StatusOK, "")
	require.Contains(t, b.Call(alice, "POST", at+"/replay", `{"from":"`+uuid.NewString()+`"}`).Is(http.StatusBadRequest, "FMD-00001").Problem().Errors, "from")
	b.Call(alice, "POST", at+"/replay", `{"from":"x"}`).Is(http.StatusBadRequest, "FMD-00001")
	b.Call(alice, "POST", at+"/replay", `{"from":"`+events[0].ID.String()+`","x":1}`).Is(http.StatusBadRequest, "FMD-00001")

	var rotated contract.Subscription
	b.Call(alice, "POST", at+"/rotate", `{"overlap":"PT1H"}`).Is(http.StatusOK, "").JSON(&rotated)
	require.NotEqual(t, n.Secrets, rotated.Secrets)
	b.Call(alice, "POST", at+"/rotate", "").Is(http.StatusOK, "")
	b.Call(alice, "POST", at+"/rotate", `{"overlap":"P30D"}`).Is(http.StatusBadRequest, "FMD-00001")

	dispatcher.SetDown(models.ErrUnavailable)
	b.Call(alice, "POST", at+"/test", "").Is(http.StatusServiceUnavailable, "FMD-00002")
	b.Call(alice, "DELETE", at, "").Is(http.StatusOK, "")
	b.Call(alice, "GET", at, "").Is(http.StatusNotFound, "FMD-00080")
	b.Call(alice, "DELETE", at, "").Is(http.StatusNotFound, "FMD-00080")
}

func TestWebhookKeys_AreForEverybody(t *testing.T) {
	t.Parallel()
	b, _ := apitest.SetupSubscriptions(t)
	var keys contract.WebhookKeyList
	b.Call("", "GET", "/events/api/v1/keys", "").Is(http.StatusOK, "").JSON(&keys)
	require.Len(t, keys.Keys, 1)
	require.True(t, strings.HasPrefix(keys.Keys[0].PublicKey, "whpk_"))
}
