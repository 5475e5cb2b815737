package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/plainclient"
	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
)

// replica starts one more API next to the first, and returns the installation as seen through it.
func (i *installation) replica() *installation {
	i.t.Helper()
	port, err := testenv.FreePort()
	require.NoError(i.t, err)
	other := *i
	other.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	other.env = append(append([]string{}, i.env...), "FORMIDLING_LISTEN="+strings.TrimPrefix(other.url, "http://"))
	other.startAPI()
	return &other
}

// accessed is what the sender learns of a recipient's downloads.
func (i *installation) accessed(id string, of models.Party) (n int64, complete bool) {
	i.t.Helper()
	status, raw := i.ask(testSender, "GET", "/filetransfer/"+id+"/details", nil)
	require.Equal(i.t, http.StatusOK, status, string(raw))
	var out struct {
		Recipients []struct {
			Recipient        string
			BytesServed      int64
			DownloadComplete bool
		}
	}
	require.NoError(i.t, json.Unmarshal(raw, &out))
	for _, r := range out.Recipients {
		if r.Recipient == string(of) {
			return r.BytesServed, r.DownloadComplete
		}
	}
	i.t.Fatal("no such recipient")
	return 0, false
}

// With PostgreSQL, Cloud Storage and Temporal: no MD5 anywhere, and a declared one is refused by the workflow's own step.
func TestComputeMd5_TurnedOffHoldsInAnInstallation(t *testing.T) {
	t.Parallel()
	i := install(t)
	status, raw := i.ask(testOwner, "PUT", "/resource/"+testService, strings.NewReader(`{"computeMd5":false}`), "Content-Type", "application/json", "If-Match", "*")
	require.Equal(t, http.StatusNoContent, status, string(raw))
	declared := strings.Replace(i.draft(), "{", `{"checksum":"5eb63bbbe01eeed093cb22bb8f5acdc3",`, 1)
	status, raw = i.ask(testSender, "POST", "/filetransfer", strings.NewReader(declared))
	require.Equal(t, http.StatusBadRequest, status, string(raw))
	var problem struct {
		Code   string
		Errors map[string][]string
	}
	require.NoError(t, json.Unmarshal(raw, &problem))
	require.Equal(t, "FMD-00001", problem.Code)
	require.Contains(t, problem.Errors, "checksum")

	for _, size := range []int{10, 3 << 20, 70 << 20} { // from memory, from a segment, composed
		id := i.initialize()
		file := bytes.Repeat([]byte("x"), size)
		status, raw := i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", bytes.NewReader(file), "Content-Type", octets)
		require.Equal(t, http.StatusOK, status, string(raw))
		_, raw = i.ask(testRecipients[0], "GET", "/filetransfer/"+id, nil)
		require.Contains(t, string(raw), `"checksum":null`)
		require.Contains(t, string(raw), `"fileTransferStatus":"Published"`)
		status, raw = i.ask(testRecipients[0], "GET", "/filetransfer/"+id+"/download", nil)
		require.Equal(t, http.StatusOK, status)
		require.True(t, bytes.Equal(file, raw))
	}
}

// Two processes that share the database only.
func TestUploads_OfOneOrganisationAreBoundedAtAllReplicasTogether(t *testing.T) {
	t.Parallel()
	i := installWith(t, "FORMIDLING_UPLOADS_PER_ORGANISATION=2")
	i.makeService()
	other := i.replica()
	var running []*slowly
	ended := make(chan int, 2)
	for _, at := range []*installation{i, other} {
		id := at.initialize()
		body := &slowly{head: "x", finish: make(chan struct{})}
		running = append(running, body)
		go func() {
			status, _, _ := at.try(testSender, "POST", "/filetransfer/"+id+"/upload", body, "Content-Type", octets)
			ended <- status
		}()
		at.becomes(id, "UploadStarted")
	}
	id := i.initialize()
	for _, at := range []*installation{i, other} {
		status, raw := at.ask(testSender, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("x"), "Content-Type", octets)
		require.Equal(t, http.StatusTooManyRequests, status, string(raw))
		require.Contains(t, string(raw), "FMD-00090")
	}
	for _, body := range running {
		close(body.finish)
		require.Equal(t, http.StatusOK, <-ended)
	}
	status, raw := other.ask(testSender, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("x"), "Content-Type", octets)
	require.Equal(t, http.StatusOK, status, string(raw))
}

