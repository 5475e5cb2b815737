package api_test

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

	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/models"
)

func TestTransport_CarriesFilesAndRanges(t *testing.T) {
	apitest.OnWires(t, func(t *testing.T, b *apitest.Bundle, _ apitest.Wire) {
		file := bytes.Repeat([]byte("0123456789abcde"), 400_000) // 6 MB, more than any window of a stream
		id := b.Initialize(func(d map[string]any) { d["sha256"] = apitest.SHA256Hex(file) })
		b.Upload(id, file).Is(http.StatusOK, "")
		path := "/filetransfer/" + id + "/download"
		require.True(t, bytes.Equal(file, b.Call(bob, "GET", path, "").Raw))
		var wg sync.WaitGroup
		for i := range 20 { // streams of one connection with HTTP/2
			first, last := i*1234, len(file)-1-i*250_000
			wg.Go(func() {
				a := b.Call(bob, "GET", path, "", "Range", fmt.Sprintf("bytes=%d-%d", first, last))
				if a.StatusCode != http.StatusPartialContent || !bytes.Equal(file[first:last+1], a.Raw) {
					t.Error(first, last, a.StatusCode)
				}
			})
		}
		wg.Wait()
	})
}

func TestTransport_AnUploadThatStandsStillEnds(t *testing.T) {
	apitest.OnWires(t, func(t *testing.T, b *apitest.Bundle, _ apitest.Wire) {
		id := b.Initialize()
		r, w := io.Pipe()
		go func() { _, _ = w.Write(make([]byte, 100_000)) }() // and never more
		a := b.Do(b.Request(alice, "POST", "/filetransfer/"+id+"/upload", r, "Content-Type", "application/octet-stream"))
		a.Is(http.StatusRequestTimeout, "FMD-00019")
		require.NoError(t, r.Close())
		require.Empty(t, b.Stored())
		b.Upload(id, []byte("again")).Is(http.StatusOK, "")
	}, uploadPatience(shortPatience))
}

// With HTTP/2 it is the stream that breaks off; its connection goes on.
func TestTransport_AnUploadThatIsBrokenOffLeavesNothing(t *testing.T) {
	apitest.OnWires(t, func(t *testing.T, b *apitest.Bundle, _ apitest.Wire) {
		id := b.Initialize()
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		gone := errors.New("gone")
		go func() { _, _ = w.Write(make([]byte, 2<<20)); cancel(); _ = w.CloseWithError(gone) }()
		_, err := b.Client.Do(b.Request(alice, "POST", "/filetransfer/"+id+"/upload", r, "Content-Type", "application/octet-stream").WithContext(ctx))
		require.Error(t, err)
		require.Eventually(t, func() bool { return running(b, alice) == 0 && len(b.Stored()) == 0 }, time.Minute, 5*time.Millisecond)
		b.Upload(id, []byte("again")).Is(http.StatusOK, "")
	})
}

func TestTransport_ASlowUploadLives(t *testing.T) {
	apitest.OnWires(t, func(t *testing.T, b *apitest.Bundle, _ apitest.Wire) {
		id := b.Initialize()
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
		b.Do(b.Request(alice, "POST", "/filetransfer/"+id+"/upload", r, "Content-Type", "application/octet-stream")).Is(http.StatusOK, "")
		require.Equal(t, strings.Repeat("a drop ", 12), string(b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Raw))
	}, uploadPatience(longPatience))
}

func TestTransport_ARefusedBodyIsNeverSent(t *testing.T) {
	apitest.OnWires(t, func(t *testing.T, b *apitest.Bundle, _ apitest.Wire) {
		b.OK(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
		id := b.Initialize()
		for by, status := range map[models.Party]int{alice: http.StatusBadRequest, bob: http.StatusUnauthorized, mallory: http.StatusNotFound} {
			r := b.Request(by, "POST", "/filetransfer/"+id+"/upload", mustNotRead{t}, "Content-Type", "application/octet-stream", "Expect", "100-continue")
			r.ContentLength = 1 << 30
			require.Equal(t, status, b.Do(r).StatusCode)
		}
		r := b.Request(alice, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("wanted"), "Content-Type", "application/octet-stream", "Expect", "100-continue")
		b.Do(r).Is(http.StatusOK, "")
	})
}

func TestTransport_ADownloadThatStandsStillEnds(t *testing.T) {
	apitest.OnWires(t, func(t *testing.T, b *apitest.Bundle, _ apitest.Wire) {
		id := b.Publish(strings.Repeat("x", 64<<20)) // more than sockets and windows hold
		response := b.Unread(id)
		require.Eventually(t, func() bool { return b.Ended(id, bob) }, time.Minute, 20*time.Millisecond)
		_, err := io.Copy(io.Discard, response.Body)
		require.Error(t, err, "and its client cannot take it for whole")
		require.NoError(t, response.Body.Close())
		b.Call(bob, "GET", "/filetransfer/"+id, "").Is(http.StatusOK, "")
	}, downloadPatience(shortPatience))
}

func TestTransport_ASlowDownloadLives(t *testing.T) {
	apitest.OnWires(t, func(t *testing.T, b *apitest.Bundle, _ apitest.Wire) {
		id := b.Publish(strings.Repeat("x", 32<<20))
		response := b.Unread(id)
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
	b := apitest.Setup(t, downloadPatience(patience))
	b.Over(apitest.Wires[0])
	content := apitest.Noise(48 << 20)
	id := b.Publish(string(content))
	response := b.Unread(id)
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
	b := apitest.Setup(t)
	handler, err := b.Server.Handler()
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(nil)
	server.Config = api.NewHTTPServer(handler)
	listener := countingListener{server.Listener, &atomic.Int64{}, &atomic.Int64{}}
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	b.URL = server.URL
	const size = 5<<20 + 3
	id := b.Publish(strings.Repeat("x", size))
	require.Len(t, b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Raw, size)
	require.GreaterOrEqual(t, listener.files.Load(), int64(size-sniffed), "all but what net/http sends with the header")
	b.Call(bob, "GET", "/filetransfer/"+id+"/download", "", "Range", "bytes=1000000-3999999").Is(http.StatusPartialContent, "")
	require.GreaterOrEqual(t, listener.files.Load(), int64(size+3_000_000-2*sniffed))
	require.Zero(t, listener.others.Load())
}

// A transfer that is cancelled under an upload is cleaned up, and its directory with it.
func TestUpload_RacingCancelIsAConflict(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) { s.Contents = goneContents{s.Contents} })
	id := b.Initialize()
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write([]byte("x"))
		b.Call(alice, "POST", "/filetransfer/"+id+"/cancel", "")
		_ = w.Close()
	}()
	b.Do(b.Request(alice, "POST", "/filetransfer/"+id+"/upload", r, "Content-Type", "application/octet-stream")).Is(http.StatusConflict, "BRO-00004")

	still := b.Initialize() // the same fault without a cancel stays what it is
	b.Upload(still, []byte("x")).Is(http.StatusServiceUnavailable, "FMD-00002")
}

// goneContents finds, at the end of a body, that its directory is no more.
type goneContents struct{ api.Contents }

func (goneContents) Put(_ context.Context, _ string, body io.Reader, _ int64, _ ...models.Hash) (models.Content, error) {
	_, err := io.Copy(io.Discard, body)
	return models.Content{}, errors.Join(err, models.ErrUnavailable)
}
