package transfers

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// ConfirmTransfer records that a recipient has the file, and reports whether every recipient now has.
// Refusals: models.ErrTransferNotFound for who is no recipient, and those of models.MayConfirm.
// Safe to repeat: who confirmed before is only counted.
func (s *Transfers) ConfirmTransfer(ctx context.Context, id uuid.UUID, party models.Party) (all bool, err error) {
	err = s.db.Transact(ctx, "confirm delivery", func(tx *db.Tx) error {
		t, err := tx.LockTransfer(id)
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
		downloaded, err := anyAccess(tx.Where("transfer_id = ? AND party = ?", t.ID, party))
		if err == nil {
			err = models.MayConfirm(t.Status, downloaded)
		}
		if err == nil {
			all, err = s.confirm(tx, &t, &r)
		}
		return err
	})
	return all, err
}

func (s *Transfers) confirm(tx *db.Tx, t *models.Transfer, r *models.Recipient) (all bool, err error) {
	if err := tx.Model(r).Update("confirmed", tx.Now()).Error; err != nil {
		return false, err
	}
	confirmed, err := s.receipts.Confirmed(tx, *t, r.Party)
	if err != nil {
		return false, err
	}
	tx.Receipt(confirmed...)
	var waiting []models.Party
	err = tx.Model(&models.Recipient{}).Where("transfer_id = ? AND confirmed IS NULL", t.ID).Limit(1).Pluck("party", &waiting).Error
	if err != nil {
		return false, err
	}
	if all = len(waiting) == 0; all {
		if err := transition(tx, t, models.TransferAllConfirmedDownloaded, ""); err != nil {
			return false, err
		}
	}
	tx.Event(t.NoticesOfConfirmation(r.Party, all)...)
	return all, nil
}
