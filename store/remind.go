package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// RemindOfTransfer tells recipients that were offered the file and have not confirmed, and the sender, how long is left
// until the transfer expires; nobody when all have confirmed or the transfer has ended.
// Safe to repeat: each reminder, named by the time left, is told once.
func (s *Store) RemindOfTransfer(ctx context.Context, id uuid.UUID, left time.Duration) error {
	return s.transact(ctx, "remind of transfer", func(tx *gorm.DB) error {
		t, err := lockTransfer(tx, id)
		if err != nil || t.Status != models.TransferPublished {
			return err
		}
		detail := models.ISODuration(left)
		var told []models.Event
		err = tx.Limit(1).Find(&told, "transfer_id = ? AND role = ? AND type = ? AND detail = ?", id, models.RoleSender, models.EventReminder, detail).Error
		if err != nil || len(told) > 0 {
			return err
		}
		notices, err := withRecipients(tx, t, models.EventReminder, "delivered IS NOT NULL AND confirmed IS NULL")
		if err != nil || len(notices) == 1 { // the sender alone: there is nobody to wait for
			return err
		}
		return appendDetailed(tx, t, s.clock(), detail, notices)
	})
}
