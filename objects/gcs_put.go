package objects

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/models"
)

// upload is one Put that is running. A short body is kept in head, one up to 64 MiB in held, and is sent
// as one object once its end and its hashes are known. A longer one spills: held segments are sent as
// parts while the rest arrives, and all are composed at the end. It also spills when the pool has
// no free segment, because waiting for one while holding others could block everybody.
type upload struct {
	store   *gcs
	ctx     context.Context // ends with the caller's, or when a part has failed
	key     string
	mark    string // random: distinguishes what this upload made from what others made
	head    []byte
	held    []*segment // unsent; only the last may have room
	group   *errgroup.Group
	slots   chan struct{} // parts on the wire
	parts   []*part       // in order; filled in by the goroutines of group
	spilled bool
	touched bool // something has been sent
}

// cleanupTime bounds how long a failed upload deletes its leftovers.
const cleanupTime = 5 * time.Second

// Put implements Store.
func (g *gcs) Put(ctx context.Context, key string, body io.Reader, limit int64, without ...models.Hash) (models.Content, error) {
	if err := checkKey(key); err != nil {
		return models.Content{}, fmt.Errorf("put: %w", err)
	}
	group, joint := errgroup.WithContext(ctx)
	u := &upload{
		store: g,
		ctx:   joint,
		key:   key,
		mark:  rand.Text(),
		group: group,
		slots: make(chan struct{}, partsPerPut),
	}
	c, err := u.run(ctx, body, limit, newDigest(without...))
	if err != nil {
		return models.Content{}, fmt.Errorf("put %s: %w", key, err)
	}
	return c, nil
}

func (u *upload) run(ctx context.Context, body io.Reader, limit int64, sum *digest) (models.Content, error) {
	err := stream(u.ctx, body, limit, sum, u.collect) //nolint:contextcheck // u.ctx comes from ctx and ends with a failed part too
	var made *part
	if err == nil {
		made, err = u.finish(ctx, sum)
	}
	// Wait before anything else: a part that is still being sent would outlive the clean-up, and a failed
	// part is the cause of the errors that followed.
	if failed := u.stop(err); failed != nil {
		err = failed
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		u.abandon(ctx)
		return models.Content{}, err
	}
	return sum.content(u.key, made.generation), nil
}

// stop ends the parts that are still being sent if err says so, waits for them and frees what is
// held. It returns the first failure of a part.
func (u *upload) stop(err error) error {
	if err != nil {
		u.group.Go(func() error { return err }) // cancels u.ctx
	}
	failed := u.group.Wait()
	for _, s := range u.held {
		u.store.pool.put(s)
	}
	u.held = nil
	return failed
}

// collect takes the next piece of the body; it is the sink of stream.
func (u *upload) collect(p []byte) error {
	if len(u.held) == 0 && !u.spilled {
		if len(u.head)+len(p) <= headBytes {
			u.head = append(u.head, p...)
			return nil
		}
		if err := u.grow(); err != nil {
			return err
		}
		u.held[0].fill(u.head)
		u.head = nil
	}
	for len(p) > 0 {
		if n := len(u.held); n == 0 || u.held[n-1].full() {
			if err := u.grow(); err != nil {
				return err
			}
		}
		p = u.held[len(u.held)-1].fill(p)
	}
	return nil
}

// grow makes room for more bytes of the body.
func (u *upload) grow() error {
	if n := len(u.held); n > 0 && n < maxHeld && !u.spilled {
		if s := u.store.pool.try(); s != nil {
			u.held = append(u.held, s)
			return nil
		}
	}
	if len(u.held) > 0 {
		if err := u.spill(); err != nil {
			return err
		}
	}
	s, err := u.store.pool.take(u.ctx)
	if err != nil {
		return err
	}
	u.held = append(u.held, s)
	return nil
}

// spill sends all that is held as parts.
func (u *upload) spill() error {
	u.spilled, u.touched = true, true
	for len(u.held) > 0 {
		select {
		case u.slots <- struct{}{}:
		case <-u.ctx.Done():
			return context.Cause(u.ctx)
		}
		s := u.held[0]
		u.held = u.held[1:]
		number := len(u.parts)
		p := &part{name: fmt.Sprintf("%s/%s/part-%06d", u.key, u.mark, number)}
		u.parts = append(u.parts, p)
		u.group.Go(func() error {
			defer func() { <-u.slots }()
			defer u.store.pool.put(s)
			return u.send(p, s)
		})
	}
	return nil
}

// send makes one part of a segment.
func (u *upload) send(p *part, s *segment) error {
	made, err := u.store.create(u.ctx, draftObject{name: p.name, mark: u.mark, data: [][]byte{s.buf}})
	if err != nil {
		return fmt.Errorf("send segment: %w", err)
	}
	*p = *made
	return nil
}

// finish makes the object of key once the whole body has been read.
func (u *upload) finish(ctx context.Context, sum *digest) (*part, error) {
	if !u.spilled {
		u.touched = true
		data := [][]byte{u.head}
		for _, s := range u.held {
			data = append(data, s.buf)
		}
		return u.store.create(ctx, draftObject{name: u.key, mark: u.mark, data: data, md5: sum.md5Sum()})
	}
	if err := u.spill(); err != nil {
		return nil, err
	}
	if err := u.group.Wait(); err != nil { // ends u.ctx as well
		return nil, err
	}
	leaves := make([]*node, len(u.parts))
	for i, p := range u.parts {
		leaves[i] = &node{name: p.name, size: p.size, made: p}
	}
	return (&tree{store: u.store, mark: u.mark}).make(ctx, grow(u.key, u.mark, leaves, sum.crc32c))
}

// abandon deletes what a failed upload has left, even if its caller has gone. What it cannot delete is not visible
// under key, and is deleted with the prefix (see the package comment).
func (u *upload) abandon(ctx context.Context) {
	if !u.touched {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if attrs, err := u.store.attrs(ctx, u.key); err == nil && attrs.Metadata[markName] == u.mark {
		_ = u.store.delete(ctx, u.key, attrs.Generation)
	}
	if u.spilled {
		_ = u.store.deleteAll(ctx, u.key+"/"+u.mark)
	}
}
