package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// toldBuffer is how many transactions with events may wait for a reader of Told. What does not fit is dropped:
// whoever listens looks for itself from time to time.
const toldBuffer = 1024

// Told names the organisations that got events, after each commit of this process. Nothing waits for the reader, and
// a process that dies after a commit tells nobody.
func (s *Store) Told() <-chan []models.Party { return s.told }

type toldKey struct{}

// listening collects whom a transaction writes events for; what it returns passes them on when the transaction was
// committed.
func (s *Store) listening(ctx context.Context) (context.Context, func(error) error) {
	var parties []models.Party
	return context.WithValue(ctx, toldKey{}, &parties), func(err error) error {
		if err != nil || len(parties) == 0 {
			return err
		}
		select {
		case s.told <- parties:
		default:
		}
		return nil
	}
}

// noteTold notes whom a transaction writes events for; notices are sorted by party.
func noteTold(tx *gorm.DB, notices []notice) {
	parties, listening := tx.Statement.Context.Value(toldKey{}).(*[]models.Party)
	if !listening {
		return
	}
	for _, n := range notices {
		if k := len(*parties); k == 0 || (*parties)[k-1] != n.to {
			*parties = append(*parties, n.to)
		}
	}
}
