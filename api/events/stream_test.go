package events_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/models"
)

func TestEvents_AreStreamedAndGoOnWhereTheyBrokeOff(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for range 3 {
		b.Publish("hello")
	}
	all, _ := b.EventsOf(alice, "")
	s := b.Stream(alice, "?size=2")
	first, ok := s.Block()
	require.True(t, ok)
	require.Equal(t, map[string]string{"retry": "2000"}, first)
	for _, want := range all[:3] {
		require.Equal(t, want, s.Next())
	}
	s.Stop()
	s = b.Stream(alice, "?after=0", "Last-Event-ID", all[2].ID.String())
	for _, want := range all[3:] {
		require.Equal(t, want, s.Next())
	}
	b.Waiting(alice, 1)
	b.Publish("more")
	require.Equal(t, "no.altinn.broker.filetransferinitialized", s.Next().Type)
	require.Equal(t, "no.altinn.broker.uploadprocessing", s.Next().Type)
	require.Equal(t, "no.altinn.broker.published", s.Next().Type)
	s.Stop()
	b.Waiting(alice, 0)
	b.Call(bob, "GET", apitest.Feed, "", "Accept", "text/event-stream", "Last-Event-ID", all[2].ID.String()).Is(http.StatusBadRequest, "FMD-00070")
	b.Call(bob, "GET", apitest.Feed, "", "Accept", "text/event-stream", "Last-Event-ID", "x").Is(http.StatusBadRequest, "FMD-00001")
}

func TestEvents_StreamLivesUntilTheCredentialOrTheProcessEnds(t *testing.T) {
	t.Parallel()
	closing := make(chan struct{})
	b := apitest.Setup(t, func(s *apitest.Config) { s.Heartbeat, s.Closing = 20*time.Millisecond, closing })
	brief, err := b.Issuer.Token(bob, []string{models.ScopeRead}, 2*time.Second)
	require.NoError(t, err)
	s := b.Stream("", "", "Authorization", "Bearer "+brief)
	beats := 0
	for ok := true; ok; {
		var f map[string]string
		if f, ok = s.Block(); f[""] == "alive" {
			beats++
		}
	}
	require.NoError(t, s.Body.Err(), "it ended in good order")
	require.Greater(t, beats, 1)
	b.Waiting(bob, 0)

	s = b.Stream(bob, "")
	b.Waiting(bob, 1)
	close(closing)
	for ok := true; ok; {
		_, ok = s.Block()
	}
	require.NoError(t, s.Body.Err())
	b.Waiting(bob, 0)
}
