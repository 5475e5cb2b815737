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
	"slices"
	"sync"

	"github.com/formidling/formidling/models"
)

// smallBytes is the longest body that is hashed without goroutines and large buffers.
const smallBytes = 32 << 10

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	smallPool  = sync.Pool{New: func() any { return new([smallBytes]byte) }}
)

// digest counts and hashes what has been read so far.
type digest struct {
	size   int64
	sha256 hash.Hash
	md5    hash.Hash // nil: left out
	crc32c uint32
}

// newDigest is the one place that decides which hashes are computed.
func newDigest(without ...models.Hash) *digest {
	d := &digest{sha256: sha256.New()}
	if !slices.Contains(without, models.HashMD5) {
		d.md5 = md5.New() //nolint:gosec // see the import
	}
	return d
}

// lanes are the hashes, each to be fed with every byte in order, by one goroutine at a time.
func (d *digest) lanes() []func([]byte) {
	all := []func([]byte){
		func(p []byte) { d.sha256.Write(p) },
		func(p []byte) { d.crc32c = crc32.Update(d.crc32c, castagnoli, p) },
	}
	if d.md5 != nil {
		all = append(all, func(p []byte) { d.md5.Write(p) })
	}
	return all
}

// md5Sum is nil when MD5 is left out.
func (d *digest) md5Sum() []byte {
	if d.md5 == nil {
		return nil
	}
	return d.md5.Sum(nil)
}

// content names the digest's bytes as generation of key.
func (d *digest) content(key string, generation int64) models.Content {
	return models.Content{
		Key:        key,
		Generation: generation,
		Size:       d.size,
		MD5:        hex.EncodeToString(d.md5Sum()),
		SHA256:     hex.EncodeToString(d.sha256.Sum(nil)),
		CRC32C:     d.crc32c,
	}
}

// stream reads body to its end, hands it to sink piece by piece and hashes it into d. The pieces
// come in order, from the calling goroutine, and are valid only during the call. It stops at the
// first error of body or sink, when more than limit bytes were seen, and when ctx ends.
func stream(ctx context.Context, body io.Reader, limit int64, d *digest, sink func([]byte) error) error {
	in := &gauge{ctx: ctx, body: body, limit: limit}
	small, _ := smallPool.Get().(*[smallBytes]byte)
	defer smallPool.Put(small)
	n, end := fill(in, small[:])
	if n > 0 && (end == nil || isEnd(end)) {
		piece := small[:n]
		for _, hash := range d.lanes() {
			hash(piece)
		}
		if err := sink(piece); err != nil {
			return err
		}
	}
	if end == nil {
		end = pump(in, d, sink)
	}
	if !isEnd(end) {
		return end
	}
	d.size += in.seen
	return ctx.Err()
}

// gauge reads and counts body, and stops at the limit or when ctx has ended.
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

// isEnd reports whether err is the proper end of a body. An error that only wraps io.EOF is a failure like any other: taken
// for the end, it would make an object of half a body.
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
		err = nil // the next read returns it again
	}
	return n, err
}
