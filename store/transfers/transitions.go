package transfers

import (
	"strings"
	"time"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// transition takes a locked transfer to another status, if models.TransferTransitions allows it from where
// the facts say it is, and writes the history, including what only the facts told until now.
func transition(tx *db.Tx, t *models.Transfer, to models.TransferStatus, text string) error {
	var f models.Facts
	if t.Status == models.TransferInitialized { // after that they decide nothing
		var err error
		if f, err = FactsOf(tx.DB, t.ID); err != nil {
			return err
		}
	}
	return transitionFrom(tx, t, f, to, text)
}

// transitionFrom is transition for who has read the facts already.
func transitionFrom(tx *db.Tx, t *models.Transfer, f models.Facts, to models.TransferStatus, text string) error {
	from, _ := f.Effective(t.Status, t.StatusChanged)
	if err := models.CheckTransition(from, to); err != nil {
		return err
	}
	now := tx.Now()
	var steps []step
	if t.Status == models.TransferInitialized && f.UploadStarted != nil {
		steps = append(steps, step{models.TransferUploadStarted, "", within(*f.UploadStarted, t.Created, now)})
	}
	if err := appendHistory(tx, *t, append(steps, step{to, text, now})...); err != nil {
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

// within keeps a moment that another process read from its clock between two others.
func within(at, first, last time.Time) time.Time {
	if at = db.Later(at, first); at.After(last) {
		return last
	}
	return at
}

// step is an entry of a transfer's history before it has its number.
type step struct {
	status models.TransferStatus
	text   string
	at     time.Time
}

// appendHistory continues a locked transfer's history without gaps, with a few steps at once.
func appendHistory(tx *db.Tx, t models.Transfer, steps ...step) error {
	values, args := make([]string, len(steps)), make([]any, 0, 6*len(steps))
	for i, c := range steps { // each row's question is answered by what there was before all of them
		values[i] = "(?, (SELECT coalesce(max(seq), 0) FROM status_changes WHERE transfer_id = ?) + ?, ?, ?, ?)"
		args = append(args, t.ID, t.ID, i+1, c.status, c.text, c.at)
	}
	return tx.Exec("INSERT INTO status_changes (transfer_id, seq, status, text, at) VALUES "+strings.Join(values, ", "), args...).Error
}
