package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// lockTransfer reads a transfer for change; all changes to one transfer come one after the other.
func lockTransfer(tx *gorm.DB, id uuid.UUID) (models.Transfer, error) {
	var t models.Transfer
	err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Take(&t, "id = ?", id).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return t, models.ErrTransferNotFound
	}
	return t, err
}

// moveTransfer takes a locked transfer to another status, if models.TransferMoves allows it from where
// the facts say it is, and writes the history, including what only the facts told until now.
func moveTransfer(tx *gorm.DB, t *models.Transfer, to models.TransferStatus, text string, now time.Time) error {
	var f facts
	if t.Status == models.TransferInitialized { // after that they decide nothing
		var err error
		if f, err = factsOf(tx, t.ID); err != nil {
			return err
		}
	}
	return moveWithFacts(tx, t, f, to, text, now)
}

// moveWithFacts is moveTransfer for who has read the facts already.
func moveWithFacts(tx *gorm.DB, t *models.Transfer, f facts, to models.TransferStatus, text string, now time.Time) error {
	from, _ := f.effective(*t)
	if !models.MayMove(from, to) {
		return models.ErrMovedOn.Because("It is %s and cannot become %s.", from, to)
	}
	var steps []change
	if t.Status == models.TransferInitialized && f.UploadStarted != nil {
		steps = append(steps, change{models.TransferUploadStarted, "", notBefore(*f.UploadStarted, t.Created)})
	}
	if err := appendHistory(tx, *t, append(steps, change{to, text, now})...); err != nil {
		return err
	}
	t.Status, t.StatusText, t.StatusChanged = to, text, now
	err := tx.Model(t).Select("Status", "StatusText", "StatusChanged", "Published",
		"ContentKey", "ContentGeneration", "ContentSize", "ContentMD5", "ContentSHA256", "ContentCRC32C").Updates(t).Error
	if err != nil {
		return err
	}
	return tx.Model(&models.Recipient{}).Where("transfer_id = ?", t.ID).
		Updates(map[string]any{"transfer_status": to, "transfer_status_changed": now}).Error
}

func notBefore(at, floor time.Time) time.Time {
	if at.Before(floor) {
		return floor
	}
	return at
}

// change is a step of a transfer's history.
type change struct {
	status models.TransferStatus
	text   string
	at     time.Time
}

// appendHistory continues a locked transfer's history without gaps, with a few changes at once.
func appendHistory(tx *gorm.DB, t models.Transfer, changes ...change) error {
	values, args := make([]string, len(changes)), make([]any, 0, 6*len(changes))
	for i, c := range changes { // each row's question is answered by what there was before all of them
		values[i] = "(?, (SELECT coalesce(max(seq), 0) FROM status_changes WHERE transfer_id = ?) + ?, ?, ?, ?)"
		args = append(args, t.ID, t.ID, i+1, c.status, c.text, c.at)
	}
	return tx.Exec("INSERT INTO status_changes (transfer_id, seq, status, text, at) VALUES "+strings.Join(values, ", "), args...).Error
}

// notice is an event before it has its number.
type notice struct {
	to   models.Party
	role models.Role
	kind models.EventType
}

// appendEvents numbers and inserts events. A transaction calls it once, last, because it locks the
// parties' sequences: in order of party, so that two transactions never wait for each other.
func appendEvents(tx *gorm.DB, t models.Transfer, now time.Time, notices []notice) error {
	return appendDetailed(tx, t, now, "", notices)
}

// appendDetailed is appendEvents with the same detail in each event.
func appendDetailed(tx *gorm.DB, t models.Transfer, now time.Time, detail string, notices []notice) error {
	slices.SortStableFunc(notices, func(a, b notice) int { return cmp.Compare(a.to, b.to) })
	for batch := range slices.Chunk(notices, insertBatch) {
		last, err := advanceSequences(tx, batch)
		if err != nil {
			return err
		}
		rows := make([]models.Event, len(batch))
		for i, n := range batch {
			id, err := uuid.NewV7()
			if err != nil {
				return fmt.Errorf("make event id: %w", err)
			}
			last[n.to]++
			rows[i] = models.Event{
				Party: n.to, Seq: last[n.to], ID: id, Type: n.kind, TransferID: t.ID,
				ResourceID: t.ResourceID, Role: n.role, At: now, Detail: detail,
			}
		}
		if err := tx.Create(&rows).Error; err != nil {
			return err
		}
		announce(tx, batch)
	}
	return nil
}

// advanceSequences reserves numbers for the notices (sorted by party) and returns the last number
// each party had before.
func advanceSequences(tx *gorm.DB, notices []notice) (map[models.Party]int64, error) {
	type sequence struct {
		Party models.Party
		Last  int64
	}
	var rows []sequence
	count := map[models.Party]int64{}
	for _, n := range notices {
		if count[n.to]++; count[n.to] == 1 {
			rows = append(rows, sequence{Party: n.to})
		}
	}
	values := strings.TrimSuffix(strings.Repeat("(?, ?), ", len(rows)), ", ")
	args := make([]any, 0, 2*len(rows))
	for _, r := range rows {
		args = append(args, r.Party, count[r.Party])
	}
	rows = nil
	err := tx.Raw("INSERT INTO party_sequences (party, last) VALUES "+values+
		" ON CONFLICT (party) DO UPDATE SET last = party_sequences.last + excluded.last RETURNING party, last", args...).Scan(&rows).Error
	if err != nil {
		return nil, err
	}
	before := make(map[models.Party]int64, len(rows))
	for _, r := range rows {
		before[r.Party] = r.Last - count[r.Party]
	}
	return before, nil
}
