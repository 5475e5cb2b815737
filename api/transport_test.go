package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestTransport_CarriesFilesAndRanges(t *testing.T) {
	onWires(t, func(t *testing.T, b *bundle, _ wire) {
		file := bytes.Repeat([]byte("0123456789abcde"), 400_000) // 6 MB, more than any window of a stream
		id := b.initialize(func(d map[string]any) { d["sha256"] = sha256Hex(file) })
		b.upload(id, file).is(http.StatusOK, "")
		path := "/filetransfer/" + id + "/download"
		require.True(t, bytes.Equal(file, b.call(bob, "GET", path, "").body))
		var wg sync.WaitGroup
		for i := range 20 { // streams of one connection with HTTP/2
			first, last := i*1234, len(file)-1-i*250_000
			wg.Go(func() {
				a := b.call(bob, "GET", path, "", "Range", fmt.Sprintf("bytes=%d-%d", first, last))
				if a.StatusCode != http.StatusPartialContent || !bytes.Equal(file[first:last+1], a.body) {
					t.Error(first, last, a.StatusCode)
				}
			})
		}
		wg.Wait()
	})
}

func TestTransport_AnUploadThatStandsStillEnds(t *testing.T) {
	onWires(t, func(t *testing.T, b *bundle, _ wire) {
		id := b.initialize()
		r, w := io.Pipe()
		go func() { _, _ = w.Write(make([]byte, 100_000)) }() // and never more
		a := b.do(b.request(alice, "POST", "/filetransfer/"+id+"/upload", r, "Content-Type", "application/octet-stream"))
		a.is(http.StatusRequestTimeout, "FMD-00019")
		require.NoError(t, r.Close())
		require.Empty(t, b.stored())
		b.upload(id, []byte("again")).is(http.StatusOK, "")
	}, uploadPatience(shortPatience))
}

// With HTTP/2 it is the stream that breaks off; its connection goes on.
func TestTransport_AnUploadThatIsBrokenOffLeavesNothing(t *testing.T) {
	onWires(t, func(t *testing.T, b *bundle, _ wire) {
		id := b.initialize()
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		gone := errors.New("gone")
		go func() { _, _ = w.Write(make([]byte, 2<<20)); cancel(); _ = w.CloseWithError(gone) }()
		_, err := b.client.Do(b.request(alice, "POST", "/filetransfer/"+id+"/upload", r, "Content-Type", "application/octet-stream").WithContext(ctx))
		require.Error(t, err)
		require.Eventually(t, func() bool { return b.running(alice) == 0 && len(b.stored()) == 0 }, time.Minute, 5*time.Millisecond)
		b.upload(id, []byte("again")).is(http.StatusOK, "")
	})
}

func TestTransport_ASlowUploadLives(t *testing.T) {
	onWires(t, func(t *testing.T, b *bundle, _ wire) {
		id := b.initialize()
		r, w := io.Pipe()
		go func() {
			tick := time.NewTicker(longPatience / 6)
			defer tick.Stop()
			for range 12 { // twice as long as it may stand still
				<-tick.C
				_, _ = w.Write([]byte("a drop "))
			}
			_ = w.Close()
		}()
		b.do(b.request(alice, "POST", "/filetransfer/"+id+"/upload", r, "Content-Type", "application/octet-stream")).is(http.StatusOK, "")
		require.Equal(t, strings.Repeat("a drop ", 12), string(b.call(bob, "GET", "/filetransfer/"+id+"/download", "").body))
	}, uploadPatience(longPatience))
}

func TestTransport_ARefusedBodyIsNeverSent(t *testing.T) {
	onWires(t, func(t *testing.T, b *bundle, _ wire) {
		b.ok(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
		id := b.initialize()
		for by, status := range map[models.Party]int{alice: http.StatusBadRequest, bob: http.StatusUnauthorized, mallory: http.StatusNotFound} {
			r := b.request(by, "POST", "/filetransfer/"+id+"/upload", mustNotRead{t}, "Content-Type", "application/octet-stream", "Expect", "100-continue")
			r.ContentLength = 1 << 30
			require.Equal(t, status, b.do(r).StatusCode)
		}
		r := b.request(alice, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("wanted"), "Content-Type", "application/octet-stream", "Expect", "100-continue")
		b.do(r).is(http.StatusOK, "")
	})
}

// unread holds a download open and takes nothing of it but the first byte.
func (b *bundle) unread(id string) *http.Response {
	b.t.Helper()
	response, err := b.client.Do(b.request(bob, "GET", "/filetransfer/"+id+"/download", nil))
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, response.StatusCode)
	_, err = io.ReadFull(response.Body, make([]byte, 1))
	require.NoError(b.t, err)
	return response
}

