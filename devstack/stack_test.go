package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
)

func TestDevstack_KeepsNamespaceAndAttributesInItsFile(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "temporal.db")

	first := start(t, "--db", db, "--namespace", "broker")
	require.Equal(t, "broker", first.ready.Namespace)
	require.EqualValues(t, defaultAttributes(), first.attributes(t))
	id, retention := first.namespace(t)
	require.Equal(t, 720*time.Hour, retention)
	require.Zero(t, first.workflows(t), "the probe must leave nothing")
	first.stop(t)

	second := start(t, "--db", db, "--namespace", "broker",
		"--search-attribute", "Extra=Int", "--search-attribute", "When=Datetime", "--retention", "48h")
	want := defaultAttributes()
	want["Extra"] = enumspb.INDEXED_VALUE_TYPE_INT
	want["When"] = enumspb.INDEXED_VALUE_TYPE_DATETIME
	require.EqualValues(t, want, second.attributes(t))
	sameID, retention := second.namespace(t)
	require.Equal(t, id, sameID)
	require.Equal(t, 48*time.Hour, retention)
	second.stop(t)

	third := launch(t, "--db", db, "--namespace", "broker", "--search-attribute", "Extra=Keyword")
	require.Error(t, third.cmd.Wait())
	require.Contains(t, third.stderr.String(), "it is Int already")
}

func TestDevstack_WritesTheReadyFileAndRemovesItAtTheEnd(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ready.json")
	require.NoError(t, os.WriteFile(file, []byte("stale"), 0o600))

	r := start(t, "--ready-file", file)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var got readiness
	require.NoError(t, json.Unmarshal(content, &got))
	require.Equal(t, r.ready, got)
	require.Equal(t, "default", got.Namespace)

	r.stop(t)
	require.NoFileExists(t, file)
}

func TestDevstack_ServesTheUIWithoutCallingHome(t *testing.T) {
	t.Parallel()
	r := start(t, "--codec-endpoint", "http://127.0.0.1:9/codec")
	status, page := r.get(t, "/")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "<html")

	status, settings := r.get(t, "/api/v1/settings")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, settings, `"DisableNewsFetch":true`)
	require.Contains(t, settings, `"NotifyOnNewVersion":false`)
	require.Contains(t, settings, `"Endpoint":"http://127.0.0.1:9/codec"`)
	r.stop(t)
}

func TestDevstack_NamesThePortThatIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	port := l.Addr().(*net.TCPAddr).Port

	for _, name := range []string{"--port", "--ui-port"} {
		r := launch(t, name, fmt.Sprint(port))
		var exit *exec.ExitError
		require.ErrorAs(t, r.cmd.Wait(), &exit)
		require.Equal(t, 1, exit.ExitCode())
		require.Contains(t, r.stderr.String(), fmt.Sprintf("take port %d", port))
		require.Contains(t, r.stderr.String(), name)
	}
}

func TestDevstack_EndsWhenTheWatchedProcessIsGone(t *testing.T) {
	t.Parallel()
	watched := exec.CommandContext(t.Context(), "sleep", "600")
	require.NoError(t, watched.Start())
	r := start(t, "--parent", fmt.Sprint(watched.Process.Pid))

	require.NoError(t, watched.Process.Signal(syscall.SIGKILL))
	require.Error(t, watched.Wait())
	r.awaitEnd(t)
}
