package webhook

import "sync"

// limiter bounds how many of a kind run at once. Nobody waits in it: who finds no place comes back.
type limiter struct {
	mu    sync.Mutex
	limit int
	taken map[string]int
}

func newLimiter(limit, fallback int) *limiter {
	if limit == 0 {
		limit = fallback
	}
	return &limiter{limit: limit, taken: map[string]int{}}
}

func (l *limiter) enter(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken[key] >= l.limit {
		return false
	}
	l.taken[key]++
	return true
}

func (l *limiter) leave(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken[key]--; l.taken[key] == 0 {
		delete(l.taken, key)
	}
}

// both takes a place in two limiters, or none.
func both(a *limiter, keyA string, b *limiter, keyB string) (leave func(), free bool) {
	if !a.enter(keyA) {
		return nil, false
	}
	if !b.enter(keyB) {
		a.leave(keyA)
		return nil, false
	}
	return func() { b.leave(keyB); a.leave(keyA) }, true
}
