package gcsemu

import (
	"net"
	"net/http"
)

// SetFault installs a hook that sees each request first, or removes it if f is nil; safe while serving. A hook that
// returns true has answered the request itself. A hook that returns false may have changed the request, for instance
// given it a body that fails halfway.
func (s *Server) SetFault(f func(w http.ResponseWriter, r *http.Request) bool) {
	if f == nil {
		s.fault.Store(nil)
		return
	}
	s.fault.Store(&f)
}

// LoseAnswer carries out the request and resets the connection, so that the client cannot know whether it happened.
// Fault hooks call it, and then return true. The reset matters: the Go client sends an upload again after one, and gives
// up if the connection just ends.
func (s *Server) LoseAnswer(w http.ResponseWriter, r *http.Request) {
	s.answer(&blackhole{header: http.Header{}}, r)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 has no connection to give away; this resets the stream
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing now sends a reset; if it cannot be set, the client sees an end
	}
	_ = conn.Close() // the client sees an error in any case
}

// blackhole takes an answer that nobody will see.
type blackhole struct{ header http.Header }

// Header returns a header that is not sent.
func (b *blackhole) Header() http.Header { return b.header }

// Write discards p.
func (b *blackhole) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader does nothing.
func (b *blackhole) WriteHeader(int) {}
