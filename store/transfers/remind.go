package transfers

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// RemindOfTransfer notifies recipients that were offered the file and have not confirmed, and the sender, how long is left
// until the transfer expires; nobody when all have confirmed or the transfer has ended.
// Safe to repeat: each reminder, named by the time left, is given once.
func (s *Transfers) RemindOfTransfer(ctx context.Context, id uuid.UUID, left time.Duration) error {
	return s.db.Transact(ctx, "remind of transfer", func(tx *db.Tx) error {
		t, err := tx.LockTransfer(id)
		if err != nil || models.MayRemind(t.Status) != nil {
			return err
		}
		detail := models.ISODuration(left)
		var before []models.Event
		err = tx.Limit(1).Find(&before, "transfer_id = ? AND role = ? AND type = ? AND detail = ?", id, models.RoleSender, models.EventReminder, detail).Error
		if err != nil || len(before) > 0 {
			return err
		}
		waiting, err := recipients(tx, t, waitedFor)
		tx.Event(t.NoticesOfReminder(waiting, detail)...)
		return err
	})
}
