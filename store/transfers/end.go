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
		return noticesTo(t, models.EventCancelled, to), err
	})
}

// FailTransfer ends a transfer whose content did not come or is not what was declared; text says why.
// Safe to repeat: a failed transfer is left as it is.
func (s *Transfers) FailTransfer(ctx context.Context, id uuid.UUID, text string) error {
	return s.end(ctx, "fail transfer", id, models.TransferFailed, text, func(_ *db.Tx, t models.Transfer) ([]models.Notice, error) {
		failed := t.NotifySender(models.EventUploadFailed)
		failed.Detail = models.FailureReason(text)
		return []models.Notice{failed}, nil
	})
}

// PurgeTransfer marks the file as gone, before its bytes are deleted. Recipients that were offered the
// file and did not confirm are notified, and only they. Safe to repeat.
func (s *Transfers) PurgeTransfer(ctx context.Context, id uuid.UUID) error {
	return s.end(ctx, "purge transfer", id, models.TransferPurged, "", func(tx *db.Tx, t models.Transfer) ([]models.Notice, error) {
		notices := []models.Notice{t.NotifySender(models.EventPurged)}
		if t.Status != models.TransferPublished {
			return notices, nil
		}
		to, err := recipients(tx, t, "delivered IS NOT NULL AND confirmed IS NULL")
		return append(notices, noticesTo(t, models.EventNeverConfirmed, to)...), err
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
		if err := move(tx, &t, to, text); err != nil {
			return err
		}
		ended, err := s.receipts.Ended(tx, t, from)
		tx.Receipt(ended...)
		tx.Event(notices...)
		return err
	})
}

// recipients are those of a transfer that fulfil a condition.
func recipients(tx *db.Tx, t models.Transfer, condition string) (parties []models.Party, err error) {
	err = tx.Model(&models.Recipient{}).Where("transfer_id = ?", t.ID).Where(condition).Pluck("party", &parties).Error
	return parties, err
}

// noticesTo notify the sender and some recipients of the same event.
func noticesTo(t models.Transfer, kind models.EventType, to []models.Party) []models.Notice {
	out := []models.Notice{t.NotifySender(kind)}
	for _, p := range to {
		out = append(out, t.Notify(p, models.RoleRecipient, kind))
	}
	return out
}
