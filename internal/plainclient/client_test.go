package plainclient_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/plainclient"
)

func serve(t *testing.T, answer http.HandlerFunc) *plainclient.Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return plainclient.WithToken(server.URL, "secret")
}

func TestClient_SendsItsTokenAndReadsTheAnswer(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/broker/api/v1/x" && r.Header.Get("Authorization") == "Bearer secret" && string(body) == `{"a":1}` {
			_, _ = io.WriteString(w, `{"b":2}`)
		}
	})
	var out struct{ B int }
	require.NoError(t, c.Post(t.Context(), "/x", map[string]int{"a": 1}, &out))
	require.Equal(t, 2, out.B)
}

func TestClient_SaysHowItWasRefused(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"code":"BRO-00006","detail":"no access"}`)
	})
	var refused *plainclient.RefusedError
	require.ErrorAs(t, c.Put(t.Context(), "/x", nil), &refused)
	require.Equal(t, "BRO-00006", refused.Code)
	require.EqualError(t, refused, "PUT /x: 403 BRO-00006 no access")
}

func TestClient_HashesWhatItUploadsAndDownloads(t *testing.T) {
	t.Parallel()
	var stored []byte
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/broker/api/v1/filetransfer/1/upload":
			stored, _ = io.ReadAll(r.Body)
		case "/broker/api/v1/filetransfer/1/download":
			_, _ = w.Write(stored)
		}
	})
	file := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(file, []byte("content"), 0o600))
	want := sha256.Sum256([]byte("content"))
	sum, n, err := c.Upload(t.Context(), "1", file)
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(want[:]), sum)
	require.EqualValues(t, 7, n)
	got, n, err := c.Download(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, sum, got)
	require.EqualValues(t, 7, n)
}
