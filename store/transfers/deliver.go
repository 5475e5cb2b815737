package transfers

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// DeliverTransfer makes the attempt's content visible to the recipients of one delivery group and
// writes their events; the first group also publishes the transfer. models.ErrAlreadyUploaded when the
// transfer has other content or has ended. Safe to repeat: who has it already is left alone.
func (s *Transfers) DeliverTransfer(ctx context.Context, id, attempt uuid.UUID, group int) error {
	return s.db.Transact(ctx, "deliver transfer", func(tx *db.Tx) error {
		t, err := tx.LockTransfer(id)
		if err == nil {
			err = models.MayDeliver(t, models.AttemptKey(id, attempt))
		}
		if err == nil && t.Status == models.TransferInitialized {
			err = s.publish(tx, &t, attempt)
		}
		if err != nil {
			return err
		}
		to, err := deliver(tx, t, group)
		if err != nil {
			return err
		}
		consigned, err := s.receipts.Consigned(tx, t, to)
		tx.Receipt(consigned...)
		tx.Event(t.NotifyRecipients(models.EventPublished, to)...)
		return err
	})
}

// publish binds the staged content of the attempt to a locked transfer.
func (s *Transfers) publish(tx *db.Tx, t *models.Transfer, attempt uuid.UUID) error {
	var c models.StagedContent
	if err := tx.Take(&c, "attempt_id = ? AND transfer_id = ?", attempt, t.ID).Error; err != nil {
		return err
	}
	now := tx.Now()
	t.Published = &now
	t.ContentKey, t.ContentGeneration, t.ContentSize = models.AttemptKey(t.ID, attempt), c.Generation, c.Size
	t.ContentMD5, t.ContentSHA256, t.ContentCRC32C = c.MD5, c.SHA256, c.CRC32C
	f, err := beginningOf(tx.DB, t.ID)
	if err != nil {
		return err
	}
	f.Staged = &c.Staged
	if err := transitionFrom(tx, t, f, models.TransferPublished, ""); err != nil {
		return err
	}
	accepted, err := s.receipts.Accepted(tx, *t, c)
	tx.Receipt(accepted)
	tx.Event(t.NotifySender(models.EventPublished))
	return err
}

// deliver makes the file visible to the recipients of a group that do not have it yet, and returns them.
func deliver(tx *db.Tx, t models.Transfer, group int) (to []models.Party, err error) {
	undelivered := tx.Model(&models.Recipient{}).Where("transfer_id = ? AND group_no = ? AND delivered IS NULL", t.ID, group)
	if err := undelivered.Session(&gorm.Session{}).Order("party").Pluck("party", &to).Error; err != nil {
		return nil, err
	}
	return to, undelivered.Session(&gorm.Session{}).Update("delivered", tx.Now()).Error
}
