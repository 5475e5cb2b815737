package store

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// ConfirmDelivery records that a recipient has the file, and reports whether every recipient now has.
// Refusals: models.ErrTransferNotFound for who is no recipient, ErrNotPublished, ErrNotDownloaded.
// Safe to repeat: who confirmed before is only counted.
func (s *Store) ConfirmDelivery(ctx context.Context, id uuid.UUID, party models.Party) (all bool, err error) {
	err = s.transact(ctx, "confirm delivery", func(tx *gorm.DB) error {
		t, err := lockTransfer(tx, id)
		if err != nil {
			return err
		}
		var r models.Recipient
		err = tx.Take(&r, "transfer_id = ? AND party = ?", id, party).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return models.ErrTransferNotFound
		} else if err != nil {
			return err
		}
		if r.Confirmed != nil {
			all = t.Status != models.TransferPublished
			return nil
		}
		if err := mayConfirm(tx, t, party); err != nil {
			return err
		}
		all, err = s.confirm(tx, &t, &r)
		return err
	})
	return all, err
}

func mayConfirm(tx *gorm.DB, t models.Transfer, party models.Party) error {
	if t.Status != models.TransferPublished {
		return models.ErrNotPublished
	}
	downloaded, err := anyAccess(tx.Where("transfer_id = ? AND party = ?", t.ID, party))
	if err == nil && !downloaded {
		return models.ErrNotDownloaded
	}
	return err
}

func (s *Store) confirm(tx *gorm.DB, t *models.Transfer, r *models.Recipient) (all bool, err error) {
	now := s.clock()
	if err := tx.Model(r).Update("confirmed", now).Error; err != nil {
		return false, err
	}
	receipts, err := s.confirmedReceipts(tx, *t, r.Party, now)
	if err != nil {
		return false, err
	}
	if err := writeReceipts(tx, *t, receipts...); err != nil {
		return false, err
	}
	notices := []notice{
		{t.Sender, models.RoleSender, models.EventDownloadConfirmed},
		{r.Party, models.RoleRecipient, models.EventDownloadConfirmed},
	}
	var waiting []models.Party
	err = tx.Model(&models.Recipient{}).Where("transfer_id = ? AND confirmed IS NULL", t.ID).Limit(1).Pluck("party", &waiting).Error
	if err != nil {
		return false, err
	}
	if all = len(waiting) == 0; all {
		if err := moveTransfer(tx, t, models.TransferAllConfirmedDownloaded, "", now); err != nil {
			return false, err
		}
		notices = append(notices, notice{t.Sender, models.RoleSender, models.EventAllConfirmed})
	}
	return all, appendEvents(tx, *t, now, notices)
}
