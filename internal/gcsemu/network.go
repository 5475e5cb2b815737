package gcsemu

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Network models the network to the service, to measure a client. The zero value models nothing.
type Network struct {
	// BytesPerSecond bounds each upload request; 0 means no bound.
	BytesPerSecond int64
	// Latency is added to each upload request after its content arrived.
	Latency time.Duration
}

// body returns the request's body, slowed down to the speed of the modelled network.
func (s *Server) body(r *http.Request) io.Reader {
	n := s.network.Load()
	if n == nil || n.BytesPerSecond <= 0 {
		return r.Body
	}
	return &slowReader{ctx: r.Context(), from: r.Body, rate: n.BytesPerSecond, began: s.now(), now: s.now}
}

// receive fills d with the content of an upload request and then waits out the modelled latency.
func (s *Server) receive(r *http.Request, d *draft, content io.Reader, want int64) error {
	if err := s.fill(d, content, want); err != nil {
		return err
	}
	if n := s.network.Load(); n != nil {
		return pause(r.Context(), n.Latency)
	}
	return nil
}

type slowReader struct {
	ctx   context.Context // a reader has no other way to learn that the client left
	from  io.Reader
	rate  int64
	began time.Time
	now   func() time.Time
	read  int64
}

// Read waits until the bytes it returns would have arrived.
func (s *slowReader) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.read += int64(n)
	due := time.Duration(float64(s.read) / float64(s.rate) * float64(time.Second))
	if stopped := pause(s.ctx, due-s.now().Sub(s.began)); stopped != nil {
		return n, stopped
	}
	return n, err
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for content: %w", ctx.Err())
	}
}
