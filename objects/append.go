package objects

import (
	"bytes"
	"context"
	"crypto/md5"  //nolint:gosec // a client may ask for it as a checksum of transport
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"time"

	"github.com/formidling/formidling/internal/crc32c"
	"github.com/formidling/formidling/models"
)

// tail is the end of a draft, where it grows.
type tail interface {
	// write takes the next bytes; p is valid only during the call.
	write(p []byte) error
	// due reports whether so many bytes, written for so long, are worth making durable now.
	due(pending int64, waited time.Duration) bool
	// cut ends what was written so far. It returns a segment without First and CRC32C, which is durable once settle has
	// returned nil. settle is called once, later, from another goroutine.
	cut() (s models.TusSegment, settle func() error)
	// close is called once, after the last settle. The draft's bytes before kept may count; what this writer wrote
	// behind them counts for nobody, and is deleted as far as that is possible.
	close(kept int64)
}

// appending is one Append that is running.
type appending struct {
	a     models.TusAppend
	tail  tail
	hash  *hashing
	check hash.Hash // of what comes; nil: no checksum was given

	segment models.TusSegment // the one that grows, or the last one
	at      int64             // bytes of the draft, including those that are not durable yet
	cutAt   int64             // bytes of the draft at the last cut
	cutTime time.Time
	crc     uint32 // of the draft until the last cut
	segCRC  uint32 // of the bytes since then; a CRC32C costs next to nothing and needs no goroutine

	held   []checkpoint // kept back until the checksum was found right
	kept   int64        // bytes of the draft that may count: a commit that failed may have been recorded all the same
	cuts   chan checkpoint
	failed chan struct{} // closed when a cut could not be settled
	err    error         // why; valid once failed is closed
}

// checkpoint is a point up to which a draft is to become durable.
type checkpoint struct {
	progress models.TusProgress
	settle   func() error
}

// appendTo streams body to the end of a draft; its last segment grows if one is given. What arrived before body failed
// is committed like the rest, unless a checksum of the whole was given. Of several errors it returns that of a commit
// first, then that of the storage, then that of body.
func appendTo(ctx context.Context, t tail, grows models.TusSegment, d models.TusDraft, a models.TusAppend, body io.Reader) error {
	kept := d.Received
	defer func() { t.close(kept) }()
	h, err := newHashing(d)
	if err != nil {
		return err
	}
	p := &appending{
		a: a, tail: t, hash: h, segment: grows, at: d.Received, cutAt: d.Received, cutTime: time.Now(),
		crc: d.CRC32C, kept: kept, cuts: make(chan checkpoint, 4), failed: make(chan struct{}),
	}
	if a.Check != nil {
		p.check = checkHash(a.Check.Algorithm)
		h.lane(func(b []byte) { p.check.Write(b) })
	}
	done := make(chan struct{})
	go func() { defer close(done); p.settle() }()
	end := p.receive(&gauge{ctx: ctx, body: body, limit: a.Limit})
	if end = p.finish(end); isEnd(end) {
		end = nil
	}
	close(p.cuts)
	<-done
	kept = p.kept
	h.close()
	if p.err != nil {
		return p.err
	}
	return end
}

// settle makes cuts durable and commits them, in order, while more is received.
func (p *appending) settle() {
	for c := range p.cuts {
		if p.err != nil {
			_ = c.settle()
			continue
		}
		err := c.settle()
		if err == nil {
			p.kept = c.progress.Received
			err = p.a.Commit(c.progress)
		}
		if err != nil {
			p.err = err
			close(p.failed)
			if p.a.Failed != nil {
				p.a.Failed(err)
			}
		}
	}
}

// receive reads the body to its end and returns what ended it, io.EOF if all is well.
func (p *appending) receive(in *gauge) error {
	for {
		b := p.hash.next()
		n, end := p.fill(in, b.buf)
		if b.n = n; n > 0 {
			if err := p.take(b); err != nil {
				return err
			}
		} else {
			p.hash.unused(b)
		}
		if end != nil {
			return end
		}
		select {
		case <-p.failed:
			return p.err
		default:
		}
		if p.tail.due(p.at-p.cutAt, time.Since(p.cutTime)) {
			if err := p.cut(); err != nil {
				return err
			}
		}
	}
}

// fill reads until b is full, or until a slow client's bytes have waited long enough to be made durable. Bytes
// above the limit are not returned.
func (p *appending) fill(in *gauge, b []byte) (n int, err error) {
	for empty := 0; n < len(b) && err == nil; {
		var m int
		before := in.seen
		m, err = in.Read(b[n:])
		n += int(min(int64(m), max(0, in.limit-before)))
		if m > 0 {
			empty = 0
		} else if empty++; empty == maxEmptyReads && err == nil {
			err = fmt.Errorf("read body: %w", io.ErrNoProgress)
		}
		if n > 0 && p.tail.due(p.at-p.cutAt+int64(n), time.Since(p.cutTime)) {
			break
		}
	}
	return n, err
}

// take writes a block before it hashes it, because a committed hash must not include bytes that were not written.
func (p *appending) take(b *block) error {
	if err := p.tail.write(b.buf[:b.n]); err != nil {
		p.hash.unused(b)
		return err
	}
	p.segCRC = crc32.Update(p.segCRC, castagnoli, b.buf[:b.n])
	p.at += int64(b.n)
	p.hash.pass(b)
	return nil
}

// cut hands what was written to settle, which makes it durable.
func (p *appending) cut() error {
	pending := p.at - p.cutAt
	if pending == 0 {
		return nil
	}
	state, err := p.hash.state()
	if err != nil {
		return err
	}
	s, settle := p.tail.cut()
	if s.Name == p.segment.Name { // it has grown
		s.First = p.segment.First
		s.CRC32C = crc32c.Combine(p.segment.CRC32C, p.segCRC, pending)
	} else {
		s.First, s.CRC32C = p.cutAt, p.segCRC
	}
	s.Size = p.at - s.First
	p.crc = crc32c.Combine(p.crc, p.segCRC, pending)
	progress := models.TusProgress{From: p.cutAt, Received: p.at, Segment: s, Hashes: state, CRC32C: p.crc}
	p.segment, p.cutAt, p.cutTime, p.segCRC = s, p.at, time.Now(), 0
	if p.check != nil {
		p.held = append(p.held, checkpoint{progress, settle})
	} else {
		p.cuts <- checkpoint{progress, settle}
	}
	return nil
}

// finish cuts what is left, if it may be kept.
func (p *appending) finish(end error) error {
	select {
	case <-p.failed:
		return end
	default:
	}
	if p.check != nil {
		p.hash.drain()
		switch {
		case !isEnd(end):
			return end // what cannot be checked is not kept
		case !bytes.Equal(p.check.Sum(nil), p.a.Check.Sum):
			return models.ErrChunkChecksum
		}
	}
	if errors.Is(end, models.ErrFileTooLarge) {
		return end // bytes beyond the end are the sender's mistake; what was cut before stays
	}
	if err := p.cut(); err != nil {
		return err
	}
	for _, c := range p.held {
		p.cuts <- c
	}
	return end
}

func checkHash(algorithm string) hash.Hash {
	switch algorithm {
	case "sha256":
		return sha256.New()
	case "sha1":
		return sha1.New() //nolint:gosec // see the import
	case "crc32c":
		return crc32.New(castagnoli)
	}
	return md5.New() //nolint:gosec // see the import
}
