package objects

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/formidling/formidling/models"
)

// digestTime is how often Digest saves how far it is.
const digestTime = time.Second

// opener reads segments.
type opener interface {
	OpenSegment(ctx context.Context, s models.TusSegment, offset int64) (io.ReadCloser, error)
}

// digest implements Store.Digest for all stores.
func digestSegments(ctx context.Context, from opener, segments []models.TusSegment, at int64, h models.HashState, save func(int64, models.HashState) error) error {
	hash, err := newHashing(models.TusDraft{Hashes: h, CarryAll: true})
	if err != nil {
		return err
	}
	defer hash.close()
	tell := func() error {
		state, err := hash.state()
		if err != nil {
			return err
		}
		return save(at, state)
	}
	last, first := time.Now(), int64(0)
	for _, s := range segments {
		first += s.Size
		if at >= first {
			continue
		}
		err := readSegment(ctx, from, s, s.Size-(first-at), hash, func(n int) error {
			at += int64(n)
			if time.Since(last) < digestTime {
				return nil
			}
			last = time.Now()
			return tell()
		})
		if err != nil {
			return fmt.Errorf("hash %s: %w", s.Name, err)
		}
	}
	return tell()
}

func readSegment(ctx context.Context, from opener, s models.TusSegment, offset int64, hash *hashing, read func(n int) error) error {
	in, err := from.OpenSegment(ctx, s, offset)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	for left := s.Size - offset; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := hash.next()
		n, err := fill(in, b.buf[:min(int64(len(b.buf)), left)])
		if b.n = n; n == 0 || err != nil && !isEnd(err) {
			hash.unused(b)
			if err == nil || isEnd(err) {
				err = fmt.Errorf("%w: %d bytes of a segment are missing", models.ErrUnavailable, left)
			}
			return err
		}
		hash.pass(b)
		left -= int64(n)
		if err := read(n); err != nil {
			return err
		}
	}
	return nil
}

// Digest implements Store.
func (l *local) Digest(ctx context.Context, segments []models.TusSegment, at int64, h models.HashState, save func(int64, models.HashState) error) error {
	return localError(digestSegments(ctx, l, segments, at, h, save))
}

// Digest implements Store.
func (g *gcs) Digest(ctx context.Context, segments []models.TusSegment, at int64, h models.HashState, save func(int64, models.HashState) error) error {
	return digestSegments(ctx, g, segments, at, h, save)
}
