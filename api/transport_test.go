package api

import (
	"bytes"
	"context"
	"crypto/tls"
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

// wire is a way to speak to the server.
type wire struct {
	name  string
	tls   bool
	proto int
}

var wires = []wire{{"HTTP1", false, 1}, {"HTTP1 with TLS", true, 1}, {"HTTP2 with TLS", true, 2}, {"HTTP2 without TLS", false, 2}}

// over serves the bundle's server, as production does, and makes its client speak that way. dialled counts connections.
func (b *bundle) over(w wire) (dialled *atomic.Int32) {
	b.t.Helper()
	handler, err := b.server.Handler()
	require.NoError(b.t, err)
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewHTTPServer(handler)
	if server.EnableHTTP2 = w.tls; w.tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	b.t.Cleanup(server.Close)
	transport, dialled := w.transport()
	b.t.Cleanup(transport.CloseIdleConnections)
	b.url, b.client = server.URL, &http.Client{Transport: validatedTransport(b.t, transport)}
	response := b.call(bob, "GET", "/filetransfer/"+b.initialize(), "")
	require.Equal(b.t, w.proto, response.ProtoMajor, "it speaks what it is to")
	return dialled
}

func (w wire) transport() (*http.Transport, *atomic.Int32) {
	var dialled atomic.Int32
	transport := &http.Transport{
		ExpectContinueTimeout: time.Minute, Protocols: new(http.Protocols),
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled.Add(1)
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	switch {
	case w.proto == 1:
		transport.Protocols.SetHTTP1(true)
	case w.tls:
		transport.Protocols.SetHTTP2(true)
	default:
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return transport, &dialled
}

// onWires runs a test over every wire.
func onWires(t *testing.T, test func(t *testing.T, b *bundle, w wire), change ...func(*Server)) {
	t.Helper()
	t.Parallel()
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, change...)
			b.over(w)
			test(t, b, w)
		})
	}
}

// Patience for a stall, and for a slow client, who must not be taken for one on a machine that is busy.
const (
	shortPatience = time.Second
	longPatience  = 4 * time.Second
)

func uploadPatience(d time.Duration) func(*Server) { return func(s *Server) { s.UploadPatience = d } }

func downloadPatience(d time.Duration) func(*Server) {
	return func(s *Server) { s.DownloadPatience = d }
}

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

func TestTransport_WhatIsServedIsToldToTheSender(t *testing.T) {
	onWires(t, func(t *testing.T, b *bundle, _ wire) {
		id := b.publish(content)
		served := func(viewer, of models.Party) (int64, bool) {
			var d FileTransferDetails
			b.call(viewer, "GET", "/filetransfer/"+id+"/details", "").is(http.StatusOK, "").json(&d)
			for _, r := range d.Recipients {
				if r.Recipient == string(of) {
					return *r.BytesServed, *r.DownloadComplete
				}
			}
			t.Fatal("no such recipient")
			return 0, false
		}
		for _, step := range []struct {
			ranges   string
			bytes    int64
			complete bool
		}{{"bytes=0-3", 4, false}, {"bytes=2-5", 6, false}, {"bytes=9-9", 7, false}, {"bytes=6-8", 10, true}, {"bytes=0-0", 10, true}} {
			b.call(bob, "GET", "/filetransfer/"+id+"/download", "", "Range", step.ranges).is(http.StatusPartialContent, "")
			require.Eventually(t, func() bool { // the answer is out before its end is recorded
				n, whole := served(alice, bob)
				return n == step.bytes && whole == step.complete
			}, time.Minute, 5*time.Millisecond, step.ranges)
		}
		n, whole := served(bob, bob)
		require.Equal(t, int64(10), n)
		require.True(t, whole)
		n, whole = served(alice, carol)
		require.Zero(t, n)
		require.False(t, whole)
	})
}

func TestServed_IsNoneOfTheOtherRecipientsBusiness(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.policy(`{"recipientsSeeEachOther":true}`)
	id := b.publish(content)
	var d FileTransferDetails
	b.call(carol, "GET", "/filetransfer/"+id+"/details", "").is(http.StatusOK, "").json(&d)
	require.Len(t, d.Recipients, 2)
	for _, r := range d.Recipients {
		require.Equal(t, r.Recipient == string(carol), r.BytesServed != nil, r.Recipient)
	}
	require.Nil(t, b.overview(alice, id).Recipients[0].BytesServed, "only the details tell")
}

func TestServed_AnEmptyFileIsCompleteOnceItWasServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish("")
	complete := func() bool {
		var d FileTransferDetails
		b.call(alice, "GET", "/filetransfer/"+id+"/details", "").is(http.StatusOK, "").json(&d)
		return *d.Recipients[0].DownloadComplete
	}
	require.False(t, complete())
	b.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusOK, "")
	require.Eventually(t, complete, time.Minute, 5*time.Millisecond)
}

