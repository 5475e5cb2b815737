package receipts

import (
	"context"
	"time"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// RecordRefusal has a receipt say that a submission was refused, and why; receipted is false when its sender has had as many
// of them today as it may (models.Quotas.Refusals), and then nothing is kept. Safe to repeat: once for each run.
func (s *Receipts) RecordRefusal(ctx context.Context, sub models.Submission, runID string, reason models.ReceiptReason) (receipted bool, err error) {
	return receipted, s.db.Transact(ctx, "record refusal", func(tx *db.Tx) error {
		var known []models.ReceiptEntry
		source := "refused/" + runID
		if err := tx.Limit(1).Find(&known, "transfer_id = ? AND source = ?", sub.ID, source).Error; err != nil || len(known) > 0 {
			receipted = true
			return err
		}
		n, err := countRefusal(tx, sub.Sender.Party, tx.Now())
		if receipted = n <= s.registry.Quotas().Refusals; err != nil || !receipted {
			return err
		}
		d := models.NewReceiptDraft(sub.Transfer(models.Resource{}, runID, tx.Now(), 0), models.ReceiptRefused)
		d.To, d.Actor, d.Source = models.NewReceiptParties(sub.Recipients), models.NewReceiptActor(actingFor(sub)), source
		d.Reason = &reason
		tx.Receipt(d)
		return nil
	})
}

// countRefusal counts one more refusal of today, and forgets other days.
func countRefusal(tx *db.Tx, p models.Party, now time.Time) (n int64, err error) {
	err = tx.Raw("INSERT INTO refusal_counts (organisation, day, refused) VALUES (?, ?, 1)"+
		" ON CONFLICT (organisation, day) DO UPDATE SET refused = refusal_counts.refused + 1 RETURNING refused", p, dayOf(now)).Scan(&n).Error
	if err == nil && n == 1 {
		err = tx.Exec("DELETE FROM refusal_counts WHERE organisation = ? AND day < ?", p, dayOf(now)).Error
	}
	return n, err
}

func dayOf(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// RefusedTooOften tells whether an organisation has had as many refusals receipted today as it may. What it is refused then
// need not be written down anywhere.
func (s *Receipts) RefusedTooOften(ctx context.Context, p models.Party) (bool, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var n int64
	err := s.db.Read(ctx).Raw("SELECT coalesce(max(refused), 0) FROM refusal_counts WHERE organisation = ? AND day = ?", p, dayOf(s.db.Now())).Scan(&n).Error
	return n >= s.registry.Quotas().Refusals, db.Unavailable("count refusals", err)
}
