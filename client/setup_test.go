package client

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	owner    = "310000019"
	alice    = "310000027" // sends
	bob      = "310000035" // receives
	carol    = "310000043" // receives
	stranger = "310000051"
)

// bundle is a service of a real broker that this test alone uses.
type bundle struct {
	t       *testing.T
	broker  *testenv.Broker
	service string
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, broker: testenv.SharedBroker(t)}
	b.service = strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	o := b.as(owner)
	_, err := Decode[struct{}](o.API.CreateServiceOwner(t.Context(), CreateServiceOwnerJSONRequestBody{Name: "Office"}))
	var refused *Error
	if err != nil {
		require.ErrorAs(t, err, &refused)
		require.Equal(t, http.StatusConflict, refused.Status)
	}
	_, err = Decode[struct{}](o.API.PutResource(t.Context(), b.service, nil, ResourceUpdate{}))
	require.NoError(t, err)
	yes := true
	b.grant(alice, GrantUpdate{Send: &yes})
	b.grant(bob, GrantUpdate{Receive: &yes})
	b.grant(carol, GrantUpdate{Receive: &yes})
	return b
}

func (b *bundle) grant(to string, terms GrantUpdate) {
	b.t.Helper()
	_, err := Decode[Grant](b.as(owner).API.PutGrant(b.t.Context(), b.service, to, nil, terms))
	require.NoError(b.t, err)
}

func (b *bundle) certificate(number string) *tls.Certificate {
	b.t.Helper()
	file := b.broker.Certificate(number)
	own, err := tls.LoadX509KeyPair(file, file)
	require.NoError(b.t, err)
	return &own
}

func (b *bundle) roots() *x509.CertPool {
	b.t.Helper()
	raw, err := os.ReadFile(b.broker.Root())
	require.NoError(b.t, err)
	roots := x509.NewCertPool()
	require.True(b.t, roots.AppendCertsFromPEM(raw))
	return roots
}

// as logs an organisation in with its certificate.
func (b *bundle) as(number string, change ...func(*Options)) *Broker {
	b.t.Helper()
	o := Options{URL: b.broker.MTLS, Certificate: b.certificate(number), CA: b.roots(), Retry: Retry{First: 5 * time.Millisecond, Longest: 100 * time.Millisecond, Patience: 20 * time.Second}}
	for _, c := range change {
		c(&o)
	}
	c, err := New(o)
	require.NoError(b.t, err)
	return c
}

// through logs an organisation in with tokens, over a proxy that reads and changes what passes.
func (b *bundle) through(number string, p *proxy, change ...func(*Options)) *Broker {
	b.t.Helper()
	tokens, err := NewTokens(TokenGrant{URL: p.url, Audience: b.broker.URL, Certificate: b.certificate(number)})
	require.NoError(b.t, err)
	return b.as(number, append([]func(*Options){func(o *Options) { o.URL, o.Certificate, o.CA, o.Tokens = p.url, nil, nil, tokens }}, change...)...)
}

func (b *bundle) transfer(change ...func(*Transfer)) Transfer {
	t := Transfer{Service: b.service, Reference: "ref", FileName: "a.zip", Recipients: []string{"0192:" + bob}}
	for _, c := range change {
		c(&t)
	}
	return t
}

// publish sends a file and returns its transfer.
func (b *bundle) publish(content []byte, change ...func(*Transfer)) FileTransferID {
	b.t.Helper()
	sent, err := b.as(alice).Send(b.t.Context(), b.transfer(change...), FromReaderAt(bytes.NewReader(content), int64(len(content))), SendOptions{})
	require.NoError(b.t, err)
	return sent.ID
}

// delivers checks that a recipient gets these bytes.
func (b *bundle) delivers(id FileTransferID, content []byte) {
	b.t.Helper()
	in, err := b.as(bob).Receive(b.t.Context(), id, ReceiveOptions{})
	require.NoError(b.t, err)
	got, err := io.ReadAll(in)
	require.NoError(b.t, err)
	require.NoError(b.t, in.Close())
	require.Equal(b.t, sum(content), sum(got))
}

func sum(content []byte) string {
	s := sha256.Sum256(content)
	return hex.EncodeToString(s[:])
}

// noise is content that no two places of have in common.
func noise(n int) []byte {
	out := make([]byte, n)
	source := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = source.Read(out) // it does not fail
	return out
}

// link is a TCP proxy whose connections break after some bytes.
type link struct {
	url      string
	up, down atomic.Int64 // bytes that a connection carries in each direction before it breaks; 0: it does not
	broken   atomic.Int64 // connections
}

func (b *bundle) link() *link {
	b.t.Helper()
	l := &link{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = listener.Close() })
	l.url = "https://" + listener.Addr().String()
	target := strings.TrimPrefix(b.broker.MTLS, "https://")
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(near.(*net.TCPConn), target)
		}
	}()
	return l
}

func (l *link) carry(near *net.TCPConn, target string) {
	c, err := net.Dial("tcp", target)
	if err != nil {
		_ = near.Close()
		return
	}
	far := c.(*net.TCPConn)
	var once sync.Once
	cut := func() {
		once.Do(func() {
			_, _ = near.SetLinger(0), far.SetLinger(0) // both see a reset
			_, _ = near.Close(), far.Close()
		})
	}
	pump := func(to, from *net.TCPConn, limit *atomic.Int64) {
		buffer, carried := make([]byte, 32<<10), int64(0)
		for {
			n, err := from.Read(buffer)
			if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
				cut()
				return
			}
			if carried += int64(n); limit.Load() > 0 && carried > limit.Load() {
				l.broken.Add(1)
				cut()
				return
			}
		}
	}
	go pump(far, near, &l.up)
	pump(near, far, &l.down)
}

// proxy is an HTTP proxy that reads and changes what passes.
type proxy struct {
	url      string
	requests atomic.Int64

	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request) bool // whether it answered itself
	change func(*http.Response) error
}

func (b *bundle) proxy() *proxy {
	b.t.Helper()
	p := &proxy{}
	target, err := url.Parse(b.broker.URL)
	require.NoError(b.t, err)
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1,
		ModifyResponse: func(r *http.Response) error {
			p.mu.Lock()
			change := p.change
			p.mu.Unlock()
			if change == nil {
				return nil
			}
			return change(r)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		p.mu.Lock()
		answer := p.answer
		p.mu.Unlock()
		if answer == nil || !answer(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	b.t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *proxy) answers(f func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

func (p *proxy) changes(f func(*http.Response) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change = f
}

// onlyReader is a reader that cannot be read again.
type onlyReader struct{ io.Reader }

var errOurs = errors.New("the test's own")
