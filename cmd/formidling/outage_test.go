package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// refusedAtOnce makes a request that must be answered with "come back later", soon.
func (i *installation) refusedAtOnce(by models.Party, method, path, body string, headers ...string) {
	i.t.Helper()
	began := time.Now()
	status, raw := i.ask(by, method, path, strings.NewReader(body), headers...)
	require.Equal(i.t, http.StatusServiceUnavailable, status, string(raw))
	require.Contains(i.t, string(raw), `"retryable":true`)
	require.Less(i.t, time.Since(began), 15*time.Second)
}

func (i *installation) notReady(what string) {
	i.t.Helper()
	require.Equal(i.t, http.StatusServiceUnavailable, i.readiness(), "%s is down", what)
}

// readiness is the status with which the API answers whoever asks whether it can serve.
func (i *installation) readiness() int {
	i.t.Helper()
	response, err := http.Get(i.url + "/readyz")
	require.NoError(i.t, err)
	require.NoError(i.t, response.Body.Close())
	return response.StatusCode
}

func TestTemporalDown_TheSameRequestSucceedsLater(t *testing.T) {
	t.Parallel()
	i := install(t)
	published := i.initialize()
	i.temporal.Kill()
	i.notReady("temporal")
	i.refusedAtOnce(testSender, "POST", "/filetransfer", i.draft(), "Idempotency-Key", "k")
	i.refusedAtOnce(testSender, "POST", "/filetransfer/"+published+"/upload", "content", "Content-Type", octets, "Idempotency-Key", "u")
	i.startTemporal()
	require.Eventually(t, func() bool {
		status, _ := i.ask(testSender, "POST", "/filetransfer/"+published+"/upload", strings.NewReader("content"), "Content-Type", octets, "Idempotency-Key", "u")
		return status == http.StatusOK
	}, 30*time.Second, 200*time.Millisecond)
	first := i.initialize("Idempotency-Key", "k")
	require.Equal(t, first, i.initialize("Idempotency-Key", "k"))
	i.becomes(published, "Published")
	i.deliver(published, "content")
	_, raw := i.ask(testSender, "GET", "/filetransfer?resourceId="+testService, nil)
	require.Equal(t, 1, strings.Count(string(raw), first), "no duplicate: %s", raw)
	require.Equal(t, 3, strings.Count(string(raw), `"`)/2+1, "two transfers: %s", raw)
}

func TestDatabaseDown_TheSameRequestSucceedsLater(t *testing.T) {
	t.Parallel()
	i := install(t)
	waiting := i.initialize()
	i.postgres.Kill()
	i.notReady("database")
	i.refusedAtOnce(testSender, "POST", "/filetransfer", i.draft(), "Idempotency-Key", "k")
	i.refusedAtOnce(testSender, "GET", "/filetransfer/"+waiting, "")
	require.NoError(t, i.postgres.Start())
	id := i.initialize("Idempotency-Key", "k")
	status, raw := i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("content"), "Content-Type", octets)
	require.Equal(t, http.StatusOK, status, string(raw))
	i.deliver(id, "content")
	require.Equal(t, "Initialized", i.status(waiting))
}

func TestStorageDown_TheSameRequestSucceedsLater(t *testing.T) {
	t.Parallel()
	i := install(t)
	id := i.initialize()
	i.storage.Kill()
	i.notReady("storage")
	status, raw := i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("content"), "Content-Type", octets)
	require.Equal(t, http.StatusServiceUnavailable, status, string(raw))
	require.Equal(t, "UploadStarted", i.status(id))
	i.startStorage()
	status, raw = i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("content"), "Content-Type", octets)
	require.Equal(t, http.StatusOK, status, string(raw))
	i.deliver(id, "content")
	i.becomes(id, "Purged")
	require.Zero(t, i.objects())
}
