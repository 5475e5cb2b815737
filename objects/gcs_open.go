package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"cloud.google.com/go/storage"
	"github.com/googleapis/gax-go/v2"

	"github.com/formidling/formidling/models"
)

// Open implements Store. The bytes are read ahead of the caller (read_ahead.go). A read that breaks off or stalls is
// continued where it stopped, from the same generation; the caller gets an error only after several tries in a row
// brought nothing.
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
	reading, cancel := context.WithCancel(ctx)
	d := &download{ctx: reading, store: g, object: object, content: c, at: offset, end: offset + length}
	if err := d.open(); err != nil { //nolint:contextcheck // its ctx comes from ctx
		cancel()
		return nil, gcsError(ctx, err)
	}
	var check *uint32
	if length == c.Size {
		check = &c.CRC32C
	}
	return newReadAhead(d, cancel, check), nil
}

// download reads a range of one generation.
type download struct {
	ctx     context.Context // ends with the caller's, or when the reader is closed
	store   *gcs
	object  *storage.ObjectHandle // with the generation
	content models.Content
	at, end int64 // bytes of the object that are to come

	in    *storage.Reader // nil: to be opened again
	drop  context.CancelFunc
	tries int // tries in a row that brought nothing
}

// open requests the rest, and checks that storage answers with exactly that: no other byte may reach the recipient.
func (d *download) open() error {
	ctx, drop := context.WithCancel(d.ctx)
	opening := time.AfterFunc(d.store.limits.meta, drop)
	r, err := d.object.NewRangeReader(ctx, d.at, d.end-d.at)
	if !opening.Stop() && err == nil {
		err = errors.Join(context.DeadlineExceeded, r.Close())
	}
	if err == nil {
		if err = d.check(r); err != nil {
			_ = r.Close()
		}
	}
	if err != nil {
		drop()
		return err
	}
	d.in, d.drop = r, drop
	return nil
}

func (d *download) check(r *storage.Reader) error {
	switch a := r.Attrs; {
	case r.Remain() != d.end-d.at, a.StartOffset != d.at:
		return fmt.Errorf("expect %d bytes at %d, storage has %d at %d: %w", d.end-d.at, d.at, r.Remain(), a.StartOffset, models.ErrObjectNotFound)
	case a.Size != d.content.Size, a.CRC32C != 0 && a.CRC32C != d.content.CRC32C:
		return fmt.Errorf("expect %d bytes with CRC32C %08x, storage has %d with %08x: %w",
			d.content.Size, d.content.CRC32C, a.Size, a.CRC32C, models.ErrObjectNotFound)
	}
	return nil
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	for d.at < d.end {
		if d.in == nil {
			if err := d.open(); err != nil {
				if err := d.again(err); err != nil {
					return 0, err
				}
				continue
			}
		}
		stall := time.AfterFunc(d.store.limits.stall, d.drop) // runs only during the read, so a slow recipient does not count as a stall
		n, err := d.in.Read(p[:min(int64(len(p)), d.end-d.at)])
		stall.Stop()
		if d.at += int64(n); n > 0 {
			d.tries = 0
		}
		if err != nil && d.at < d.end {
			d.close()
			if n == 0 {
				err = d.again(err)
			} else {
				err = nil // hand out what has come; the next Read opens again
			}
		} else {
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.EOF
}

// again waits before the next try, or returns why there is none.
func (d *download) again(cause error) error {
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF // storage ended the answer too early
	}
	err := fmt.Errorf("read object: %w", gcsError(d.ctx, cause))
	d.tries++
	if d.ctx.Err() != nil || !errors.Is(err, models.ErrUnavailable) || d.tries >= d.store.limits.attempts {
		return err
	}
	pause := gax.Backoff{Initial: 100 * time.Millisecond, Max: 2 * time.Second, Multiplier: 2}
	for range d.tries - 1 {
		pause.Pause()
	}
	if gax.Sleep(d.ctx, pause.Pause()) != nil {
		return err
	}
	return nil
}

// close ends the running request.
func (d *download) close() {
	if d.in == nil {
		return
	}
	d.drop()
	_ = d.in.Close() // would repeat the error of the last Read
	d.in = nil
}

// eof is the content of an empty range.
type eof struct{}

// Read implements io.Reader.
func (eof) Read([]byte) (int, error) { return 0, io.EOF }
