package transfers

import (
	"context"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// CancelTransfer ends a transfer at its sender's wish. The refusals are those of models.MayCancel.
// Safe to repeat: a cancelled transfer is left as it is.
func (s *Transfers) CancelTransfer(ctx context.Context, id uuid.UUID) error {
	return s.end(ctx, "cancel transfer", id, models.TransferCancelled, "", func(tx *db.Tx, t models.Transfer) ([]models.Notice, error) {
		f, err := FactsOf(tx.DB, t.ID)
		if err != nil {
			return nil, err
		}
		downloaded, err := anyAccess(tx.Where("transfer_id = ?", t.ID))
		if err != nil {
			return nil, err
		}
		from, _ := f.Effective(t.Status, t.StatusChanged)
		if err := models.MayCancel(from, downloaded); err != nil {
			return nil, err
		}
		to, err := recipients(tx, t, "delivered IS NOT NULL")
		return t.NoticesOfCancellation(to), err
	})
}

// FailTransfer ends a transfer whose content did not come or is not what was declared; text says why.
// Safe to repeat: a failed transfer is left as it is.
func (s *Transfers) FailTransfer(ctx context.Context, id uuid.UUID, text string) error {
	return s.end(ctx, "fail transfer", id, models.TransferFailed, text, func(_ *db.Tx, t models.Transfer) ([]models.Notice, error) {
		return t.NoticesOfFailure(text), nil
	})
}

// PurgeTransfer marks the file as gone, before its bytes are deleted. Recipients that were offered the
// file and did not confirm are notified, and only they. Safe to repeat.
func (s *Transfers) PurgeTransfer(ctx context.Context, id uuid.UUID) error {
	return s.end(ctx, "purge transfer", id, models.TransferPurged, "", func(tx *db.Tx, t models.Transfer) ([]models.Notice, error) {
		if t.Status != models.TransferPublished {
			return t.NoticesOfPurge(false, nil), nil
		}
		waiting, err := recipients(tx, t, waitedFor)
		return t.NoticesOfPurge(true, waiting), err
	})
}

// end moves a transfer to a status that ends it. allowed refuses it, or says who is notified of what. Nothing happens
// when it is there already.
func (s *Transfers) end(ctx context.Context, what string, id uuid.UUID, to models.TransferStatus, text string,
	allowed func(*db.Tx, models.Transfer) ([]models.Notice, error),
) error {
	return s.db.Transact(ctx, what, func(tx *db.Tx) error {
		t, err := tx.LockTransfer(id)
		if err != nil || t.Status == to {
			return err
		}
		notices, err := allowed(tx, t)
		if err != nil {
			return err
		}
		from := t.Status
		if err := transition(tx, &t, to, text); err != nil {
			return err
		}
		ended, err := s.receipts.Ended(tx, t, from)
		tx.Receipt(ended...)
		tx.Event(notices...)
		return err
	})
}

// waitedFor is the condition under which a recipient was offered the file and has not confirmed.
const waitedFor = "delivered IS NOT NULL AND confirmed IS NULL"

// recipients are those of a transfer that fulfil a condition.
func recipients(tx *db.Tx, t models.Transfer, condition string) (parties []models.Party, err error) {
	err = tx.Model(&models.Recipient{}).Where("transfer_id = ?", t.ID).Where(condition).Pluck("party", &parties).Error
	return parties, err
}
