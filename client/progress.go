package client

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// Phase is what a journey is busy with.
type Phase string

// The phases.
const (
	PhaseChecksum  Phase = "checksum" // reading a file to declare its SHA-256, or what is there of one
	PhaseUpload    Phase = "upload"
	PhaseDownload  Phase = "download"
	PhaseVerifying Phase = "verifying" // all bytes are at the broker, which has yet to publish them
)

// Progress is how far a journey has come.
type Progress struct {
	Phase    Phase
	Transfer FileTransferID // zero until it is known
	Done     int64          // bytes of the phase; less than before when some have to be sent again
	Total    int64          // bytes; -1 while it is not known
	Resumed  int64          // bytes of Done that an earlier run carried
}

// meter calls a Progress function with how far a phase has come, one call at a time.
type meter struct {
	mu   sync.Mutex
	now  Progress
	tell func(Progress)
}

func newMeter(tell func(Progress), phase Phase, id FileTransferID, total int64) *meter {
	return &meter{tell: tell, now: Progress{Phase: phase, Transfer: id, Total: total}}
}

// add counts bytes; fewer than none when they have to be sent again.
func (m *meter) add(n int64) { m.change(func(p *Progress) { p.Done += n }) }

// resumed counts bytes that an earlier run carried.
func (m *meter) resumed(n int64) { m.change(func(p *Progress) { p.Done += n; p.Resumed += n }) }

func (m *meter) change(f func(*Progress)) {
	if m.tell == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.now)
	m.tell(m.now)
}

var errStalled = errors.New("the connection stood still for too long")

// watch ends a context when nothing has moved for too long.
type watch struct {
	mu    sync.Mutex
	timer *time.Timer
	limit time.Duration
}

// watched derives a context that ends with errStalled when moved is not called for as long as limit.
func watched(ctx context.Context, limit time.Duration) (context.Context, *watch, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{limit: limit, timer: time.AfterFunc(limit, func() { cancel(errStalled) })}
	return ctx, w, func() { w.timer.Stop(); cancel(context.Canceled) }
}

func (w *watch) moved() { w.next(w.limit) }

// rest suspends the watch until the next movement.
func (w *watch) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}

// next allows this long until the next movement.
func (w *watch) next(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Reset(limit)
}

// outgoing is a request body: it counts what is read of it, and sees when that stands still. A source that takes its
// time is not the connection's fault, and while bytes move nobody loses patience.
type outgoing struct {
	io.Reader
	meter *meter
	watch *watch
	clock *clock

	mu     sync.Mutex
	sent   int64
	moved  time.Time // when it was last read
	done   bool      // later reads are of a connection that was given up
	whole  bool      // all was read, and the answer is what is waited for
	failed error
}

func (o *outgoing) Read(p []byte) (int, error) {
	o.mu.Lock()
	if !o.done {
		o.watch.rest()
	}
	o.mu.Unlock()
	n, err := o.Reader.Read(p)
	o.mu.Lock()
	counts := !o.done
	if counts {
		o.sent += int64(n)
		o.passed()
		o.whole = errors.Is(err, io.EOF)
		if err != nil && err != io.EOF {
			o.failed = err
		}
	}
	o.mu.Unlock()
	if counts {
		o.watch.moved()
		if err != nil { // now the broker is busy, and we are not
			o.watch.next(answerTimeout)
		}
		if n > 0 {
			o.meter.add(int64(n))
		}
	}
	return n, err
}

// passed takes the time since the last reading off the clock.
func (o *outgoing) passed() {
	now := time.Now()
	if !o.moved.IsZero() {
		o.clock.forgive(now.Sub(o.moved))
	}
	o.moved = now
}

// stop ends the counting, and returns how many bytes were read and why no more could be.
func (o *outgoing) stop() (int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done = true
	if o.whole {
		o.passed()
	}
	return o.sent, o.failed
}

// whole is a reader of exactly n bytes: a file that became shorter is an error, not an end.
type whole struct {
	io.Reader
	left int64
}

func (r *whole) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.left -= int64(n)
	if errors.Is(err, io.EOF) && r.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
