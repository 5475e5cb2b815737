package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/client"
	"github.com/formidling/formidling/internal/testenv"
)

// registerKey registers a key of an organisation, and returns its file and the client's id.
func (d *desk) registerKey(number string) (file, id string) {
	d.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(d.t, err)
	private, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "k1", Use: "sig"})
	require.NoError(d.t, err)
	public, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Use: "sig"}}})
	require.NoError(d.t, err)
	var set map[string]any
	require.NoError(d.t, json.Unmarshal(public, &set))
	made, err := client.Decode[client.Client](d.sdk(number).API.RegisterClient(d.t.Context(), nil, client.ClientUpdate{Name: "desk", Jwks: set}))
	require.NoError(d.t, err)
	return d.file("key.json", private), made.ClientID
}

// tampering is the address of a proxy that changes the first byte of each download.
func (d *desk) tampering() string {
	d.t.Helper()
	target, err := url.Parse(d.broker.URL)
	require.NoError(d.t, err)
	p := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			if strings.HasSuffix(r.Request.URL.Path, "/download") && r.Request.Method == http.MethodGet {
				whole, err := io.ReadAll(r.Body)
				if err != nil {
					return err
				}
				whole[0] ^= 1
				r.Body = io.NopCloser(bytes.NewReader(whole))
			}
			return nil
		},
	}
	server := httptest.NewServer(p)
	d.t.Cleanup(server.Close)
	return server.URL
}

// gate is a TCP proxy to the broker that lets some bytes through, and then none until it is opened.
type gate struct {
	url     string
	limit   int64 // bytes, in both directions together
	carried atomic.Int64
	pumps   atomic.Int64
	opened  chan struct{}
	open    sync.Once
}

func (d *desk) gate(limit int64) *gate {
	d.t.Helper()
	g := &gate{limit: limit, opened: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = l.Close(); g.let() })
	g.url = "https://" + l.Addr().String()
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", strings.TrimPrefix(d.broker.MTLS, "https://"))
			if err != nil {
				_ = near.Close()
				continue
			}
			g.pumps.Add(2)
			go g.pump(near, far)
			go g.pump(far, near)
		}
	}()
	return g
}

// let opens the gate for good.
func (g *gate) let() { g.open.Do(func() { close(g.opened) }) }

func (g *gate) pump(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close(); g.pumps.Add(-1) }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if g.carried.Add(int64(n)) > g.limit {
			<-g.opened
		}
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

// full waits until the gate lets nothing more through.
func (g *gate) full(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return g.carried.Load() > g.limit }, 30*time.Second, 10*time.Millisecond)
}

// drain opens the gate and waits until all that was on its way has arrived, as it has when a client's own connection ends.
func (g *gate) drain(t *testing.T) {
	t.Helper()
	g.let()
	require.Eventually(t, func() bool { return g.pumps.Load() == 0 }, 30*time.Second, 10*time.Millisecond)
}

// stored waits until the broker has made something durable of what arrived of an unfinished send.
func (d *desk) stored(t *testing.T, state string) {
	t.Helper()
	var saved client.Checkpoint
	found, err := filepath.Glob(filepath.Join(state, "formidling/sends/*.json"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.NoError(t, json.Unmarshal(d.read(found[0]), &saved))
	uploads := []string{"/broker/api/v1/filetransfer/upload/tus/" + saved.ID.String()}
	if len(saved.Parts) > 0 {
		uploads = nil
	}
	for _, part := range saved.Parts {
		at, err := url.Parse(part.URL)
		require.NoError(t, err)
		if part.URL != "" {
			uploads = append(uploads, at.Path)
		}
	}
	sender := d.sdk(deskSender)
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(uploads, func(upload string) bool {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, d.broker.MTLS+upload, nil)
			if err != nil {
				return false
			}
			r.Header.Set("Tus-Resumable", "1.0.0")
			response, err := sender.Do(r)
			if err != nil {
				return false
			}
			_ = response.Body.Close() // an answer to HEAD has none
			return response.StatusCode == http.StatusOK && response.Header.Get("Upload-Offset") != "0"
		})
	}, 30*time.Second, 20*time.Millisecond)
}

// signals end a command, each in its own way.
var signals = map[string]struct {
	signal syscall.Signal
	code   int
}{"kill -9": {syscall.SIGKILL, -1}, "Ctrl-C": {syscall.SIGINT, exitInterrupted}}

func TestSend_GoesOnAfterItWasEnded(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	content := make([]byte, 48<<20)
	_, err := rand.Read(content)
	require.NoError(t, err)
	for name, end := range signals {
		for _, parallel := range []string{"1", "3"} {
			t.Run(name+" with "+parallel, func(t *testing.T) {
				t.Parallel()
				file := d.file(strings.ReplaceAll(name, " ", "")+parallel, content)
				g := d.gate(12 << 20)
				state := t.TempDir()
				env := d.as(deskSender, "XDG_STATE_HOME="+state)
				args := []string{"send", file, "--to", deskRecipient, "--parallel", parallel, "--json", "--url", g.url}
				c := d.command(env, nil, args...)
				require.NoError(t, c.Start())
				g.full(t)
				require.NoError(t, c.Process.Signal(end.signal))
				_ = c.Wait() // its exit code tells
				require.Equal(t, end.code, c.ProcessState.ExitCode(), c.err.String())

				g.drain(t)
				d.stored(t, state)
				before := g.carried.Load()
				out, complaint, code := d.run(env, nil, args...)
				require.Zero(t, code, complaint)
				var sent sentResult
				require.NoError(t, json.Unmarshal([]byte(out), &sent))
				require.True(t, sent.Resumed)
				require.Contains(t, complaint, "going on with transfer "+sent.ID.String())
				require.Less(t, g.carried.Load()-before, int64(len(content)), "not all bytes were sent again")

				in := t.TempDir()
				d.ok(d.as(deskRecipient), "receive", sent.ID.String(), "--out", in)
				stored, err := os.ReadFile(filepath.Join(in, filepath.Base(file)))
				require.NoError(t, err)
				require.True(t, bytes.Equal(content, stored))
			})
		}
	}
}

