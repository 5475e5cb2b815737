package testenv

import (
	"io"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// RoundRobin serves the servers behind one URL, a request to each in turn, whatever it is about: the plainest load
// balancer that there is. Nothing is tried twice.
func RoundRobin(t testing.TB, servers ...string) string {
	t.Helper()
	targets := make([]*url.URL, len(servers))
	for n, s := range servers {
		var err error
		targets[n], err = url.Parse(s)
		require.NoError(t, err)
	}
	var turn atomic.Int64
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(targets[turn.Add(1)%int64(len(targets))])
			r.Out.Host = r.In.Host // clients are given URLs of the host that they know
		},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // clients that went away, which tests make on purpose
	})
	t.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
	})
	return proxy.URL
}
