package models

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestNewCloudEvent_IsTheReferencesEnvelope(t *testing.T) {
	t.Parallel()
	e := Event{
		Party: "0192:310000035", Seq: 7, ID: uuid.MustParse("019ac3a6-5f6b-7c1e-9d52-2f3f7d1c2b11"), Type: EventUploadFailed,
		TransferID: uuid.MustParse("3fa85f64-5717-4562-b3fc-2c963f66afa6"), ResourceID: "svc", Role: RoleSender,
		At: time.Date(2026, 11, 25, 13, 0, 0, 123_000, time.FixedZone("", 3600)), Detail: "checksummismatch",
	}
	raw, err := json.Marshal(NewCloudEvent(e, EventSource("https://broker.example.no/")))
	require.NoError(t, err)
	require.JSONEq(t, `{"specversion":"1.0","id":"019ac3a6-5f6b-7c1e-9d52-2f3f7d1c2b11","type":"no.altinn.broker.uploadfailed",
		"time":"2026-11-25T12:00:00.000123Z","resource":"urn:altinn:resource:svc","resourceinstance":"3fa85f64-5717-4562-b3fc-2c963f66afa6",
		"subject":"urn:altinn:organization:identifier-no:310000035","source":"https://broker.example.no/broker/api/v1/filetransfer",
		"data":{"Role":"Sender","Reason":"checksummismatch"}}`, string(raw))
	e.Type, e.Detail = EventReminder, "P7D"
	require.Equal(t, map[string]string{"Role": "Sender", "TimeLeft": "P7D"}, NewCloudEvent(e, "").Data)
	e.Type, e.Detail = EventPublished, ""
	require.Equal(t, map[string]string{"Role": "Sender"}, NewCloudEvent(e, "").Data)
}

func TestEventFilter_RefusesWhatNoEventHas(t *testing.T) {
	t.Parallel()
	for _, ok := range []EventFilter{
		{},
		{Types: []string{"published", "no.altinn.broker.cancelled"}},
		{Resource: "a"},
		{Resource: "urn:altinn:resource:a"},
		{Subject: "310000035"},
		{Subject: "0192:310000035"},
		{Subject: "urn:altinn:organization:identifier-no:310000035"},
	} {
		require.NoError(t, ok.Check(), "%+v", ok)
		require.True(t, ok.Concerns("0192:310000035"))
		require.Equal(t, ok.Subject == "", ok.Concerns("0192:310000043"))
	}
	for field, bad := range map[string]EventFilter{
		"type": {Types: []string{"published", "no.altinn.broker."}}, "resource": {Resource: "a:b"}, "subject": {Subject: "/party/1"},
	} {
		e, ok := AsError(bad.Check())
		require.True(t, ok)
		require.Equal(t, field, e.Fields[0].Field)
	}
}

func TestConfirmationReminders_AreCheckedAndOrdered(t *testing.T) {
	t.Parallel()
	r := NewResource("svc", "0192:310000019")
	require.Empty(t, r.ConfirmationReminders, "nobody is reminded unless the service asks for it")
	put := func(given ...string) (Resource, error) {
		return r.Apply(ResourcePatch{ConfirmationReminders: &given}, time.Time{})
	}
	got, err := put("P1D", "PT36H", "P7D", "PT24H")
	require.NoError(t, err)
	require.Equal(t, []string{"P7D", "P1DT12H", "P1D"}, ISODurations(got.ConfirmationReminders))
	r = got
	got, err = put()
	require.NoError(t, err)
	require.Empty(t, got.ConfirmationReminders)
	for _, bad := range []string{"", "7 days", "PT0S", "PT0.5S", "-P1D", "P365D"} {
		_, err := put("P1D", bad)
		e, ok := AsError(err)
		require.True(t, ok, bad)
		require.Equal(t, "confirmationReminders[1]", e.Fields[0].Field)
	}
	_, err = put(make([]string, 11)...)
	e, ok := AsError(err)
	require.True(t, ok)
	require.Equal(t, "confirmationReminders", e.Fields[0].Field)
}

func TestISODuration_ReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(400*day/time.Second)).Draw(t, "seconds")) * time.Second
		got, err := ParseDuration(ISODuration(d))
		require.NoError(t, err)
		require.Equal(t, d, got)
	})
	require.Equal(t, "P7D", ISODuration(7*day))
	require.Equal(t, "PT0S", ISODuration(0))
	require.Equal(t, "P1DT1H1M1S", ISODuration(day+time.Hour+time.Minute+time.Second))
}

func TestNextReminder_IsTheFirstThatIsLeft(t *testing.T) {
	t.Parallel()
	expires := time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	a := Acceptance{Expires: expires, Reminders: []time.Duration{7 * day, day}}
	require.Equal(t, &Reminder{expires.Add(-7 * day), 7 * day}, a.NextReminder(expires.Add(-30*day)))
	require.Equal(t, &Reminder{expires.Add(-day), day}, a.NextReminder(expires.Add(-7*day)))
	require.Nil(t, a.NextReminder(expires.Add(-day)))
	require.Nil(t, Acceptance{Expires: expires}.NextReminder(time.Time{}))
}
