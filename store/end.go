package store

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// CancelTransfer ends a transfer at its sender's wish. models.ErrNotCancellable once a recipient began
// to download, or when it has ended otherwise. Safe to repeat: a cancelled transfer is left as it is.
func (s *Store) CancelTransfer(ctx context.Context, id uuid.UUID) error {
	return s.end(ctx, "cancel transfer", id, models.TransferCancelled, "", func(tx *gorm.DB, t models.Transfer) ([]notice, error) {
		f, err := factsOf(tx, t.ID)
		if err != nil {
			return nil, err
		}
		from, _ := f.effective(t)
		if !models.MayMove(from, models.TransferCancelled) {
			return nil, models.ErrNotCancellable
		}
		downloaded, err := anyAccess(tx.Where("transfer_id = ?", t.ID))
		if err != nil {
			return nil, err
		}
		if downloaded {
			return nil, models.ErrNotCancellable
		}
		return withRecipients(tx, t, models.EventCancelled, "delivered IS NOT NULL")
	})
}

// FailTransfer ends a transfer whose content did not come or is not what was declared; text says why.
// Safe to repeat: a failed transfer is left as it is.
func (s *Store) FailTransfer(ctx context.Context, id uuid.UUID, text string) error {
	return s.end(ctx, "fail transfer", id, models.TransferFailed, text, func(*gorm.DB, models.Transfer) ([]notice, error) {
		return nil, nil
	}, models.EventUploadFailed)
}

// PurgeTransfer marks the file as gone, before its bytes are deleted. Recipients that were offered the
// file and did not confirm are told so, and only they. Safe to repeat.
func (s *Store) PurgeTransfer(ctx context.Context, id uuid.UUID) error {
	return s.end(ctx, "purge transfer", id, models.TransferPurged, "", func(tx *gorm.DB, t models.Transfer) ([]notice, error) {
		if t.Status != models.TransferPublished {
			return nil, nil
		}
		return withRecipients(tx, t, models.EventNeverConfirmed, "delivered IS NOT NULL AND confirmed IS NULL")
	}, models.EventPurged)
}

// end moves a transfer to a status that ends it, and tells the sender of each of toSender and
// whoever else the callback names. Nothing happens when it is there already.
func (s *Store) end(ctx context.Context, what string, id uuid.UUID, to models.TransferStatus, text string,
	others func(*gorm.DB, models.Transfer) ([]notice, error), toSender ...models.EventType,
) error {
	return s.transact(ctx, what, func(tx *gorm.DB) error {
		t, err := lockTransfer(tx, id)
		if err != nil || t.Status == to {
			return err
		}
		var notices []notice
		for _, kind := range toSender {
			notices = append(notices, notice{t.Sender, models.RoleSender, kind})
		}
		more, err := others(tx, t)
		if err != nil {
			return err
		}
		now, from := s.clock(), t.Status
		if err := moveTransfer(tx, &t, to, text, now); err != nil {
			return err
		}
		receipts, err := endReceipts(tx, t, from, now)
		if err != nil {
			return err
		}
		if err := writeReceipts(tx, t, receipts...); err != nil {
			return err
		}
		return appendDetailed(tx, t, now, models.FailureReason(text), append(notices, more...))
	})
}

// withRecipients tells the sender, and the recipients that fulfil a condition, of the same event.
func withRecipients(tx *gorm.DB, t models.Transfer, kind models.EventType, condition string) ([]notice, error) {
	var parties []models.Party
	err := tx.Model(&models.Recipient{}).Where("transfer_id = ?", t.ID).Where(condition).Pluck("party", &parties).Error
	if err != nil {
		return nil, err
	}
	out := []notice{{t.Sender, models.RoleSender, kind}}
	for _, p := range parties {
		out = append(out, notice{p, models.RoleRecipient, kind})
	}
	return out, nil
}
