package tus

import (
	"context"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// placePart gives a part of a locked transfer its place behind those that are open, if it is known where those end. Parts
// that were given up keep their places, as somebody may still be writing there; but nothing lies beyond what a file of
// this transfer may have.
func placePart(tx *db.Tx, t models.Transfer, u *models.TusUpload) error {
	var open []models.TusUpload
	if err := tx.Select("id", "place", "share").Find(&open, "transfer_id = ? AND part AND ended IS NULL", t.ID).Error; err != nil || u.Length == nil {
		return err
	}
	end, share := int64(0), u.ID
	for _, p := range open {
		if p.Share == nil {
			return nil
		}
		share = *p.Share // of all the same: another one begins only when none is open
	}
	err := tx.Raw("SELECT coalesce(max(place + length), 0) FROM tus_uploads WHERE transfer_id = ? AND share = ?", t.ID, share).Scan(&end).Error
	if err == nil && end+*u.Length <= t.MaxFileSize {
		u.Place, u.Share = &end, &share
	}
	return err
}

// SpentTusShares returns what parts of a transfer shared, each by its TusUpload.Share, in which none can be written any more.
func (s *Tus) SpentTusShares(ctx context.Context, transfer uuid.UUID) ([]uuid.UUID, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []uuid.UUID
	err := s.db.Read(ctx).Model(&models.TusUpload{}).Distinct("share").Where("transfer_id = ? AND share IS NOT NULL", transfer).
		Where(`(NOT EXISTS (SELECT 1 FROM tus_uploads o WHERE o.transfer_id = tus_uploads.transfer_id AND o.share = tus_uploads.share AND o.ended IS NULL)
			OR EXISTS (SELECT 1 FROM transfers t WHERE t.id = transfer_id AND t.status <> ?))`, models.TransferInitialized).
		Pluck("share", &out).Error
	return out, db.Unavailable("read shares", err)
}
