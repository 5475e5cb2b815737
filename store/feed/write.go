package feed

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// Write numbers and inserts events. A transaction does so once, last, because it locks the parties' sequences: in order
// of party, so that two transactions never wait for each other.
func (f *Feed) Write(tx *db.Tx, notices []models.Notice) error {
	slices.SortStableFunc(notices, func(a, b models.Notice) int { return cmp.Compare(a.To, b.To) })
	for batch := range slices.Chunk(notices, db.InsertBatch) {
		ends, err := advanceSequences(tx, batch)
		if err != nil {
			return err
		}
		rows := make([]models.Event, len(batch))
		for i, n := range batch {
			id, err := uuid.NewV7()
			if err != nil {
				return fmt.Errorf("make event id: %w", err)
			}
			end := ends[n.To]
			end.seq++
			rows[i] = models.Event{
				Party: n.To, Seq: end.seq, ID: id, Type: n.Type, TransferID: n.Transfer,
				ResourceID: n.Resource, Role: n.Role, At: db.Later(tx.Now(), end.at), Detail: n.Detail,
			}
		}
		if err := tx.Create(&rows).Error; err != nil {
			return err
		}
	}
	return nil
}

// end is where a party's sequence ends: the number and the time of its last event.
type end struct {
	seq int64
	at  time.Time
}

// advanceSequences reserves numbers for the notices (sorted by party) and returns where each party's sequence ended
// before. Another transaction may have taken its time later and its numbers earlier, so the time matters too.
func advanceSequences(tx *db.Tx, notices []models.Notice) (map[models.Party]*end, error) {
	count := map[models.Party]int64{}
	var parties []models.Party
	for _, n := range notices {
		if count[n.To]++; count[n.To] == 1 {
			parties = append(parties, n.To)
		}
	}
	values := strings.TrimSuffix(strings.Repeat("(?, ?), ", len(parties)), ", ")
	args := make([]any, 0, 2*len(parties))
	for _, p := range parties {
		args = append(args, p, count[p])
	}
	var rows []struct {
		Party models.Party
		Last  int64
	}
	err := tx.Raw("INSERT INTO party_sequences (party, last) VALUES "+values+
		" ON CONFLICT (party) DO UPDATE SET last = party_sequences.last + excluded.last RETURNING party, last", args...).Scan(&rows).Error
	if err != nil {
		return nil, err
	}
	ends := make(map[models.Party]*end, len(rows))
	for _, r := range rows {
		ends[r.Party] = &end{seq: r.Last - count[r.Party]}
	}
	return ends, lastTimes(tx, ends)
}

// lastTimes reads when each party's last event was. It is a statement of its own: the one before it may have waited for
// another transaction, whose events it does not see.
func lastTimes(tx *db.Tx, ends map[models.Party]*end) error {
	var values []string
	var args []any
	for p, e := range ends {
		if e.seq > 0 {
			values, args = append(values, "(CAST(? AS text), CAST(? AS bigint))"), append(args, p, e.seq)
		}
	}
	if len(values) == 0 {
		return nil
	}
	var last []models.Event
	err := tx.Raw("WITH ends(party, seq) AS (VALUES "+strings.Join(values, ", ")+
		") SELECT e.party, e.at FROM ends JOIN events e ON e.party = ends.party AND e.seq = ends.seq", args...).Scan(&last).Error
	if err != nil {
		return err
	}
	for _, e := range last {
		ends[e.Party].at = e.At
	}
	return nil
}

// Head is the number of a party's newest event; 0 when there is none.
func Head(tx *db.Tx, party models.Party) (int64, error) { return head(tx.DB, party) }
