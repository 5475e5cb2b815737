package objects

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/models"
)

// gcsCutTime is how long a slow client's bytes wait before they are made durable. Each such cut makes an object that must
// be joined later.
const gcsCutTime = 20 * time.Second

// Append implements Store. Each segment of up to 16 MiB is an object of its own, named by its offset and epoch.
func (g *gcs) Append(ctx context.Context, d models.TusDraft, body io.Reader, a models.TusAppend) error {
	if err := checkKey(d.Prefix); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	epoch, err := a.Claim()
	if err != nil {
		return fmt.Errorf("append to %s: %w", d.Prefix, err)
	}
	sending, cancel := context.WithCancel(ctx)
	t := &gcsTail{
		store: g, ctx: sending, cancel: cancel, mark: rand.Text(), at: d.Received, slots: make(chan struct{}, partsPerPut),
		name: func(at int64) string { return fmt.Sprintf("%s/%016x-%d", d.Prefix, at, epoch) },
	}
	if err := appendTo(ctx, t, models.TusSegment{}, d, a, body); err != nil {
		return fmt.Errorf("append to %s: %w", d.Prefix, err)
	}
	return nil
}

// place is where a segment begins in its upload.
type place struct {
	at   int64
	name string
}

// gcsTail collects a segment while others are being sent.
type gcsTail struct {
	store   *gcs
	ctx     context.Context
	cancel  context.CancelFunc
	sent    []place
	mark    string
	at      int64 // of the first byte of the segment that is being collected
	name    func(at int64) string
	head    []byte        // collected while it is short, so that a slow client holds no buffer of the pool
	segment *segment      // collected once it is not
	slots   chan struct{} // segments on the wire
}

// write implements tail. It takes a buffer only while it has none, which is the rule of the pool.
func (t *gcsTail) write(p []byte) error {
	if t.segment == nil {
		if len(t.head)+len(p) <= headBytes {
			t.head = append(t.head, p...)
			return nil
		}
		s, err := t.store.pool.take(t.ctx)
		if err != nil {
			return err
		}
		s.fill(t.head)
		t.segment, t.head = s, nil
	}
	if rest := t.segment.fill(p); len(rest) > 0 {
		return errors.New("collect segment: it was not cut in time")
	}
	return nil
}

func (t *gcsTail) due(pending int64, waited time.Duration) bool {
	return pending+blockBytes > segmentBytes || waited >= gcsCutTime
}

// cut implements tail: the segment is sent as soon as not too many others are being sent.
func (t *gcsTail) cut() (models.TusSegment, func() error) {
	name, data, done := t.name(t.at), t.head, func() {}
	if s := t.segment; s != nil {
		data, done = s.buf, func() { t.store.pool.put(s) }
	}
	t.head, t.segment = nil, nil
	t.sent = append(t.sent, place{t.at, name})
	t.at += int64(len(data))
	out := models.TusSegment{Name: name}
	sent := make(chan error, 1)
	select {
	case t.slots <- struct{}{}:
	case <-t.ctx.Done():
		done()
		return out, func() error { return context.Cause(t.ctx) }
	}
	go func() {
		defer func() { <-t.slots }()
		defer done()
		_, err := t.store.create(t.ctx, draftObject{name: name, mark: t.mark, data: [][]byte{data}})
		sent <- err
	}()
	return out, func() error {
		if err := <-sent; err != nil {
			return fmt.Errorf("send segment: %w", err)
		}
		return nil
	}
}

// close implements tail. It cancels what is still being sent, which counts for nobody, and waits for its end.
func (t *gcsTail) close(kept int64) {
	t.cancel()
	if t.segment != nil {
		t.store.pool.put(t.segment)
	}
	for range cap(t.slots) {
		t.slots <- struct{}{}
	}
	t.drop(kept)
}

// drop deletes the segments from kept on. Their names have this writer's epoch, so nobody else writes them.
func (t *gcsTail) drop(kept int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), t.store.limits.meta)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(deleters)
	for _, s := range t.sent {
		if s.at < kept {
			continue
		}
		group.Go(func() error {
			stored, err := t.store.Stat(ctx, s.name)
			if err == nil {
				err = t.store.delete(ctx, s.name, stored.Generation)
			}
			return err
		})
	}
	_ = group.Wait() // what is left goes with the transfer
}

// OpenSegment implements Store.
func (g *gcs) OpenSegment(ctx context.Context, s models.TusSegment, offset int64) (io.ReadCloser, error) {
	stored, err := g.Stat(ctx, s.Name)
	if errors.Is(err, models.ErrObjectNotFound) {
		err = g.lost(ctx, s.Name)
	}
	if err == nil && stored.Size < s.Size {
		err = fmt.Errorf("%w: %s has %d bytes", models.ErrUploadLost, s.Name, stored.Size)
	}
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	c := stored.Content(s.Name)
	c.Size = s.Size
	return g.Open(ctx, c, offset, -1)
}
