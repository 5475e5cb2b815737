package api

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

func TestSlots_AreNeverAllOneOrganisations(t *testing.T) {
	t.Parallel()
	for _, each := range []int{0, 3, 4, 100} {
		s := newSlots(4, each, models.ErrTooManyUploads, models.ErrTooManyUploadsOfOne)
		var mine []func()
		for range 3 {
			release, err := s.take(alice)
			require.NoError(t, err)
			mine = append(mine, release)
		}
		_, err := s.take(alice)
		require.ErrorIs(t, err, models.ErrTooManyUploadsOfOne, "each %d", each)
		release, err := s.take(carol)
		require.NoError(t, err, "there is one left for others")
		_, err = s.take(bob)
		require.ErrorIs(t, err, models.ErrTooManyUploads)
		release()
		for _, done := range mine {
			done()
		}
		require.Empty(t, s.by, "who has none is forgotten")
		require.Zero(t, s.taken)
	}
	s := newSlots(1, 1, models.ErrTooManyUploads, models.ErrTooManyUploadsOfOne)
	_, err := s.take(alice)
	require.NoError(t, err, "a single slot is anybody's")
}

// slowUpload is an upload that has begun and goes on when it is told to.
type slowUpload struct {
	id     string
	body   *io.PipeWriter
	status chan int
}

func (b *bundle) slowUpload(by models.Party) slowUpload {
	b.t.Helper()
	id := b.initialize(func(d map[string]any) { d["sender"] = alice })
	if by != alice {
		d := draft()
		d["sender"] = by
		var out contract.FileTransferInitialized
		b.call(by, "POST", "/filetransfer", toJSON(b.t, d)).is(http.StatusOK, "").json(&out)
		id = out.FileTransferID.String()
	}
	r, w := io.Pipe()
	u := slowUpload{id: id, body: w, status: make(chan int, 1)}
	request := b.request(by, "POST", "/filetransfer/"+id+"/upload", r, "Content-Type", "application/octet-stream")
	go func() {
		response, err := b.client.Do(request)
		if err != nil {
			u.status <- 0
			return
		}
		_ = response.Body.Close()
		u.status <- response.StatusCode
	}()
	_, err := w.Write([]byte("x"))
	require.NoError(b.t, err)
	require.Eventually(b.t, func() bool { return b.overview(by, id).FileTransferStatus == contract.FileTransferStatusUploadStarted }, time.Minute, 5*time.Millisecond)
	return u
}

func (b *bundle) running(by models.Party) int {
	b.server.uploads.mu.Lock()
	defer b.server.uploads.mu.Unlock()
	return b.server.uploads.by[by]
}

func TestUpload_OfAnOrganisationThatHasItsShareIsRefusedBeforeItsBody(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) {
		s.uploads = newSlots(8, 2, models.ErrTooManyUploads, models.ErrTooManyUploadsOfOne)
	})
	first, second := b.slowUpload(alice), b.slowUpload(alice)
	require.Eventually(t, func() bool { return b.running(alice) == 2 }, time.Minute, 5*time.Millisecond)

	id := b.initialize()
	r := b.request(alice, "POST", "/filetransfer/"+id+"/upload", mustNotRead{t}, "Content-Type", "application/octet-stream", "Expect", "100-continue")
	r.ContentLength = 1 << 20
	client := &http.Client{Transport: validatedTransport(t, &http.Transport{ExpectContinueTimeout: time.Minute})}
	response, err := client.Do(r)
	require.NoError(t, err)
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	p := reply{Response: response, body: raw, t: t}.is(http.StatusTooManyRequests, "FMD-00090").problem()
	require.NotEmpty(t, response.Header.Get("Retry-After"))
	require.True(t, p.Retryable)
	require.Equal(t, int64(2), *p.Limit)
	b.form(formParts()).is(http.StatusTooManyRequests, "FMD-00090")

	other := b.slowUpload(carol)
	for _, u := range []slowUpload{first, second, other} {
		require.NoError(t, u.body.Close())
		require.Equal(t, http.StatusOK, <-u.status)
	}
	require.Eventually(t, func() bool { return b.running(alice) == 0 }, time.Minute, 5*time.Millisecond)
	b.upload(id, []byte("now")).is(http.StatusOK, "")
}

// Two replicas, which know of each other only by the database.
func TestUpload_IsBoundedPerOrganisationAcrossReplicas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bounded, err := store.Open(b.database, store.Options{UploadsPerOrganisation: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bounded.Close()) })
	b.server.Uploads = bounded
	first, second := b.slowUpload(alice), b.slowUpload(alice)
	b.server.uploads = newSlots(8, 0, models.ErrTooManyUploads, models.ErrTooManyUploadsOfOne) // another process
	id := b.initialize()
	b.upload(id, []byte("x")).is(http.StatusTooManyRequests, "FMD-00090")
	require.NoError(t, first.body.CloseWithError(io.ErrUnexpectedEOF)) // what broke off counts no more
	<-first.status
	require.Eventually(t, func() bool { return b.upload(id, []byte("x")).StatusCode == http.StatusOK }, time.Minute, 10*time.Millisecond)
	require.NoError(t, second.body.Close())
	require.Equal(t, http.StatusOK, <-second.status)
}

func TestDownload_IsBoundedPerOrganisation(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) { s.downloads = newSlots(0, 2, nil, models.ErrTooManyDownloadsOfOne) })
	id := b.publish(string(make([]byte, 64<<20))) // more than sockets hold
	path := "/filetransfer/" + id + "/download"
	var open []*http.Response
	for range 2 {
		response, err := http.DefaultClient.Do(b.request(bob, "GET", path, nil))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
		open = append(open, response)
	}
	a := b.call(bob, "GET", path, "").is(http.StatusTooManyRequests, "FMD-00091")
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	require.Empty(t, a.Header.Get("Content-Disposition"))
	require.Equal(t, http.StatusOK, b.call(bob, "HEAD", path, "").StatusCode, "it holds nothing")
	b.call(carol, "GET", path, "", "Range", "bytes=0-9").is(http.StatusPartialContent, "")
	for _, response := range open {
		require.NoError(t, response.Body.Close())
	}
	require.Eventually(t, func() bool {
		return b.call(bob, "GET", path, "", "Range", "bytes=0-9").StatusCode == http.StatusPartialContent
	}, time.Minute, 10*time.Millisecond)
}

func TestSlots_AreCountedRightUnderConcurrency(t *testing.T) {
	t.Parallel()
	s := newSlots(10, 4, models.ErrTooManyUploads, models.ErrTooManyUploadsOfOne)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			p := models.Party(fmt.Sprint("0192:", i%5))
			for range 200 {
				if release, err := s.take(p); err == nil {
					s.mu.Lock()
					if s.taken > 10 || s.by[p] > 4 {
						t.Error(s.taken, s.by[p])
					}
					s.mu.Unlock()
					release()
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, s.taken)
	require.Empty(t, s.by)
}
