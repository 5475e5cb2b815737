package tus

import (
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// A file's hashes run through it in order, so of parts that come at once only one can be hashed as it comes. Where hashing
// is what takes the time, bytes of later parts do not help: they take processor time from it, and must be read again. There
// a part that begins waits for the one before it and goes on with its hashes. Where the way to the client takes the
// time, it has seen so within some 0.3 s and begins.
const (
	queuePatience = 10 * time.Second       // the longest that a part waits before its first byte
	queueLook     = 50 * time.Millisecond  // how often it looks whether the one before still keeps the hashes busy
	queueIdle     = 2                      // and how often it must not, one after the other
	queueBegin    = 100 * time.Millisecond // for how long one that has just begun is thought to
	queueBusy     = 0.5                    // the share of its time that one that does spends on bytes that have come
)

// partQueue are the parts that this process receives, by transfer.
type partQueue struct {
	mu sync.Mutex
	by map[uuid.UUID][]*queuedPart
}

// queuedPart is a part that is received or waits for that.
type queuedPart struct {
	number int
	began  atomic.Int64 // when its first byte was asked for, in nanoseconds; 0: it waits
	hashes atomic.Bool  // as it receives, valid once it has begun
	body   timedBody
	done   chan struct{}
}

// enter adds a part; leave takes it away.
func (t *partQueue) enter(u models.TusUpload) (mine *queuedPart, leave func()) {
	mine = &queuedPart{number: u.Number, done: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[uuid.UUID][]*queuedPart{}
	}
	t.by[u.TransferID] = append(t.by[u.TransferID], mine)
	return mine, func() { t.leave(u.TransferID, mine) }
}

func (t *partQueue) leave(transfer uuid.UUID, mine *queuedPart) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(mine.done)
	left := slices.DeleteFunc(t.by[transfer], func(one *queuedPart) bool { return one == mine })
	if t.by[transfer] = left; len(left) == 0 {
		delete(t.by, transfer)
	}
}

// before is the first part of those that come before one.
func (t *partQueue) before(transfer uuid.UUID, mine *queuedPart) (first *queuedPart) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range t.by[transfer] {
		if one.number > 0 && one.number < mine.number && (first == nil || one.number < first.number) {
			first = one
		}
	}
	return first
}

// busy tells whether the hashes of a part, which it computes as it comes, are what takes the time.
func (t *queuedPart) busy() bool {
	began := t.began.Load()
	switch {
	case began == 0: // it waits for its turn too
		return true
	case !t.hashes.Load():
		return false
	case time.Since(time.Unix(0, began)) < queueBegin:
		return true
	}
	return t.body.share() > queueBusy
}

// over is closed when the part is no longer received; of none it never is.
func (t *queuedPart) over() <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.done
}

// start is from here on received from body.
func (t *queuedPart) start(body io.Reader, hashes bool) io.Reader {
	t.hashes.Store(hashes)
	t.body.from, t.body.left = body, time.Now()
	t.began.Store(t.body.left.UnixNano())
	return &t.body
}

// waitTurn waits until a part may begin, and returns the hashes that it goes on with: its own, or those of the part before
// it; held is false when it has none.
func (t *Handler) waitTurn(ctx context.Context, u models.TusUpload, mine *queuedPart) (h models.HashState, held bool, err error) {
	if h, held = u.HashesSoFar(); held || u.Received > 0 || u.Place == nil {
		return h, held, nil
	}
	late := time.NewTimer(queuePatience)
	defer late.Stop()
	look := time.NewTicker(queueLook)
	defer look.Stop()
	for idle := 0; ; {
		first := t.queue.before(u.TransferID, mine)
		switch {
		case first == nil: // it may be about to come
			if h, held, err = t.hashesBefore(ctx, u); held || err != nil || idle == queueIdle {
				return h, held, err
			}
			idle++
		case first.busy():
			idle = 0
		default:
			if idle++; idle > queueIdle {
				return h, false, nil
			}
		}
		select {
		case <-first.over():
		case <-look.C:
		case <-late.C:
			return h, false, nil
		case <-ctx.Done(): // reading will tell
			return h, false, nil
		}
	}
}

// hashesBefore are those of the part that ends where another one begins.
func (t *Handler) hashesBefore(ctx context.Context, u models.TusUpload) (h models.HashState, held bool, err error) {
	parts, err := t.Resumables.TusParts(ctx, u.TransferID)
	for _, p := range parts {
		if p.Share == nil || *p.Share != *u.Share || p.Completed == nil || *p.Place+p.Received != *u.Place || p.ID == u.ID {
			continue
		}
		if h, held = p.HashesSoFar(); held {
			break
		}
	}
	return h, held, err
}

// timedBody measures for which share of the time nobody waits for it.
type timedBody struct {
	from      io.Reader
	left      time.Time // when the last read ended
	out, wait float64   // seconds, of which the old ones fade
	busy      atomic.Uint64
}

// fade is how much of what was measured before counts after a read.
const fade = 0.98

// Read implements io.Reader.
func (b *timedBody) Read(p []byte) (int, error) {
	came := time.Now()
	n, err := b.from.Read(p)
	went := time.Now()
	b.out = b.out*fade + came.Sub(b.left).Seconds()
	b.wait = b.wait*fade + went.Sub(came).Seconds()
	b.left = went
	b.busy.Store(uint64(1e6 * b.out / (b.out + b.wait + 1e-9)))
	return n, err
}

func (b *timedBody) share() float64 { return float64(b.busy.Load()) / 1e6 }
