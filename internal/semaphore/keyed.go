package semaphore

import "sync"

// Outcome is what Acquire found.
type Outcome int

// It was free; or all were taken; or the key had its share.
const (
	Free Outcome = iota
	FullOfAll
	FullOfKey
)

// Keyed is one bounded count, safe for concurrent use. K is what shares it out: an organisation, a host.
type Keyed[K comparable] struct {
	all, each int

	mu    sync.Mutex
	taken int
	by    map[K]int
}

// New makes a semaphore for so many in all and so many of each key; 0 is no bound.
func New[K comparable](all, each int) *Keyed[K] {
	return &Keyed[K]{all: all, each: each, by: map[K]int{}}
}

// Each is how many one key may have at once; 0: any number.
func (p *Keyed[K]) Each() int { return p.each }

// Acquire counts a key in until release is called, or says why not, and then release is nil. Calling release again does
// nothing. To a key that has its share it says that rather than that all are taken.
func (p *Keyed[K]) Acquire(key K) (release func(), outcome Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.each > 0 && p.by[key] >= p.each:
		return nil, FullOfKey
	case p.all > 0 && p.taken >= p.all:
		return nil, FullOfAll
	}
	p.taken++
	p.by[key]++
	return sync.OnceFunc(func() { p.release(key) }), Free
}

func (p *Keyed[K]) release(key K) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.by[key]--; p.by[key] == 0 {
		delete(p.by, key) // or every key that ever came would stay
	}
}

// Taken is how many there are in all, and of a key.
func (p *Keyed[K]) Taken(key K) (all, of int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken, p.by[key]
}

// Keys is how many keys are counted in.
func (p *Keyed[K]) Keys() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.by)
}

// Both counts a key in at one semaphore and another key at another, or neither.
func Both[A, B comparable](a *Keyed[A], keyA A, b *Keyed[B], keyB B) (release func(), free bool) {
	releaseA, outcome := a.Acquire(keyA)
	if outcome != Free {
		return nil, false
	}
	releaseB, outcome := b.Acquire(keyB)
	if outcome != Free {
		releaseA()
		return nil, false
	}
	return func() { releaseB(); releaseA() }, true
}
