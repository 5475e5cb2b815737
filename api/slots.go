package api

import (
	"sync"

	"github.com/formidling/formidling/models"
)

// slots bound what runs at once in this process, and how much of it is one organisation's: however many
// connections or streams a client opens, it never has them all.
type slots struct {
	total, each int           // of all together, of one organisation; 0: no bound
	full, most  *models.Error // what is told when all are taken, and when one organisation has its share

	mu    sync.Mutex
	taken int
	by    map[models.Party]int
}

// newSlots leaves at least one slot to others than any one organisation.
func newSlots(total, each int, full, most *models.Error) *slots {
	if total > 1 && (each <= 0 || each >= total) {
		each = total - 1
	}
	return &slots{total: total, each: each, full: full, most: most, by: map[models.Party]int{}}
}

// take gives an organisation a slot until release is called, once, or says why not. It never waits: a request
// that waited would hold what the bound is to protect.
func (s *slots) take(p models.Party) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.each > 0 && s.by[p] >= s.each:
		return nil, s.most.Exceeded(int64(s.each), int64(s.by[p])+1)
	case s.total > 0 && s.taken >= s.total:
		return nil, s.full
	}
	s.taken++
	s.by[p]++
	return func() { s.free(p) }, nil
}

func (s *slots) free(p models.Party) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.by[p]--; s.by[p] == 0 {
		delete(s.by, p) // or every organisation that ever came would stay
	}
}
