package models

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRotate_LetsTheSecretBeforeSignUntilThen(t *testing.T) {
	t.Parallel()
	until := time.Unix(10, 0)
	var s Subscription
	s.Rotate("one", until)
	require.Equal(t, []SealedSecret{{Sealed: "one"}}, s.Secrets)
	s.Rotate("two", until)
	require.Equal(t, []string{"two", "one"}, s.Signing(until.Add(-1)))
	require.Equal(t, []string{"two"}, s.Signing(until), "the moment itself no more")
	s.Rotate("three", until)
	require.Equal(t, []string{"three", "two"}, s.Signing(time.Unix(0, 0)), "those before the one before sign no more")
}

func TestCheckFilters_RefusesWhatCanNeverMatch(t *testing.T) {
	t.Parallel()
	good := Subscription{
		Party: sender, SourceFilter: "src", ResourceID: "svc", SubjectFilter: sender.URN(), TypeFilter: []string{"published", "no.altinn.broker.filepurged"},
	}
	require.NoError(t, good.CheckFilters("src"))
	require.NoError(t, Subscription{Party: sender}.CheckFilters("src"))
	for field, spoil := range map[string]func(*Subscription){
		"sourceFilter":   func(s *Subscription) { s.SourceFilter = "other" },
		"resourceFilter": func(s *Subscription) { s.ResourceID = "a:b" },
		"subjectFilter":  func(s *Subscription) { s.SubjectFilter = recipient.URN() },
		"typeFilter":     func(s *Subscription) { s.TypeFilter = []string{"published", "unheardof"} },
	} {
		s := good
		spoil(&s)
		require.Equal(t, []string{field}, fields(t, s.CheckFilters("src")))
	}
}

func TestSubscription_IsAuditedWithoutWhatMayBeSecret(t *testing.T) {
	t.Parallel()
	s := Subscription{ID: 7, EndPoint: "https://e/hook?token=hidden", ResourceID: "svc", TypeFilter: []string{"t"}, Secrets: make([]SealedSecret, 2)}
	require.Equal(t, map[string]any{"id": int64(7), "endPoint": "https://e/hook", "resource": "svc", "types": []string{"t"}, "secrets": 2}, s.Audited())
	require.Equal(t, EventFilter{Types: []string{"t"}, Resource: "svc"}, s.Filter())
	require.Equal(t, "https://p/events/api/v1/subscriptions/7", SubscriptionSource("https://p/", 7))
	require.Equal(t, "urn:altinn:resource:svc", ResourceURN("svc"))
	require.Empty(t, ResourceURN(""))
	require.True(t, strings.HasSuffix(EventSource("https://p/"), "p/broker/api/v1/filetransfer"))
}

func TestAnswer_IsADeliveryWithoutAFault(t *testing.T) {
	t.Parallel()
	require.True(t, Answer{Status: 200}.Delivered())
	require.False(t, Answer{Status: 500, Fault: "HTTP 500"}.Delivered())
	require.False(t, Answer{Busy: true}.Delivered(), "it was not tried")
}
