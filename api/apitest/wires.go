package apitest

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

	"github.com/formidling/formidling/api"
)

// Wire is a way to speak to the server.
type Wire struct {
	Name  string
	TLS   bool
	Proto int
}

// Wires are all of them.
var Wires = []Wire{{"HTTP1", false, 1}, {"HTTP1 with TLS", true, 1}, {"HTTP2 with TLS", true, 2}, {"HTTP2 without TLS", false, 2}}

// Over serves the bundle's server, as production does, and makes its client speak that way. dialled counts connections.
func (b *Bundle) Over(w Wire) (dialled *atomic.Int32) {
	b.T.Helper()
	handler, err := b.Server.Handler()
	require.NoError(b.T, err)
	server := httptest.NewUnstartedServer(nil)
	server.Config = api.NewHTTPServer(handler)
	if server.EnableHTTP2 = w.TLS; w.TLS {
		server.StartTLS()
	} else {
		server.Start()
	}
	b.T.Cleanup(server.Close)
	transport, dialled := w.Transport()
	b.T.Cleanup(transport.CloseIdleConnections)
	b.URL, b.Client = server.URL, &http.Client{Transport: ValidatedTransport(b.T, transport)}
	response := b.Call(Bob, "GET", "/filetransfer/"+b.Initialize(), "")
	require.Equal(b.T, w.Proto, response.ProtoMajor, "it speaks what it is to")
	return dialled
}

// Transport is of a client that speaks so; the count is of connections.
func (w Wire) Transport() (*http.Transport, *atomic.Int32) {
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
	case w.Proto == 1:
		transport.Protocols.SetHTTP1(true)
	case w.TLS:
		transport.Protocols.SetHTTP2(true)
	default:
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return transport, &dialled
}

// OnWires runs a test over every wire.
func OnWires(t *testing.T, test func(t *testing.T, b *Bundle, w Wire), change ...func(*Config)) {
	t.Helper()
	t.Parallel()
	for _, w := range Wires {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel()
			b := Setup(t, change...)
			b.Over(w)
			test(t, b, w)
		})
	}
}
