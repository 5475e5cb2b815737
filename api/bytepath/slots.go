package bytepath

import (
	"github.com/formidling/formidling/internal/semaphore"
	"github.com/formidling/formidling/models"
)

// Slots bound what runs at once in this process, and how much of it is one organisation's: however many
// connections or streams a client opens, it never has them all.
type Slots struct {
	running *semaphore.Keyed[models.Party]
	full    *models.Error // answers when all are taken
	share   *models.Error // answers when one organisation has its share
}

// NewSlots makes slots for so many in all and so many of one organisation; 0 is no bound. It leaves at least one slot
// to others than any one organisation.
func NewSlots(total, each int, full, share *models.Error) *Slots {
	if total > 1 && (each <= 0 || each >= total) {
		each = total - 1
	}
	return &Slots{running: semaphore.New[models.Party](total, each), full: full, share: share}
}

// Take gives an organisation a slot until release is called, or says why not. It never waits: a request that waited
// would hold what the bound is to protect.
func (s *Slots) Take(p models.Party) (release func(), err error) {
	release, outcome := s.running.Acquire(p)
	switch outcome {
	case semaphore.FullOfKey:
		each := int64(s.running.Each())
		return nil, s.share.Exceeded(each, each+1)
	case semaphore.FullOfAll:
		return nil, s.full
	default:
		return release, nil
	}
}

// Taken is how many slots are taken in all, and by an organisation.
func (s *Slots) Taken(p models.Party) (all, of int) { return s.running.Taken(p) }
