package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// slowly is a slow device: it gives a megabyte in so long a time.
type slowly struct {
	io.ReaderAt
	megabyte time.Duration
}

func (s slowly) ReadAt(p []byte, at int64) (int, error) {
	n, err := s.ReaderAt.ReadAt(p, at)
	time.Sleep(s.megabyte * time.Duration(n) >> 20)
	return n, err
}

func TestSend_DoesNotLosePatienceWhileBytesMove(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(4 << 20)
	for _, way := range []Way{WayPlain, WayTus} {
		t.Run(string(way), func(t *testing.T) {
			t.Parallel()
			l := b.link()
			l.up.Store(3 << 20)
			c := b.as(alice, func(o *Options) {
				o.URL, o.Retry.Patience = l.url, 2*time.Second
				o.Retry.Notify = func(error, time.Duration) { l.up.Store(0) } // one break is enough
			})
			source := FromReaderAt(slowly{bytes.NewReader(content), 1500 * time.Millisecond}, int64(len(content)))
			sent, err := c.Send(t.Context(), b.transfer(), source, SendOptions{Way: way, Undeclared: true})
			require.NoError(t, err)
			require.EqualValues(t, 1, l.broken.Load())
			b.delivers(sent.ID, content)
		})
	}
	t.Run("a source that takes its time", func(t *testing.T) {
		t.Parallel()
		l := b.link()
		content := noise(12 << 20)
		c := b.as(alice, func(o *Options) {
			o.URL, o.Retry.Patience, o.Stall = l.url, 2*time.Second, time.Second
			o.Retry.Notify = func(error, time.Duration) { l.up.Store(0) }
		})
		l.up.Store(10 << 20)
		source := io.MultiReader(bytes.NewReader(content[:9<<20]), silence(4*time.Second), bytes.NewReader(content[9<<20:]))
		sent, err := c.Send(t.Context(), b.transfer(), FromReader(source), SendOptions{})
		require.NoError(t, err)
		require.EqualValues(t, 1, l.broken.Load())
		b.delivers(sent.ID, content)
	})
	t.Run("a source that takes its time, in one request", func(t *testing.T) {
		t.Parallel()
		c := b.as(alice, func(o *Options) { o.Stall = time.Second })
		source := io.MultiReader(bytes.NewReader(content[:1<<20]), silence(2*time.Second), bytes.NewReader(content[1<<20:]))
		sent, err := c.Send(t.Context(), b.transfer(), FromReader(source), SendOptions{Way: WayPlain})
		require.NoError(t, err)
		b.delivers(sent.ID, content)
	})
}

// silence is a slow device that gives nothing for so long, and then ends.
type silence time.Duration

// Read implements io.Reader.
func (s silence) Read([]byte) (int, error) { time.Sleep(time.Duration(s)); return 0, io.EOF }

func TestClock_CountsWhatIsLostOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := &NetworkError{Op: "PATCH x", Err: io.ErrUnexpectedEOF}
		row := Retry{First: time.Second, Longest: time.Second, Patience: 5 * time.Second}.begin()
		other := row.shared()
		body := &outgoing{Reader: bytes.NewReader(make([]byte, 100)), meter: newMeter(nil, PhaseUpload, FileTransferID{}, 100), clock: row.clock}
		ctx, w, cancel := watched(t.Context(), 2*time.Minute)
		defer cancel()
		body.watch = w
		for range 100 { // a byte a minute
			_, err := body.Read(make([]byte, 1))
			require.NoError(t, err)
			time.Sleep(time.Minute)
		}
		_, err := io.Copy(io.Discard, body)
		require.NoError(t, err)
		require.NoError(t, ctx.Err())
		require.NoError(t, row.pause(t.Context(), broken))
		for row.pause(t.Context(), broken) == nil {
		}
		more := 0
		for other.pause(t.Context(), broken) == nil {
			more++
		}
		require.LessOrEqual(t, more, 1, "it is one patience, but for what a pause more or less may take")
		row.progressed()
		require.NoError(t, other.pause(t.Context(), broken), "and one progress")
		row.clock.forgive(time.Hour)
		require.Zero(t, row.clock.idle(), "nobody saves patience up")
	})
}

func TestUpload_SizesItsPiecesByTheRate(t *testing.T) {
	t.Parallel()
	u := &tusUpload{piece: firstPiece}
	u.resize(time.Second)
	require.EqualValues(t, 2*firstPiece, u.piece)
	u.resize(10 * time.Second)
	require.EqualValues(t, 2*firstPiece, u.piece)
	u.resize(time.Minute)
	require.EqualValues(t, firstPiece, u.piece)
	for range 20 {
		u.resize(time.Minute)
	}
	require.EqualValues(t, smallestPiece, u.piece)
	for range 20 {
		u.resize(time.Second)
	}
	require.EqualValues(t, largestPiece, u.piece)
}