func TestTransport_ADownloadThatStandsStillEnds(t *testing.T) {
	onWires(t, func(t *testing.T, b *bundle, _ wire) {
		id := b.publish(strings.Repeat("x", 64<<20)) // more than sockets and windows hold
		response := b.unread(id)
		require.Eventually(t, func() bool { return b.ended(id, bob) }, time.Minute, 20*time.Millisecond)
		_, err := io.Copy(io.Discard, response.Body)
		require.Error(t, err, "and its client cannot take it for whole")
		require.NoError(t, response.Body.Close())
		b.call(bob, "GET", "/filetransfer/"+id, "").is(http.StatusOK, "")
	}, downloadPatience(shortPatience))
}

func TestTransport_ASlowDownloadLives(t *testing.T) {
	onWires(t, func(t *testing.T, b *bundle, _ wire) {
		id := b.publish(strings.Repeat("x", 32<<20))
		response := b.unread(id)
		tick := time.NewTicker(longPatience / 12)
		defer tick.Stop()
		for range 24 { // twice as long as one window may take
			<-tick.C
			_, err := io.CopyN(io.Discard, response.Body, 1<<20)
			require.NoError(t, err)
		}
		n, err := io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, int64(8<<20-1), n)
	}, downloadPatience(longPatience))
}

// A client that was fast is sent much at once by the kernel; when it becomes slow, each MiB still has all the time that it
// may take.
func TestTransport_ADownloadThatBecomesSlowLives(t *testing.T) {
	t.Parallel()
	const patience = 3500 * time.Millisecond
	b := setup(t, downloadPatience(patience))
	b.over(wires[0])
	content := noise(48 << 20)
	id := b.publish(string(content))
	response := b.unread(id)
	got := sha256.New()
	_, _ = got.Write(content[:1])
	_, err := io.CopyN(got, response.Body, 24<<20)
	require.NoError(t, err)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range 9 { // a sendfileWindow takes longer than the patience
		<-tick.C
		_, err := io.CopyN(got, response.Body, 1<<20)
		require.NoError(t, err)
	}
	_, err = io.Copy(got, response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, sha256.Sum256(content), [32]byte(got.Sum(nil)))
}

// countingListener tells what its connections are asked to send by the kernel.
type countingListener struct {
	net.Listener
	files, others *atomic.Int64 // bytes
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{conn.(*net.TCPConn), l}, nil
}

type countingConn struct {
	*net.TCPConn
	l countingListener
}

// ReadFrom is where net/http leaves the copy to the connection; *net.TCPConn calls sendfile(2) for what is a file.
func (c countingConn) ReadFrom(r io.Reader) (int64, error) {
	count := c.l.others
	if limited, ok := r.(*io.LimitedReader); ok {
		if _, isFile := limited.R.(*os.File); isFile {
			count = c.l.files
		}
	}
	n, err := c.TCPConn.ReadFrom(r)
	count.Add(n)
	return n, err
}

// sniffed bytes go through a buffer before net/http leaves the rest to the kernel.
const sniffed = 512

func TestDownload_FromTheDiskIsSentByTheKernel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	handler, err := b.server.Handler()
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewHTTPServer(handler)
	listener := countingListener{server.Listener, &atomic.Int64{}, &atomic.Int64{}}
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	b.url = server.URL
	const size = 5<<20 + 3
	id := b.publish(strings.Repeat("x", size))
	require.Len(t, b.call(bob, "GET", "/filetransfer/"+id+"/download", "").body, size)
	require.GreaterOrEqual(t, listener.files.Load(), int64(size-sniffed), "all but what net/http sends with the header")
	b.call(bob, "GET", "/filetransfer/"+id+"/download", "", "Range", "bytes=1000000-3999999").is(http.StatusPartialContent, "")
	require.GreaterOrEqual(t, listener.files.Load(), int64(size+3_000_000-2*sniffed))
	require.Zero(t, listener.others.Load())
}

// A transfer that is cancelled under an upload is cleaned up, and its directory with it.
func TestUpload_RacingCancelIsAConflict(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) { s.Contents = goneContents{s.Contents} })
	id := b.initialize()
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write([]byte("x"))
		b.call(alice, "POST", "/filetransfer/"+id+"/cancel", "")
		_ = w.Close()
	}()
	b.do(b.request(alice, "POST", "/filetransfer/"+id+"/upload", r, "Content-Type", "application/octet-stream")).is(http.StatusConflict, "BRO-00004")

	still := b.initialize() // the same fault without a cancel stays what it is
	b.upload(still, []byte("x")).is(http.StatusServiceUnavailable, "FMD-00002")
}

// goneContents finds, at the end of a body, that its directory is no more.
type goneContents struct{ Contents }

func (goneContents) Put(_ context.Context, _ string, body io.Reader, _ int64, _ ...models.Hash) (models.Content, error) {
	_, err := io.Copy(io.Discard, body)
	return models.Content{}, errors.Join(err, models.ErrUnavailable)
}
