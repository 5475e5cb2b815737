package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"cloud.google.com/go/storage"

	"github.com/formidling/formidling/models"
)

// Open implements Store. A download that breaks is taken up again by the client where it broke; one
// that stands still for a minute is given up.
func (g *gcs) Open(ctx context.Context, c models.Content, offset, length int64) (io.ReadCloser, error) {
	if err := checkKey(c.Key); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	length, err := checkRange(c, offset, length)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c.Key, err)
	}
	r, err := g.open(ctx, c, offset, length)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c.Key, err)
	}
	return r, nil
}

func (g *gcs) open(ctx context.Context, c models.Content, offset, length int64) (io.ReadCloser, error) {
	object := g.bucket.Object(c.Key).Generation(c.Generation)
	if length == 0 { // the client would ask for the whole object and drop it
		bounded, cancel := context.WithTimeout(ctx, g.limits.meta)
		defer cancel()
		_, err := object.Attrs(bounded)
		return io.NopCloser(eof{}), gcsError(ctx, err)
	}
	if offset == 0 && length == c.Size {
		length = -1 // no Range header: only then does the client check the CRC32C
	}
	reading, cancel := context.WithCancel(ctx)
	opening := time.AfterFunc(g.limits.meta, cancel)
	r, err := object.NewRangeReader(reading, offset, length)
	if !opening.Stop() && err == nil {
		err = errors.Join(context.DeadlineExceeded, r.Close())
	}
	if err != nil {
		cancel()
		return nil, gcsError(ctx, err)
	}
	if length == -1 {
		length = c.Size
	}
	if r.Remain() != length {
		cancel()
		_ = r.Close()
		return nil, fmt.Errorf("expect %d bytes, storage has %d: %w", length, r.Remain(), models.ErrObjectNotFound)
	}
	stall := time.AfterFunc(g.limits.stall, cancel)
	stall.Stop()
	return &download{ctx: ctx, r: r, cancel: cancel, stall: stall, limit: g.limits.stall, remain: length}, nil
}

// download is a range of an object on its way here.
type download struct {
	ctx    context.Context // the caller's
	r      *storage.Reader
	cancel context.CancelFunc // ends the transfer
	stall  *time.Timer        // calls cancel; runs only inside Read, so a slow recipient is no stall
	limit  time.Duration
	remain int64 // bytes
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	d.stall.Reset(d.limit)
	n, err := d.r.Read(p)
	d.stall.Stop()
	d.remain -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, fmt.Errorf("read object: %w", gcsError(d.ctx, err))
	case d.remain != 0:
		return n, fmt.Errorf("read object: %w: %d bytes are missing: %w", models.ErrUnavailable, d.remain, io.ErrUnexpectedEOF)
	}
	return n, io.EOF
}

// Close implements io.Closer. It never fails: what went wrong, Read has told.
func (d *download) Close() error {
	d.stall.Stop()
	d.cancel()
	_ = d.r.Close() // would repeat the error of the last Read
	return nil
}

// eof is the content of an empty range.
type eof struct{}

// Read implements io.Reader.
func (eof) Read([]byte) (int, error) { return 0, io.EOF }