func TestSend_LetsAPartWaitWhileAnotherOneGoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.proxy()
	var under, refused atomic.Int64
	p.answers(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		if under.Add(1) == 1 {
			return false
		}
		under.Add(-1)
		refused.Add(1)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	p.changes(func(r *http.Response) error {
		if r.Request.Method == http.MethodPatch {
			under.Add(-1)
		}
		return nil
	})
	content := noise(4 << 20)
	var mu sync.Mutex
	var pauses []time.Duration
	c := b.through(alice, p, func(o *Options) {
		o.Retry.Patience, o.Retry.First, o.Retry.Longest = 3*time.Second, 4*time.Second, 8*time.Second
		o.Retry.Notify = func(_ error, pause time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			pauses = append(pauses, pause)
		}
	})
	source := FromReaderAt(slowly{bytes.NewReader(content), 2 * time.Second}, int64(len(content)))
	sent, err := c.Send(t.Context(), b.transfer(), source, SendOptions{Way: WayTus, Parts: 2, Undeclared: true})
	require.NoError(t, err)
	require.Greater(t, refused.Load(), int64(2))
	for _, pause := range pauses {
		require.Equal(t, time.Second, pause, "as it was asked")
	}
	b.delivers(sent.ID, content)
}

func TestSend_OpensItsPartsInTheFilesOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.proxy()
	const parts = 8
	var opened, early atomic.Int64
	p.answers(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && opened.Load() < parts {
			early.Add(1)
		}
		return false
	})
	p.changes(func(r *http.Response) error {
		if r.Request.Header.Get("Upload-Concat") == "partial" {
			opened.Add(1)
		}
		return nil
	})
	content := noise(1 << 20)
	made := 0
	sent, err := b.through(alice, p).Send(t.Context(), b.transfer(), FromReaderAt(bytes.NewReader(content), 1<<20), SendOptions{Way: WayTus, Parts: parts, Save: func(c Checkpoint) error {
		now := 0
		for n, part := range c.Parts {
			if part.URL != "" {
				require.Equal(t, n, now, "those before it were made before it")
				now++
			}
		}
		require.LessOrEqual(t, now, made+1)
		made = now
		return nil
	}})
	require.NoError(t, err)
	require.Equal(t, parts, made)
	require.Zero(t, early.Load(), "nothing was sent before")
	b.delivers(sent.ID, content)
}

func TestReceive_WaitsForItsReader(t *testing.T) {
	t.Parallel()
	content := noise(8 << 20)
	for name, tc := range map[string]struct {
		breaks bool
		asked  int
		why    string
	}{
		"over a link that holds": {false, 1, "the connection was not given up"},
		"over one that breaks":   {true, 2, "the rest did not count"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				downloads := 0
				b := inMemory(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("ETag", `"x"`)
					w.Header().Set("Repr-Digest", digestOf(content))
					if r.Method == http.MethodGet {
						downloads++
					}
					if tc.breaks && r.Method == http.MethodGet && downloads == 1 {
						w.Header().Set("Content-Length", "8388608")
						_, _ = w.Write(content[:1<<20])
						panic(http.ErrAbortHandler)
					}
					http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
				})
				b.stall, b.retry = 500*time.Millisecond, Retry{First: time.Millisecond, Patience: time.Second}
				in, err := b.Receive(t.Context(), FileTransferID{}, ReceiveOptions{})
				require.NoError(t, err)
				head := make([]byte, 1000)
				_, err = io.ReadFull(in, head)
				require.NoError(t, err)
				time.Sleep(time.Hour) // the reader is busy with it
				rest, err := io.ReadAll(in)
				require.NoError(t, err)
				require.Equal(t, sum(content), sum(append(head, rest...)))
				require.NoError(t, in.Close())
				require.Equal(t, tc.asked, downloads, tc.why)
			})
		})
	}
}

// inMemory is a client of a broker whose connections are pipes, so that both may run in virtual time.
func inMemory(t *testing.T, answer http.HandlerFunc) *Broker {
	t.Helper()
	l := pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: answer, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(l) }()
	transport := NewTransport(nil, nil)
	transport.Proxy, transport.DialContext = nil, l.dial
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	b, err := New(Options{URL: "http://broker.test", Tokens: StaticToken("secret"), Transport: transport})
	require.NoError(t, err)
	return b
}

// pipes is a listener for connections within this process.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
}

func (l pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.accepted <- far:
		return near, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l pipes) Close() error { close(l.closed); return nil }

// Addr implements net.Listener.
func (l pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func digestOf(content []byte) string {
	s := sha256.Sum256(content)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(s[:]) + ":"
}
