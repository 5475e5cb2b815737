package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/internal/testenv/badlink"
)

// throttled gives a body at a rate of bytes per second, as a link does that is slower than the server.
type throttled struct {
	io.Reader
	rate  int
	next  time.Time
	given atomic.Int64 // bytes
}

// Read implements io.Reader.
func (s *throttled) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p[:min(len(p), 64<<10)])
	if now := time.Now(); s.next.Before(now) {
		s.next = now
	}
	s.given.Add(int64(n))
	s.next = s.next.Add(time.Duration(n) * time.Second / time.Duration(s.rate))
	time.Sleep(time.Until(s.next))
	return n, err
}

// killings is how often the API is killed, in the middle of as many uploads as it takes.
const killings = 12

func TestKilledAPI_AtRandomMomentsOfATusUploadLosesNothing(t *testing.T) {
	t.Parallel()
	const size, rate, longest = 160<<20 + 13, 256 << 20, 1800 * time.Millisecond
	content := newPattern(2)
	sum := content.sum(t, size)
	for storage, settings := range storages(t) {
		t.Run(storage, func(t *testing.T) {
			t.Parallel()
			i := installWith(t, settings...)
			i.makeService()
			for kills := 0; kills < killings; {
				id := i.initialize()
				u := i.tus(i.url, id, size)
				for at := int64(0); at < size && kills < killings; kills++ {
					at = i.killDuring(u, &throttled{Reader: content.from(at, size), rate: rate}, rand.N(longest))
				}
				u.finish(content)
				i.holds(id, sum, size)
			}
		})
	}
}

// killDuring kills the API a moment after a request began that sends all that is missing, starts it again, and returns
// how far the upload is then.
func (i *installation) killDuring(u *tusUpload, body io.Reader, moment time.Duration) int64 {
	i.t.Helper()
	at := u.acked
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = u.at(u.server).patch(i.t.Context(), at, body, u.size-at) // it may have been answered before the end
	}()
	select {
	case <-sent:
	case <-time.After(moment):
	}
	i.api.Kill()
	<-sent
	began := time.Now()
	i.startAPI()
	after := u.serving()
	took := time.Since(began)
	i.t.Logf("killed %v after byte %d was sent: it serves again after %v, at byte %d", moment.Round(time.Millisecond), at, took.Round(time.Millisecond), after)
	require.Less(i.t, took, 10*time.Second)
	return after
}

// serving waits until the server tells how far the upload is.
func (u *tusUpload) serving() (at int64) {
	u.t.Helper()
	var err error
	require.Eventually(u.t, func() bool {
		at, err = u.head(u.t.Context())
		return err == nil
	}, 20*time.Second, 20*time.Millisecond, "the API serves again")
	return at
}

// TestCutLink_EachTryGoesOnWhereTheLastOneStopped sends and fetches over a link that is cut every 30 MB.
func TestCutLink_EachTryGoesOnWhereTheLastOneStopped(t *testing.T) {
	t.Parallel()
	const size, every = 140_000_003, 30_000_000
	i := install(t)
	content := newPattern(3)
	sum := content.sum(t, size)
	id := i.initialize()
	u := i.tus(badlink.Cut(t, i.url, every, 0), id, size)
	failed := u.finish(content)
	require.GreaterOrEqual(t, failed, size/every, "the link was cut")
	require.LessOrEqual(t, failed, 2*(size/every)+2, "each try went on from near where the last one stopped")
	i.holds(id, sum, size)

	got, tries := i.fetchInPieces(badlink.Cut(t, i.url, 0, every), id, size)
	require.Equal(t, sum, got)
	require.GreaterOrEqual(t, tries, size/every, "the link was cut")
}

// TestTwoClients_OfOneUploadMakeOneFile lets two clients send the same upload at once, each to a replica of its own:
// whatever order their requests meet in, the file is whole.
func TestTwoClients_OfOneUploadMakeOneFile(t *testing.T) {
	t.Parallel()
	const size = 40<<20 + 1
	content := newPattern(4)
	for storage, settings := range storages(t) {
		t.Run(storage, func(t *testing.T) {
			t.Parallel()
			i := installWith(t, settings...)
			i.makeService()
			id := i.initialize()
			first := i.tus(i.url, id, size)
			second := first.at(i.startReplica())
			var both errgroup.Group
			for _, u := range []*tusUpload{first, second} {
				both.Go(func() error { u.finish(content); return nil })
			}
			require.NoError(t, both.Wait())
			i.holds(id, content.sum(t, size), size)
		})
	}
}