// What is recorded while a download runs is what remains known of it when its process dies.
func TestServed_IsRecordedWhileADownloadRuns(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) { s.RecheckRight = 10 * time.Millisecond })
	id := b.publish(strings.Repeat("x", 64<<20))
	response := b.unread(id)
	defer func() { require.NoError(t, response.Body.Close()) }()
	require.Eventually(t, func() bool {
		var d FileTransferDetails
		b.call(alice, "GET", "/filetransfer/"+id+"/details", "").is(http.StatusOK, "").json(&d)
		n := *d.Recipients[0].BytesServed
		return n >= downloadWindow && n < 64<<20
	}, time.Minute, 10*time.Millisecond)
	require.False(t, b.ended(id, bob), "it still runs")
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

// blockedOnce reads nothing of the first body until it is released.
type blockedOnce struct {
	Contents
	first   atomic.Bool
	release chan struct{}
}

func (b *blockedOnce) Put(ctx context.Context, key string, body io.Reader, limit int64, without ...models.Hash) (models.Content, error) {
	if b.first.CompareAndSwap(false, true) {
		select {
		case <-b.release:
		case <-ctx.Done():
		}
	}
	return b.Contents.Put(ctx, key, body, limit, without...)
}

// Streams share their connection's window: one whose bytes nobody takes must leave some of it to the others.
func TestHTTP2_AStreamThatIsNotReadDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	blocked := &blockedOnce{release: make(chan struct{})}
	b := setup(t, func(s *Server) { blocked.Contents, s.Contents = s.Contents, blocked })
	dialled := b.over(wires[2])
	before := dialled.Load()
	file := bytes.Repeat([]byte("x"), 12<<20)
	stuck := b.initialize()
	status := make(chan int, 1)
	go func() {
		response, err := b.client.Do(b.request(alice, "POST", "/filetransfer/"+stuck+"/upload", bytes.NewReader(file), "Content-Type", "application/octet-stream"))
		if err != nil {
			status <- 0
			return
		}
		_ = response.Body.Close()
		status <- response.StatusCode
	}()
	require.Eventually(t, blocked.first.Load, time.Minute, 5*time.Millisecond)
	for range 3 {
		id := b.initialize()
		b.upload(id, file).is(http.StatusOK, "")
		require.Len(t, b.call(bob, "GET", "/filetransfer/"+id+"/download", "").body, len(file))
	}
	close(blocked.release)
	require.Equal(t, http.StatusOK, <-status)
	require.Equal(t, before, dialled.Load(), "all of it on one connection")
}

// A client that uploads on many streams of one connection.
func TestHTTP2_OneConnectionDoesNotTakeAllSlots(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) {
		s.UploadSlots = 8
		s.uploads = newSlots(8, 5, models.ErrTooManyUploads, models.ErrTooManyUploadsOfOne)
	})
	b.over(wires[2])
	const streams = 40
	ids := make([]string, streams)
	for i := range ids {
		ids[i] = b.initialize()
	}
	var refused atomic.Int32
	end, statuses := make(chan struct{}), make(chan int, streams)
	for _, id := range ids {
		r, w := io.Pipe()
		go func() { _, _ = w.Write([]byte("x")); <-end; _ = w.Close() }()
		go func() {
			a, err := b.client.Do(b.request(alice, "POST", "/filetransfer/"+id+"/upload", r, "Content-Type", "application/octet-stream"))
			if err != nil {
				statuses <- 0
				return
			}
			_ = a.Body.Close()
			if statuses <- a.StatusCode; a.StatusCode == http.StatusTooManyRequests {
				refused.Add(1)
			}
		}()
	}
	require.Eventually(t, func() bool { return refused.Load() == streams-5 }, time.Minute, 5*time.Millisecond)
	transport, _ := wires[2].transport()
	defer transport.CloseIdleConnections()
	others := *b
	others.client = &http.Client{Transport: validatedTransport(t, transport)}
	d := draft()
	d["sender"] = carol
	var out FileTransferInitialized
	others.call(carol, "POST", "/filetransfer", toJSON(t, d)).is(http.StatusOK, "").json(&out)
	others.do(others.request(carol, "POST", "/filetransfer/"+out.FileTransferID.String()+"/upload", strings.NewReader("mine"), "Content-Type", "application/octet-stream")).is(http.StatusOK, "")
	close(end)
	count := map[int]int{}
	for range streams {
		count[<-statuses]++
	}
	require.Equal(t, map[int]int{http.StatusTooManyRequests: streams - 5, http.StatusOK: 5}, count)
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
