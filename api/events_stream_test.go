package api

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// sse is a client of server-sent events.
type sse struct {
	t    testing.TB
	stop context.CancelFunc
	body *bufio.Scanner
	resp *http.Response
}

func (b *bundle) stream(by models.Party, query string, headers ...string) *sse {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	r := b.request(by, "GET", feed+query, nil, append([]string{"Accept", "text/event-stream"}, headers...)...).WithContext(ctx)
	response, err := http.DefaultClient.Do(r)
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, response.StatusCode)
	require.NoError(b.t, mustChecker(b.t).check(r, &http.Response{
		StatusCode: response.StatusCode, Header: response.Header, Request: r, Body: http.NoBody, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}))
	b.t.Cleanup(func() { cancel(); _ = response.Body.Close() })
	return &sse{b.t, cancel, bufio.NewScanner(response.Body), response}
}

// block reads one block of lines; false at the end.
func (s *sse) block() (map[string]string, bool) {
	s.t.Helper()
	fields := map[string]string{}
	for s.body.Scan() {
		line := s.body.Text()
		if line == "" {
			return fields, true
		}
		name, value, ok := strings.Cut(line, ": ")
		require.True(s.t, ok, line)
		fields[name] = value
	}
	return fields, false
}

func (s *sse) next() contract.CloudEvent {
	s.t.Helper()
	for {
		f, ok := s.block()
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

func TestEvents_AreStreamedAndGoOnWhereTheyBrokeOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 3 {
		b.publish("hello")
	}
	all, _ := b.told(alice, "")
	s := b.stream(alice, "?size=2")
	first, ok := s.block()
	require.True(t, ok)
	require.Equal(t, map[string]string{"retry": "2000"}, first)
	for _, want := range all[:3] {
		require.Equal(t, want, s.next())
	}
	s.stop()
	s = b.stream(alice, "?after=0", "Last-Event-ID", all[2].ID.String())
	for _, want := range all[3:] {
		require.Equal(t, want, s.next())
	}
	b.waiting(alice, 1)
	b.publish("more")
	require.Equal(t, "no.altinn.broker.filetransferinitialized", s.next().Type)
	require.Equal(t, "no.altinn.broker.uploadprocessing", s.next().Type)
	require.Equal(t, "no.altinn.broker.published", s.next().Type)
	s.stop()
	b.waiting(alice, 0)
	b.call(bob, "GET", feed, "", "Accept", "text/event-stream", "Last-Event-ID", all[2].ID.String()).is(http.StatusBadRequest, "FMD-00070")
	b.call(bob, "GET", feed, "", "Accept", "text/event-stream", "Last-Event-ID", "x").is(http.StatusBadRequest, "FMD-00001")
}

func TestEvents_StreamLivesUntilTheCredentialOrTheProcessEnds(t *testing.T) {
	t.Parallel()
	closing := make(chan struct{})
	b := setup(t, func(s *Server) { s.Heartbeat, s.Closing = 20*time.Millisecond, closing })
	brief, err := b.issuer.Token(bob, []string{models.ScopeRead}, 2*time.Second)
	require.NoError(t, err)
	s := b.stream("", "", "Authorization", "Bearer "+brief)
	beats := 0
	for ok := true; ok; {
		var f map[string]string
		if f, ok = s.block(); f[""] == "alive" {
			beats++
		}
	}
	require.NoError(t, s.body.Err(), "it ended in good order")
	require.Greater(t, beats, 1)
	b.waiting(bob, 0)

	s = b.stream(bob, "")
	b.waiting(bob, 1)
	close(closing)
	for ok := true; ok; {
		_, ok = s.block()
	}
	require.NoError(t, s.body.Err())
	b.waiting(bob, 0)
}
