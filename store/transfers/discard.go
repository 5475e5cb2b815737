package transfers

import (
	"context"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// RecordDiscarded tells that the content of a cancelled or failed transfer has been deleted: a receipt for the sender, and
// its event. Nothing happens when there was no content, and of a transfer that was purged, which said so before its bytes
// went. Safe to repeat.
func (s *Transfers) RecordDiscarded(ctx context.Context, id uuid.UUID) error {
	return s.db.Transact(ctx, "record discarded content", func(tx *db.Tx) error {
		t, err := tx.LockTransfer(id)
		if err != nil || models.MayDiscard(t.Status) != nil {
			return err
		}
		var staged int64
		if err := tx.Model(&models.StagedContent{}).Where("transfer_id = ?", id).Count(&staged).Error; err != nil || staged == 0 {
			return err
		}
		discarded, before, err := s.receipts.Discarded(tx, t)
		if err != nil || before {
			return err
		}
		tx.Receipt(discarded)
		tx.Event(t.NotifySender(models.EventPurged))
		return nil
	})
}
