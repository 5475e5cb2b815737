package objects

import (
	"context"
	"crypto/md5" //nolint:gosec // part of the contract of the Altinn broker, not a defence
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"sync"

	"github.com/formidling/formidling/models"
)

// smallBytes is what a body may have before goroutines and megabyte buffers are brought in.
const smallBytes = 32 << 10

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	smallPool  = sync.Pool{New: func() any { return new([smallBytes]byte) }}
)

// digest is what has been read so far, hashed three ways.
type digest struct {
	size   int64
	sha256 hash.Hash
	md5    hash.Hash
	crc32c uint32
}

func newDigest() *digest {
	return &digest{sha256: sha256.New(), md5: md5.New()} //nolint:gosec // see the import
}

// content names the digest's bytes as generation of key.
func (d *digest) content(key string, generation int64) models.Content {
	return models.Content{
		Key:        key,
		Generation: generation,
		Size:       d.size,
		MD5:        hex.EncodeToString(d.md5.Sum(nil)),
		SHA256:     hex.EncodeToString(d.sha256.Sum(nil)),
		CRC32C:     d.crc32c,
	}
}

// stream reads body to its end, hands it to sink piece by piece and returns what it hashed to. The
// pieces come in order, from the calling goroutine, and are valid only during the call. It stops at
// the first error of body or sink, when more than limit bytes were seen, and when ctx ends.
func stream(ctx context.Context, body io.Reader, limit int64, sink func([]byte) error) (*digest, error) {
	in := &gauge{ctx: ctx, body: body, limit: limit}
	d := newDigest()
	small, _ := smallPool.Get().(*[smallBytes]byte)
	defer smallPool.Put(small)
	n, end := fill(in, small[:])
	if n > 0 && (end == nil || isEnd(end)) {
		piece := small[:n]
		d.sha256.Write(piece)
		d.md5.Write(piece)
		d.crc32c = crc32.Update(d.crc32c, castagnoli, piece)
		if err := sink(piece); err != nil {
			return nil, err
		}
	}
	if end == nil {
		end = pump(in, d, sink)
	}
	if !isEnd(end) {
		return nil, end
	}
	d.size = in.seen
	return d, ctx.Err()
}

// gauge reads body, counts, and stops it at the limit or when ctx has ended.
type gauge struct {
	ctx   context.Context
	body  io.Reader
	limit int64
	seen  int64 // bytes
}

// Read implements io.Reader. Errors of the body are wrapped, io.EOF is not.
func (g *gauge) Read(p []byte) (int, error) {
	if err := g.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read body: %w", err)
	}
	n, err := g.body.Read(p)
	g.seen += int64(n)
	if g.seen > g.limit {
		return n, models.ErrFileTooLarge.Exceeded(g.limit, g.seen)
	}
	if err != nil && !isEnd(err) {
		return n, fmt.Errorf("read body: %w", err)
	}
	return n, err
}

// isEnd tells the proper end of a body. An error that only wraps io.EOF is a failure like any other:
// taking it for the end would make an object of half a body.
func isEnd(err error) bool {
	return err == io.EOF //nolint:errorlint // as said above
}

// maxEmptyReads in a row mean that a reader is broken, as in package io.
const maxEmptyReads = 100

// fill reads until p is full. The error is io.EOF only at a proper end: io.ReadFull would report a
// body cut short by the network (io.ErrUnexpectedEOF) just like one that ends within p.
func fill(r io.Reader, p []byte) (n int, err error) {
	for empty := 0; n < len(p) && err == nil; {
		var m int
		m, err = r.Read(p[n:])
		n += m
		if m > 0 {
			empty = 0
		} else if empty++; empty == maxEmptyReads && err == nil {
			err = fmt.Errorf("read body: %w", io.ErrNoProgress)
		}
	}
	if n == len(p) && isEnd(err) {
		err = nil // the next read tells again
	}
	return n, err
}
