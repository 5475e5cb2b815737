package store

import "github.com/formidling/formidling/models"

// toldBuffer is how many transactions with events may wait for a reader of Told. What does not fit is dropped:
// whoever listens looks for itself from time to time.
const toldBuffer = 1024

// Told names the organisations that got events, after each commit of this process and of no other. Nothing waits for
// the reader, and a process that dies after a commit tells nobody.
func (s *Store) Told() <-chan []models.Party { return s.told }

func (s *Store) tell(parties []models.Party) {
	select {
	case s.told <- parties:
	default:
	}
}
