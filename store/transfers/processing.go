package transfers

import (
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// NoteProcessing notifies the sender of a locked transfer that all of its bytes came and are being looked at: once for a
// transfer, however many uploads come to their last byte.
func NoteProcessing(tx *db.Tx, t models.Transfer) error {
	var before []models.Event
	err := tx.Select("seq").Limit(1).Find(&before, "transfer_id = ? AND party = ? AND type = ?", t.ID, t.Sender, models.EventUploadProcessing).Error
	if err == nil && len(before) == 0 {
		tx.Event(t.NotifySender(models.EventUploadProcessing))
	}
	return err
}
