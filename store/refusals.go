package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// RecordRefusal has a receipt say that a submission was refused, and why; receipted is false when its sender has had as many
// of them today as it may (models.Quotas.Refusals), and then nothing is kept. Safe to repeat: once for each run.
func (s *Store) RecordRefusal(ctx context.Context, sub models.Submission, runID string, reason models.ReceiptReason) (receipted bool, err error) {
	return receipted, s.transact(ctx, "record refusal", func(tx *gorm.DB) error {
		var known []models.ReceiptEntry
		source := "refused/" + runID
		if err := tx.Limit(1).Find(&known, "transfer_id = ? AND source = ?", sub.ID, source).Error; err != nil || len(known) > 0 {
			receipted = true
			return err
		}
		now := s.clock()
		n, err := countRefusal(tx, sub.Sender.Party, now)
		if receipted = n <= s.quotas.Refusals; err != nil || !receipted {
			return err
		}
		d := receiptOf(newTransfer(sub, models.Resource{}, runID, now, 0), models.ReceiptRefused, now)
		d.To, d.Actor, d.Reason, d.source = models.NewReceiptParties(sub.Recipients), models.NewReceiptActor(actingFor(sub)), &reason, source
		return writeReceipts(tx, newTransfer(sub, models.Resource{}, runID, now, 0), d)
	})
}

// countRefusal counts one more refusal of today, and forgets other days.
func countRefusal(tx *gorm.DB, p models.Party, now time.Time) (n int64, err error) {
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
func (s *Store) RefusedTooOften(ctx context.Context, p models.Party) (bool, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var n int64
	err := s.read.WithContext(ctx).Raw("SELECT coalesce(max(refused), 0) FROM refusal_counts WHERE organisation = ? AND day = ?", p, dayOf(s.clock())).Scan(&n).Error
	return n >= s.quotas.Refusals, unavailable("count refusals", err)
}
