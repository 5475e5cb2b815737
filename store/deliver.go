package store

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// DeliverTransfer makes the attempt's content visible to the recipients of one delivery group and
// writes their events; the first group also publishes the transfer. models.ErrAlreadyUploaded when the
// transfer has other content or has ended. Safe to repeat: who has it already is left alone.
func (s *Store) DeliverTransfer(ctx context.Context, id, attempt uuid.UUID, group int) error {
	return s.transact(ctx, "deliver transfer", func(tx *gorm.DB) error {
		t, err := lockTransfer(tx, id)
		if err != nil {
			return err
		}
		now := s.clock()
		var notices []notice
		var receipts []receiptDraft
		if t.Status == models.TransferInitialized {
			accepted, err := publish(tx, &t, attempt, s)
			if err != nil {
				return err
			}
			receipts = append(receipts, accepted)
			notices = append(notices, notice{t.Sender, models.RoleSender, models.EventPublished})
		}
		if !t.Status.Downloadable() || t.ContentKey != models.AttemptKey(id, attempt) {
			return models.ErrAlreadyUploaded
		}
		var waiting []models.Party
		undelivered := tx.Model(&models.Recipient{}).Where("transfer_id = ? AND group_no = ? AND delivered IS NULL", id, group)
		if err := undelivered.Session(&gorm.Session{}).Order("party").Pluck("party", &waiting).Error; err != nil {
			return err
		}
		if err := undelivered.Session(&gorm.Session{}).Update("delivered", now).Error; err != nil {
			return err
		}
		permits, err := s.permitsOf(tx, t.ResourceID, waiting, "", models.ActionReceive)
		if err != nil {
			return err
		}
		for _, p := range waiting {
			notices = append(notices, notice{p, models.RoleRecipient, models.EventPublished})
			consigned := receiptOf(t, models.ReceiptConsigned, now).withFile(t)
			consigned.Recipient, consigned.Right = p, permits[p]
			receipts = append(receipts, consigned)
		}
		if err := writeReceipts(tx, t, receipts...); err != nil {
			return err
		}
		return appendEvents(tx, t, now, notices)
	})
}

// publish binds the staged content of the attempt to a locked transfer.
func publish(tx *gorm.DB, t *models.Transfer, attempt uuid.UUID, s *Store) (receiptDraft, error) {
	var c models.StagedContent
	if err := tx.Take(&c, "attempt_id = ? AND transfer_id = ?", attempt, t.ID).Error; err != nil {
		return receiptDraft{}, err
	}
	now := s.clock()
	t.Published = &now
	t.ContentKey, t.ContentGeneration, t.ContentSize = models.AttemptKey(t.ID, attempt), c.Generation, c.Size
	t.ContentMD5, t.ContentSHA256, t.ContentCRC32C = c.MD5, c.SHA256, c.CRC32C
	f, err := beginningOf(tx, t.ID)
	if err != nil {
		return receiptDraft{}, err
	}
	f.Staged = &c.Staged
	if err := moveWithFacts(tx, t, f, models.TransferPublished, "", now); err != nil {
		return receiptDraft{}, err
	}
	return acceptedReceipt(tx, *t, c, now)
}