func TestSend_BeginsAnewWhenItMust(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	file := d.file("f", bytes.Repeat([]byte("x"), 1<<20))
	stopped := func() (*gate, string) {
		g := d.gate(500 << 10)
		c := d.command(d.as(deskSender), nil, "send", file, "--to", deskRecipient, "--url", g.url)
		require.NoError(t, c.Start())
		g.full(t)
		require.NoError(t, c.Process.Kill())
		_ = c.Wait() // it was killed
		var saved client.Checkpoint
		for _, path := range d.unfinished() {
			if strings.HasSuffix(path, ".json") {
				require.NoError(t, json.Unmarshal(d.read(path), &saved))
			}
		}
		require.NotNil(t, saved.ID)
		g.let()
		return g, saved.ID.String()
	}
	send := func(g *gate, more ...string) (string, string) {
		t.Helper()
		out, complaint, code := d.run(d.as(deskSender), nil, append([]string{"send", file, "--to", deskRecipient, "--url", g.url}, more...)...)
		require.Zero(t, code, complaint)
		return strings.TrimSpace(out), complaint
	}

	g, first := stopped()
	again, _ := send(g)
	require.Equal(t, first, again)

	g, first = stopped()
	id, err := parseID(first)
	require.NoError(t, err)
	require.NoError(t, d.sdk(deskSender).Cancel(t.Context(), id))
	again, complaint := send(g)
	require.NotEqual(t, first, again)
	require.Contains(t, complaint, "beginning a new transfer")

	g, first = stopped()
	again, _ = send(g, "--new")
	require.NotEqual(t, first, again)

	g, first = stopped()
	require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte("y"), 1<<20), 0o600))
	again, _ = send(g)
	require.NotEqual(t, first, again, "it is another file")
}

func TestSend_IsOneProcessAtATime(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	file := d.file("f", bytes.Repeat([]byte("x"), 1<<20))
	g := d.gate(500 << 10)
	c := d.command(d.as(deskSender), nil, "send", file, "--to", deskRecipient, "--url", g.url)
	require.NoError(t, c.Start())
	g.full(t)
	_, complaint, code := d.run(d.as(deskSender), nil, "send", file, "--to", deskRecipient, "--url", g.url)
	require.Equal(t, exitOther, code)
	require.Contains(t, complaint, "another process")
	g.let()
	require.NoError(t, c.Wait(), c.err.String())
}

func TestReceive_GoesOnAfterItWasEnded(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	content := make([]byte, 48<<20)
	_, err := rand.Read(content)
	require.NoError(t, err)
	id := d.send(content)
	for name, end := range signals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := t.TempDir()
			g := d.gate(12 << 20)
			args := []string{"receive", id, "--out", in, "--confirm", "--json", "--url", g.url}
			c := d.command(d.as(deskRecipient), nil, args...)
			require.NoError(t, c.Start())
			g.full(t)
			require.NoError(t, c.Process.Signal(end.signal))
			_ = c.Wait() // its exit code tells
			require.Equal(t, end.code, c.ProcessState.ExitCode(), c.err.String())
			left, err := os.ReadDir(in)
			require.NoError(t, err)
			require.Len(t, left, 1)
			require.Equal(t, ".formidling-"+id+".part", left[0].Name(), "half a file has no name")

			g.drain(t)
			before := g.carried.Load()
			out, complaint, code := d.run(d.as(deskRecipient), nil, args...)
			require.Zero(t, code, complaint)
			require.Less(t, g.carried.Load()-before, int64(len(content)-(1<<20)), "not all bytes came again")
			var got receivedResult
			require.NoError(t, json.Unmarshal([]byte(out), &got))
			require.True(t, got.Confirmed)
			stored, err := os.ReadFile(got.Path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, stored))
			all, err := os.ReadDir(in)
			require.NoError(t, err)
			require.Len(t, all, 1)
		})
	}
}

func TestClientCommands_GoOnAcrossAKilledBroker(t *testing.T) {
	t.Parallel()
	broker, err := testenv.StartBroker()
	require.NoError(t, err)
	t.Cleanup(func() { broker.Stop() })
	d := newDeskAt(t, broker)
	content := make([]byte, 48<<20)
	_, err = rand.Read(content)
	require.NoError(t, err)
	file := d.file("a.bin", content)
	across := func(env []string, args ...string) string {
		t.Helper()
		g := d.gate(12 << 20)
		c := d.command(env, nil, append(args, "--url", g.url)...)
		require.NoError(t, c.Start())
		g.full(t)
		broker.Kill()
		require.NoError(t, broker.Start())
		g.let()
		require.NoError(t, c.Wait(), c.err.String())
		require.Contains(t, c.err.String(), "trying again")
		return strings.TrimSpace(c.out.String())
	}
	id := across(d.as(deskSender), "send", file, "--to", deskRecipient, "--parallel", "2")
	path := across(d.as(deskRecipient), "receive", id, "--out", filepath.Join(d.dir, "in"), "--confirm")
	require.True(t, bytes.Equal(content, d.read(path)))
}
