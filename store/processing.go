package store

import (
	"time"

	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// noteProcessing tells the sender of a locked transfer that all of its bytes came and are being looked at: once for a
// transfer, however many uploads come to their last byte. A transaction calls it last, as appendEvents.
func noteProcessing(tx *gorm.DB, t models.Transfer, now time.Time) error {
	var before []models.Event
	err := tx.Select("seq").Limit(1).Find(&before, "transfer_id = ? AND party = ? AND type = ?", t.ID, t.Sender, models.EventUploadProcessing).Error
	if err != nil || len(before) > 0 {
		return err
	}
	return appendEvents(tx, t, now, []notice{{t.Sender, models.RoleSender, models.EventUploadProcessing}})
}

// completing locks the transfer of an upload that is whole once it has so many bytes; nil when it is not, or is a part.
// The transfer comes first, as everywhere, and then the upload's row.
func completing(tx *gorm.DB, u models.TusUpload, length *int64, received int64) (*models.Transfer, error) {
	if u.Part || length == nil || *length != received {
		return nil, nil //nolint:nilnil // no transfer is what there is to say
	}
	t, err := lockTransfer(tx, u.TransferID)
	return &t, err
}