// TestStalledClient_CannotWriteIntoWhatAnotherFinished has a client stall in the middle of its request, another one
// finish the upload at the other replica, and the first one wake up with other bytes.
func TestStalledClient_CannotWriteIntoWhatAnotherFinished(t *testing.T) {
	t.Parallel()
	const size, head = 8 << 20, 1 << 20
	content, other := newPattern(5), newPattern(6)
	for storage, settings := range storages(t) {
		t.Run(storage, func(t *testing.T) {
			t.Parallel()
			i := installWith(t, settings...)
			i.makeService()
			id := i.initialize()
			stalled := i.tus(i.url, id, size)
			finisher := stalled.at(i.startReplica())
			body, rest := io.Pipe()
			done := make(chan error, 1)
			go func() {
				_, err := stalled.patch(t.Context(), 0, body, size)
				done <- err
			}()
			_, err := io.Copy(rest, content.from(0, head))
			require.NoError(t, err)
			began := time.Now()
			finisher.finish(content)
			t.Logf("the other client finished after %v", time.Since(began))
			require.Less(t, time.Since(began), 15*time.Second, "one that stalls holds nobody up for long")
			go func() {
				_, err := io.Copy(rest, other.from(head, size)) // nobody may be there to read it
				_ = rest.CloseWithError(err)
			}()
			require.Error(t, <-done, "its bytes were not taken, so it must not hear that they were")
			i.holds(id, content.sum(t, size), size)
		})
	}
}

// TestStorageDown_InTheMiddleOfAnUpload takes Cloud Storage away from uploads that are under way.
func TestStorageDown_InTheMiddleOfAnUpload(t *testing.T) {
	t.Parallel()
	const size, rate = 60 << 20, 24 << 20
	i := install(t)
	content := newPattern(7)
	sum := content.sum(t, size)
	plain, resumed := i.initialize(), i.initialize()
	u := i.tus(i.url, resumed, size)
	bodies := []*throttled{{Reader: content.from(0, size), rate: rate}, {Reader: content.from(0, size), rate: rate}}
	var uploads errgroup.Group
	uploads.Go(func() error {
		status, raw, err := i.try(testSender, "POST", "/filetransfer/"+plain+"/upload", bodies[0], "Content-Type", octets)
		if err == nil && status != http.StatusOK && status != http.StatusServiceUnavailable {
			err = fmt.Errorf("%d %s", status, raw)
		}
		return err
	})
	uploads.Go(func() error {
		_, err := u.patch(t.Context(), 0, bodies[1], size)
		if refused := new(refusedError); errors.As(err, &refused) && refused.status >= http.StatusInternalServerError {
			return nil
		}
		return err
	})
	i.becomes(plain, "UploadStarted")
	i.becomes(resumed, "UploadStarted")
	require.Eventually(t, func() bool {
		return bodies[0].given.Load() > size/3 && bodies[1].given.Load() > size/3
	}, time.Minute, 5*time.Millisecond, "both are in the middle")
	i.storage.Kill()
	require.Eventually(t, func() bool { return i.readiness() == http.StatusServiceUnavailable }, time.Minute, 20*time.Millisecond, "the API notices")
	i.startStorage()
	require.NoError(t, uploads.Wait())
	u.finish(content)
	i.holds(resumed, sum, size)
	if i.status(plain) != "Published" {
		status, raw := i.ask(testSender, "POST", "/filetransfer/"+plain+"/upload", content.from(0, size), "Content-Type", octets)
		require.Equal(t, http.StatusOK, status, string(raw))
	}
	i.holds(plain, sum, size)
}

// fetchInPieces downloads over a link that breaks: each request asks for what is missing, of the same file.
func (i *installation) fetchInPieces(server, id string, size int64) (sum string, tries int) {
	i.t.Helper()
	c := i.as(testRecipients[0])
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	h, etag := sha256.New(), ""
	for at := int64(0); at < size; tries++ {
		r, err := http.NewRequestWithContext(i.t.Context(), http.MethodGet, server+"/broker/api/v1/filetransfer/"+id+"/download", nil)
		require.NoError(i.t, err)
		r.Header.Set("Authorization", "Bearer "+c.Token)
		if at > 0 {
			r.Header.Set("Range", fmt.Sprintf("bytes=%d-", at))
			r.Header.Set("If-Range", etag)
		}
		response, err := client.Do(r)
		require.NoError(i.t, err)
		want := http.StatusOK
		if at > 0 {
			want = http.StatusPartialContent
		}
		require.Equal(i.t, want, response.StatusCode)
		etag = response.Header.Get("ETag")
		n, err := io.Copy(h, response.Body)
		require.NoError(i.t, response.Body.Close())
		at += n
		require.Equal(i.t, at == size, err == nil, "%d of %d bytes, and then %v", at, size, err)
		require.Positive(i.t, n)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), tries
}
