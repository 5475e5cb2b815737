package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// Retry says how to go on when the broker cannot be reached or asks to come back. The zero value takes the defaults.
type Retry struct {
	// First and Longest bound the pauses: each is twice the one before, less a random part of up to a half. 250 ms
	// and 15 s by default. A Retry-After is waited for as it asks, instead.
	First, Longest time.Duration
	// Patience is how long to go on without any progress, by default 2 minutes; negative: never try again. Time in
	// which bytes of a file move, or in which its reader or its source rests, does not count.
	Patience time.Duration
	// Notify, when set, is called with each failure that is not the last one, and the pause that follows.
	Notify func(err error, pause time.Duration)
}

func (r Retry) withDefaults() Retry {
	if r.First <= 0 {
		r.First = 250 * time.Millisecond
	}
	if r.Longest <= 0 {
		r.Longest = 15 * time.Second
	}
	if r.Patience == 0 {
		r.Patience = 2 * time.Minute
	}
	return r
}

// patience is one series of attempts at the same thing.
type patience struct {
	Retry
	clock *clock
	tries int // since this series made progress
}

func (r Retry) begin() *patience { return &patience{Retry: r.withDefaults(), clock: newClock()} }

// shared is another series of attempts with the same clock: progress of the one counts for the other.
func (p *patience) shared() *patience { return &patience{Retry: p.Retry, clock: p.clock} }

// progressed starts the series anew.
func (p *patience) progressed() {
	p.tries = 0
	p.clock.progressed()
}

// clock is how long nothing was achieved. It is safe for concurrent use.
type clock struct {
	mu   sync.Mutex
	last time.Time // of progress, and later by what does not count
}

func newClock() *clock { return &clock{last: time.Now()} }

func (c *clock) progressed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = time.Now()
}

// forgive leaves out a time in which nothing was lost.
func (c *clock) forgive(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = c.last.Add(d)
	if now := time.Now(); c.last.After(now) { // two have moved at once
		c.last = now
	}
}

func (c *clock) idle() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.last)
}

// pause waits before the next attempt. It returns err at once when another attempt is of no use or patience is at its
// end, and the context's error when that ends first.
func (p *patience) pause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	again, asked := transient(err)
	if !again {
		return err
	}
	wait := p.Longest
	if p.tries < 20 {
		wait = min(p.Longest, p.First<<p.tries)
	}
	wait -= rand.N(wait/2 + 1) //nolint:gosec // G404: no secret, only spread
	if asked > 0 {
		wait = asked
	}
	p.tries++
	if p.clock.idle()+wait > p.Patience {
		return err
	}
	if p.Notify != nil {
		p.Notify(err, wait)
	}
	return sleep(ctx, wait)
}

// transient tells whether the same request may succeed later, and how long the broker asks to wait before it.
func transient(err error) (again bool, asked time.Duration) {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.mayPass(), refused.RetryAfter
	}
	var broken *NetworkError
	return errors.As(err, &broken) && !broken.untrusted(), 0
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
