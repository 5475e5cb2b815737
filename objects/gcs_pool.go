package objects

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/formidling/formidling/models"
)

const (
	segmentBytes   = 16 << 20
	defaultPool    = 512 << 20
	maxHeld        = 4       // segments that an upload collects before it must send, so 64 MiB become one object
	headBytes      = 1 << 20 // of a body that needs no segment
	partsPerPut    = maxHeld // segments of one upload on the wire
	sourcesPerNode = 32      // as many as Cloud Storage composes in one call
)

// pool bounds the memory of the segments of all uploads together. Buffers are allocated when they are first needed, and
// the garbage collector may take idle ones.
type pool struct {
	tokens   chan struct{}
	idle     sync.Pool
	size     int           // of a segment in bytes, at least headBytes
	patience time.Duration // how long one may wait for a segment
}

// poolPatience must be shorter than clients wait for an answer.
const poolPatience = 30 * time.Second

// Buffers is how many uploads to Cloud Storage can make progress at once with so many bytes of memory.
func Buffers(poolBytes int64) int { return cap(newPool(poolBytes).tokens) }

func newPool(bytes int64) *pool {
	if bytes == 0 {
		bytes = defaultPool
	}
	return &pool{tokens: make(chan struct{}, max(1, bytes/segmentBytes)), size: segmentBytes, patience: poolPatience}
}

// take waits for a segment until ctx ends, or until its patience does (models.ErrTooManyUploads), because slow uploads
// may hold all of them. Only an upload that holds no unsent segment may call it; all others use try, or uploads could
// wait for each other for ever.
func (p *pool) take(ctx context.Context) (*segment, error) {
	enough := time.NewTimer(p.patience)
	defer enough.Stop()
	select {
	case p.tokens <- struct{}{}:
		return p.segment(), nil
	case <-enough.C:
		return nil, models.ErrTooManyUploads
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a buffer: %w", context.Cause(ctx))
	}
}

// try returns nil when no segment is free.
func (p *pool) try() *segment {
	select {
	case p.tokens <- struct{}{}:
		return p.segment()
	default:
		return nil
	}
}

func (p *pool) segment() *segment {
	if s, ok := p.idle.Get().(*segment); ok {
		return s
	}
	return &segment{buf: make([]byte, 0, p.size)}
}

// put gives a segment back.
func (p *pool) put(s *segment) {
	s.buf = s.buf[:0]
	p.idle.Put(s)
	<-p.tokens
}

// segment is a piece of a body that is collected, sent and forgotten.
type segment struct{ buf []byte }

// fill appends what fits of p and returns the rest.
func (s *segment) fill(p []byte) []byte {
	n := min(len(p), cap(s.buf)-len(s.buf))
	s.buf = append(s.buf, p[:n]...)
	return p[n:]
}

func (s *segment) full() bool { return len(s.buf) == cap(s.buf) }
