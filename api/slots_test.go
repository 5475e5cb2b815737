package api_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

func running(b *apitest.Bundle, by models.Party) int {
	_, of := b.Server.Slots.Taken(by)
	return of
}

func TestUpload_OfAnOrganisationThatHasItsShareIsRefusedBeforeItsBody(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) {
		s.UploadsPerOrganisation = 2
	})
	first, second := b.SlowUpload(alice), b.SlowUpload(alice)
	require.Eventually(t, func() bool { return running(b, alice) == 2 }, time.Minute, 5*time.Millisecond)

	id := b.Initialize()
	r := b.Request(alice, "POST", "/filetransfer/"+id+"/upload", mustNotRead{t}, "Content-Type", "application/octet-stream", "Expect", "100-continue")
	r.ContentLength = 1 << 20
	client := &http.Client{Transport: apitest.ValidatedTransport(t, &http.Transport{ExpectContinueTimeout: time.Minute})}
	response, err := client.Do(r)
	require.NoError(t, err)
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	p := apitest.Reply{Response: response, Raw: raw, T: t}.Is(http.StatusTooManyRequests, "FMD-00090").Problem()
	require.NotEmpty(t, response.Header.Get("Retry-After"))
	require.True(t, p.Retryable)
	require.Equal(t, int64(2), *p.Limit)
	b.Form(apitest.FormParts()).Is(http.StatusTooManyRequests, "FMD-00090")

	other := b.SlowUpload(carol)
	for _, u := range []apitest.SlowUpload{first, second, other} {
		require.NoError(t, u.Pipe.Close())
		require.Equal(t, http.StatusOK, <-u.Status)
	}
	require.Eventually(t, func() bool { return running(b, alice) == 0 }, time.Minute, 5*time.Millisecond)
	b.Upload(id, []byte("now")).Is(http.StatusOK, "")
}

// Two replicas, which know of each other only by the database.
func TestUpload_IsBoundedPerOrganisationAcrossReplicas(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	bounded, err := store.Open(b.Database, store.Options{UploadsPerOrganisation: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bounded.Close()) })
	b.Restart(func(s *apitest.Config) { s.Uploads = bounded })
	first, second := b.SlowUpload(alice), b.SlowUpload(alice)
	b.Restart()
	id := b.Initialize()
	b.Upload(id, []byte("x")).Is(http.StatusTooManyRequests, "FMD-00090")
	require.NoError(t, first.Pipe.CloseWithError(io.ErrUnexpectedEOF)) // what broke off counts no more
	<-first.Status
	require.Eventually(t, func() bool { return b.Upload(id, []byte("x")).StatusCode == http.StatusOK }, time.Minute, 10*time.Millisecond)
	require.NoError(t, second.Pipe.Close())
	require.Equal(t, http.StatusOK, <-second.Status)
}

func TestDownload_IsBoundedPerOrganisation(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) { s.DownloadsPerOrganisation = 2 })
	id := b.Publish(string(make([]byte, 64<<20))) // more than sockets hold
	path := "/filetransfer/" + id + "/download"
	var open []*http.Response
	for range 2 {
		response, err := http.DefaultClient.Do(b.Request(bob, "GET", path, nil))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
		open = append(open, response)
	}
	a := b.Call(bob, "GET", path, "").Is(http.StatusTooManyRequests, "FMD-00091")
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	require.Empty(t, a.Header.Get("Content-Disposition"))
	require.Equal(t, http.StatusOK, b.Call(bob, "HEAD", path, "").StatusCode, "it holds nothing")
	b.Call(carol, "GET", path, "", "Range", "bytes=0-9").Is(http.StatusPartialContent, "")
	for _, response := range open {
		require.NoError(t, response.Body.Close())
	}
	require.Eventually(t, func() bool {
		return b.Call(bob, "GET", path, "", "Range", "bytes=0-9").StatusCode == http.StatusPartialContent
	}, time.Minute, 10*time.Millisecond)
}
