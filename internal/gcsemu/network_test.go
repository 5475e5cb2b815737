package gcsemu_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/gcsemu"
)

func TestServer_TakesContentAtTheSpeedOfTheNetwork(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k kind) {
		t.Helper()
		b := setup(t)
		b.emu.SetNetwork(gcsemu.Network{BytesPerSecond: 10 * int64(k.size), Latency: 30 * time.Millisecond})
		began := time.Now()
		require.NoError(t, upload(t.Context(), b.bucket.Object("a"), k, random(k.size)))
		require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond)
		b.requireContent(t, "a", random(k.size))
	})
}

func TestServer_StopsWaitingForAClientThatLeft(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.emu.SetNetwork(gcsemu.Network{Latency: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.Error(t, upload(ctx, b.bucket.Object("a"), kinds[0], []byte("content")))
	b.stop() // waits for requests that are still at work
	requireNoDrafts(t, b.dir)
}

func TestServer_LetsAFaultHookAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, "a", nil)
	b.emu.SetFault(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusTeapot)
		return true
	})
	_, err := b.bucket.Object("a").Attrs(t.Context())
	requireStatus(t, err, http.StatusTeapot)
	b.emu.SetFault(nil)
	_, err = b.bucket.Object("a").Attrs(t.Context())
	require.NoError(t, err)
}

func TestServer_LetsFaultsChangeWhileItServes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < 50 && err == nil; i++ {
			err = upload(t.Context(), b.bucket.Object("a"), kinds[0], []byte("x"))
		}
		done <- err
	}()
	for range 200 {
		b.emu.SetFault(func(http.ResponseWriter, *http.Request) bool { return false })
		b.emu.SetFault(nil)
		b.emu.SetNetwork(gcsemu.Network{})
	}
	require.NoError(t, <-done)
}
