package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun_AsksForEverythingNamed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ready" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	there := t.TempDir()
	absent := filepath.Join(there, "absent")

	require.NoError(t, run(t.Context(), []string{server.URL + "/ready"}))
	require.NoError(t, run(t.Context(), []string{there, server.URL + "/ready"}))
	require.ErrorContains(t, run(t.Context(), []string{server.URL + "/busy"}), "503")
	require.ErrorContains(t, run(t.Context(), []string{server.URL + "/ready", absent}), absent)
	require.Error(t, run(t.Context(), []string{"http://127.0.0.1:1/"}))
	require.Error(t, run(t.Context(), nil))
}
