package api

import (
	"net/http"
	"time"

	"github.com/formidling/formidling/api/bytepath"
)

// What one connection of HTTP/2 may hold. A stream's window is what a client may send before we have read it, and
// so bounds an upload to window ÷ round trip: 4 MiB is 400 MB/s at 10 ms. It is also what an upload that stands
// still holds in memory, beside the buffers of its slot. The connection's window is that of several streams,
// because one that is not read must not stop the others. More streams than one organisation may have uploads and
// downloads need a second connection.
const (
	streamWindow     = 4 << 20
	connectionWindow = 16 << 20
	streamsAtOnce    = 128
	// pingAfter and pingPatience find out that the other end of a silent connection has gone.
	pingAfter    = 30 * time.Second
	pingPatience = 15 * time.Second
)

// NewHTTPServer returns a server for large files over HTTP/1.1 and HTTP/2, the latter also without TLS for proxies
// that speak it so. Deadlines of bodies are the handlers' own, see bytepath.ReadPatience and bytepath.WritePatience.
func NewHTTPServer(h http.Handler) *http.Server {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		Protocols:                    new(http.Protocols),
		DisableGeneralOptionsHandler: true, // it answers "OPTIONS *", which is no operation, past the log and the headers
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: streamsAtOnce, MaxReceiveBufferPerStream: streamWindow,
			MaxReceiveBufferPerConnection: connectionWindow,
			SendPingTimeout:               pingAfter, PingTimeout: pingPatience, WriteByteTimeout: bytepath.WritePatience,
		},
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	return s
}
