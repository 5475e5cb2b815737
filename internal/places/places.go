package places

import "sync"

// Room is what Take found.
type Room int

// There was room; or all places were taken; or the key had its share.
const (
	Free Room = iota
	FullOfAll
	FullOfKey
)

// Places is one bounded count, safe for concurrent use. K is what shares it out: an organisation, a host.
type Places[K comparable] struct {
	all, each int

	mu    sync.Mutex
	taken int
	by    map[K]int
}

// New makes places for so many in all and so many of each key; 0 is no bound.
func New[K comparable](all, each int) *Places[K] {
	return &Places[K]{all: all, each: each, by: map[K]int{}}
}

// Each is how many places one key may have; 0: any number.
func (p *Places[K]) Each() int { return p.each }

// Take gives a key a place until leave is called, or tells why not, and then leave is nil. Calling leave again
// does nothing. A key that has its share hears of that rather than that all places are taken.
func (p *Places[K]) Take(key K) (leave func(), room Room) {
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
	return sync.OnceFunc(func() { p.leave(key) }), Free
}

func (p *Places[K]) leave(key K) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.by[key]--; p.by[key] == 0 {
		delete(p.by, key) // or every key that ever came would stay
	}
}

// Taken is how many places are taken in all, and by a key.
func (p *Places[K]) Taken(key K) (all, of int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken, p.by[key]
}

// Keys is how many keys have a place.
func (p *Places[K]) Keys() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.by)
}

// Both takes a place for a key in one and for another key in another, or none at all.
func Both[A, B comparable](a *Places[A], keyA A, b *Places[B], keyB B) (leave func(), free bool) {
	leaveA, room := a.Take(keyA)
	if room != Free {
		return nil, false
	}
	leaveB, room := b.Take(keyB)
	if room != Free {
		leaveA()
		return nil, false
	}
	return func() { leaveB(); leaveA() }, true
}
