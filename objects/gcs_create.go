package objects

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"cloud.google.com/go/storage"
	"github.com/googleapis/gax-go/v2"

	"github.com/formidling/formidling/models"
)

// markName is the metadata entry that says which upload made an object.
const markName = "formidling-upload"

// contentType of all objects. What a download says is decided by the API.
const contentType = "application/octet-stream"

// part is an object that storage has confirmed.
type part struct {
	name       string
	generation int64
	size       int64 // bytes
}

// draftObject is an object that is to be made from bytes in memory.
type draftObject struct {
	name string
	mark string
	data [][]byte
	md5  []byte // declared as well if it is known

	size   int64
	crc32c uint32
}

// create makes d, or returns models.ErrObjectExists if its name is taken. It repeats what fails for a passing reason. A
// conflict may come from its own earlier success, whose answer was lost; mark, size and checksum distinguish the two.
func (g *gcs) create(ctx context.Context, d draftObject) (*part, error) {
	for _, p := range d.data {
		d.size += int64(len(p))
		d.crc32c = crc32.Update(d.crc32c, castagnoli, p)
	}
	units := time.Duration(d.size/segmentBytes + 1)
	bounded, cancel := context.WithTimeout(ctx, g.limits.retry*units)
	defer cancel()
	pause := gax.Backoff{Initial: 100 * time.Millisecond, Max: 5 * time.Second, Multiplier: 2}
	for attempt := 1; ; attempt++ {
		attrs, err := g.try(bounded, d, g.limits.transfer*units)
		if err == nil {
			return g.accept(ctx, attrs, d.size, &d.crc32c)
		}
		if coded := gcsError(ctx, err); errors.Is(coded, models.ErrObjectExists) {
			return g.settle(ctx, d.name, d.mark, d.size, &d.crc32c)
		}
		if damaged(err) { // whatever its kind, the sender is not to blame
			err = fmt.Errorf("%w: %w", models.ErrUnavailable, err)
		}
		if attempt == g.limits.attempts || !worthRetrying(err) {
			return nil, fmt.Errorf("create after %d tries: %w", attempt, bucketError(ctx, err))
		}
		if gax.Sleep(bounded, pause.Pause()) != nil {
			return nil, fmt.Errorf("create after %d tries: %w", attempt, bucketError(ctx, err))
		}
	}
}

// try sends d once. ChunkSize 0 streams from our memory: the client would otherwise copy each
// object into a buffer of its own, which no pool bounds. The client does not retry then, and neither
// ChunkTransferTimeout nor ChunkRetryDeadline applies; timeout and create take their place. The checksums are sent
// before the bytes, so that storage refuses what arrives damaged.
func (g *gcs) try(ctx context.Context, d draftObject, timeout time.Duration) (*storage.ObjectAttrs, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	w := g.bucket.Object(d.name).If(storage.Conditions{DoesNotExist: true}).NewWriter(ctx)
	w.ChunkSize = 0
	w.ContentType = contentType
	w.Metadata = map[string]string{markName: d.mark}
	w.CRC32C, w.SendCRC32C, w.MD5 = d.crc32c, true, d.md5
	for _, p := range d.data {
		if len(p) == 0 {
			continue
		}
		if _, err := w.Write(p); err != nil {
			cancel() // before Close, which would commit what has arrived
			_ = w.Close()
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return w.Attrs(), nil
}

// accept compares what storage says it has made with d, and deletes what differs, so that nobody reads it.
func (g *gcs) accept(ctx context.Context, attrs *storage.ObjectAttrs, size int64, crc32c *uint32) (*part, error) {
	if attrs.Size == size && (crc32c == nil || attrs.CRC32C == *crc32c) {
		return &part{name: attrs.Name, generation: attrs.Generation, size: size}, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	err := fmt.Errorf("compare with storage: %w: it has %d bytes with CRC32C %08x, %d bytes were sent",
		models.ErrUnavailable, attrs.Size, attrs.CRC32C, size)
	return nil, errors.Join(err, g.delete(ctx, attrs.Name, attrs.Generation))
}

// settle finds out how a create or compose without a clear answer ended: it returns the part if ours exists, and
// models.ErrObjectExists if somebody else's does. A nil crc32c is not compared.
func (g *gcs) settle(ctx context.Context, name, mark string, size int64, crc32c *uint32) (*part, error) {
	attrs, err := g.attrs(ctx, name)
	if err != nil { // also if it is not found: what was in the way a moment ago is gone
		return nil, fmt.Errorf("settle: %w", bucketError(ctx, err))
	}
	if attrs.Metadata[markName] != mark {
		return nil, models.ErrObjectExists
	}
	return g.accept(ctx, attrs, size, crc32c)
}
