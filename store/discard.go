package store

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// RecordDiscarded tells that the content of a cancelled or failed transfer has been deleted: a receipt for the sender, and
// its event. Nothing happens when there was no content, and of a transfer that was purged, which said so before its bytes
// went. Safe to repeat.
func (s *Store) RecordDiscarded(ctx context.Context, id uuid.UUID) error {
	const source = "discarded"
	return s.transact(ctx, "record discarded content", func(tx *gorm.DB) error {
		t, err := lockTransfer(tx, id)
		if err != nil || t.Status != models.TransferCancelled && t.Status != models.TransferFailed {
			return err
		}
		var staged, told int64
		if err := tx.Model(&models.StagedContent{}).Where("transfer_id = ?", id).Count(&staged).Error; err != nil || staged == 0 {
			return err
		}
		err = tx.Model(&models.ReceiptEntry{}).Where("transfer_id = ? AND source = ?", id, source).Count(&told).Error
		if err != nil || told > 0 {
			return err
		}
		now := s.clock()
		d := receiptOf(t, models.ReceiptPurged, now).withFile(t)
		d.source = source
		if err := writeReceipts(tx, t, d); err != nil {
			return err
		}
		return appendEvents(tx, t, now, []notice{{t.Sender, models.RoleSender, models.EventPurged}})
	})
}