// Requests of tus count among them, as long as they run.
func TestUploads_ByTusAreBoundedAtAllReplicasTogether(t *testing.T) {
	t.Parallel()
	i := installWith(t, "FORMIDLING_UPLOADS_PER_ORGANISATION=2")
	i.makeService()
	other := i.replica()
	open := func(at *installation, headers ...string) (id string) {
		id = at.initialize()
		status, raw := at.ask(testSender, "POST", "/filetransfer/upload/tus/"+id, nil, append(headers, "Tus-Resumable", "1.0.0")...)
		require.Equal(t, http.StatusCreated, status, string(raw))
		return id
	}
	patch := func(at *installation, id, offset string, body io.Reader) (int, string) {
		status, raw, err := at.try(testSender, "PATCH", "/filetransfer/upload/tus/"+id, body,
			"Tus-Resumable", "1.0.0", "Upload-Offset", offset, "Content-Type", "application/offset+octet-stream")
		if err != nil {
			return 0, err.Error()
		}
		return status, string(raw)
	}
	pieces := open(i, "Upload-Length", "3")
	status, raw := patch(i, pieces, "0", strings.NewReader("a"))
	require.Equal(t, http.StatusNoContent, status, raw)

	tus, plain := open(i, "Upload-Length", "1"), other.initialize()
	bodies := []*slowly{{head: "x", finish: make(chan struct{})}, {head: "x", finish: make(chan struct{})}}
	ended := make(chan int, 2)
	go func() { status, _ := patch(i, tus, "0", bodies[0]); ended <- status }()
	go func() {
		status, _, _ := other.try(testSender, "POST", "/filetransfer/"+plain+"/upload", bodies[1], "Content-Type", octets)
		ended <- status
	}()
	other.becomes(plain, "UploadStarted")
	require.Eventually(t, func() bool { // at both replicas, and whichever way
		status, raw := patch(i, pieces, "1", strings.NewReader(""))
		return status == http.StatusTooManyRequests && strings.Contains(raw, "FMD-00090")
	}, time.Minute, 20*time.Millisecond)
	status, raw = patch(other, pieces, "1", strings.NewReader("b"))
	require.Equal(t, http.StatusTooManyRequests, status, raw)
	file := other.initialize()
	status, answer := other.ask(testSender, "POST", "/filetransfer/"+file+"/upload", strings.NewReader("x"), "Content-Type", octets)
	require.Equal(t, http.StatusTooManyRequests, status, string(answer))

	close(bodies[0].finish)
	require.Equal(t, http.StatusNoContent, <-ended)
	for at, piece := range []string{"b", "c"} { // a request that has ended counts no longer, be it of an upload that goes on
		status, raw = patch(other, pieces, fmt.Sprint(at+1), strings.NewReader(piece))
		require.Equal(t, http.StatusNoContent, status, raw)
	}
	status, answer = i.ask(testSender, "POST", "/filetransfer/"+file+"/upload", strings.NewReader("x"), "Content-Type", octets)
	require.Equal(t, http.StatusOK, status, string(answer))
	close(bodies[1].finish)
	require.Equal(t, http.StatusOK, <-ended)
}

// A replica dies in the middle of a download; the rest is fetched from another. The sender learns of both parts.
func TestKilledAPI_InTheMiddleOfADownloadLeavesWhatWasServed(t *testing.T) {
	t.Parallel()
	i := install(t)
	other := i.replica()
	id := i.initialize()
	file := bytes.Repeat([]byte("0123456789abcdef"), 4<<20) // 64 MiB, more than sockets hold
	status, raw := i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", bytes.NewReader(file), "Content-Type", octets)
	require.Equal(t, http.StatusOK, status, string(raw))

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.url+"/broker/api/v1/filetransfer/"+id+"/download", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+i.as(testRecipients[0]).Token)
	response, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
	require.NoError(t, err)
	got := make([]byte, 1<<20)
	_, err = io.ReadFull(response.Body, got)
	require.NoError(t, err)
	var bytesRead int64
	require.Eventually(t, func() bool { bytesRead, _ = i.accessed(id, testRecipients[0]); return bytesRead > 0 }, time.Minute, 200*time.Millisecond)
	i.api.Kill()
	rest, _ := io.ReadAll(response.Body) // what was in flight
	got = append(got, rest...)
	require.NoError(t, response.Body.Close())
	require.Less(t, len(got), len(file))
	after, complete := other.accessed(id, testRecipients[0])
	require.Equal(t, bytesRead, after)
	require.False(t, complete)

	from := min(int64(len(got)), bytesRead)
	status, raw = other.ask(testRecipients[0], "GET", "/filetransfer/"+id+"/download", nil, "Range", fmt.Sprintf("bytes=%d-", from))
	require.Equal(t, http.StatusPartialContent, status)
	require.True(t, bytes.Equal(file, append(got[:from], raw...)), "two replicas, one file")
	require.Eventually(t, func() bool { bytesRead, complete = other.accessed(id, testRecipients[0]); return complete }, time.Minute, 20*time.Millisecond)
	require.Equal(t, int64(len(file)), bytesRead)
}

// The listener for certificates speaks HTTP/2, and the other one does so without TLS.
func TestHTTP2_IsSpokenOnBothListeners(t *testing.T) {
	t.Parallel()
	i := installTrusting(t)
	i.file("310000019")
	certified, err := plainclient.Certified(i.root(), i.file("310000019"))
	require.NoError(t, err)
	from, ok := certified.Transport.(*http.Transport)
	require.True(t, ok)
	overTLS := &http.Transport{TLSClientConfig: from.TLSClientConfig.Clone(), Protocols: new(http.Protocols)}
	overTLS.Protocols.SetHTTP2(true)
	plain := &http.Transport{TLSClientConfig: &tls.Config{}, Protocols: new(http.Protocols)}
	plain.Protocols.SetUnencryptedHTTP2(true)
	for url, transport := range map[string]*http.Transport{i.config.MTLSURL: overTLS, i.config.PublicURL: plain} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/livez", nil)
		require.NoError(t, err)
		response, err := (&http.Client{Transport: transport}).Do(r)
		require.NoError(t, err, url)
		require.NoError(t, response.Body.Close())
		require.Equal(t, 2, response.ProtoMajor, url)
		require.Equal(t, http.StatusOK, response.StatusCode)
		transport.CloseIdleConnections()
	}
}
