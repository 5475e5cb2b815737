package api

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
