package transfers

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// BeginAccess records that bytes are about to be served to a recipient. models.ErrNotReadyForDownload
// when the file is not there for it, and the refusals of models.Resource.Verdict when it may no longer receive.
// It excludes cancelling, purging and the loss of the right at the same moment.
func (s *Transfers) BeginAccess(ctx context.Context, transfer uuid.UUID, by models.Caller, first, length int64) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return id, err
	}
	return id, s.db.Transact(ctx, "begin download", func(tx *db.Tx) error {
		t, err := tx.ShareTransfer(transfer)
		if err != nil {
			return err
		}
		if err := models.MayDownload(t.Status); err != nil {
			return err
		}
		if err := s.registry.CheckRightIn(tx, t.ResourceID, models.Question{Action: models.ActionReceive, From: t.Sender, By: by}); err != nil {
			return err
		}
		actor := models.NewReceiptActor(by)
		right, err := s.registry.GrantFor(tx, t.ResourceID, by.Party, actor, models.ActionReceive)
		if err != nil {
			return err
		}
		return tx.Create(&models.ContentAccess{
			Actor: actor, Right: right,
			ID: id, TransferID: transfer, Party: by.Party, FirstByte: first, Length: length, Started: tx.Now(),
		}).Error
	})
}

// NoteAccess records how many bytes of an access have been sent so far: what remains known of it when the
// process that serves it dies.
func (s *Transfers) NoteAccess(ctx context.Context, access uuid.UUID, sent int64) error {
	return s.db.Transact(ctx, "note download", func(tx *db.Tx) error {
		return noteServed(tx, access, sent, map[string]any{"bytes_sent": sent, "noted": tx.Now()})
	})
}

// EndAccess records how many bytes of an access were sent, and that no more will be.
func (s *Transfers) EndAccess(ctx context.Context, access uuid.UUID, sent int64) error {
	return s.db.Transact(ctx, "end download", func(tx *db.Tx) error {
		return noteServed(tx, access, sent, map[string]any{
			"ended": tx.Now(), "bytes_sent": sent, "complete": gorm.Expr("length = ?", sent),
			// a receipt may have told of it as broken off, and it was only silent: then another tells of this end
			"receipt_seq": gorm.Expr("CASE WHEN ended IS NULL THEN NULL ELSE receipt_seq END"),
		})
	})
}

// noteServed changes what is known of an access, and what its recipient was served in all.
func noteServed(tx *db.Tx, access uuid.UUID, sent int64, changed map[string]any) error {
	var a models.ContentAccess
	switch done := tx.Model(&a).Clauses(clause.Returning{}).Where("id = ?", access).Updates(changed); {
	case done.Error != nil:
		return done.Error
	case done.RowsAffected == 0:
		return gorm.ErrRecordNotFound
	}
	var of models.Transfer
	if err := tx.Select("content_size").Take(&of, "id = ?", a.TransferID).Error; err != nil {
		return err
	}
	return addServed(tx, a, models.Range{First: a.FirstByte, End: a.FirstByte + sent}, of.ContentSize)
}

// addServed merges a range into what the recipient was served before, by whatever requests and replicas.
func addServed(tx *db.Tx, a models.ContentAccess, more models.Range, size int64) error {
	ranges := models.Ranges{}.With(more)
	row := models.ServedContent{
		TransferID: a.TransferID, Party: a.Party, Ranges: ranges, Bytes: ranges.Bytes(), Complete: ranges.Bytes() == size, Updated: tx.Now(),
	}
	if first := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row); first.Error != nil || first.RowsAffected > 0 {
		return first.Error
	}
	row = models.ServedContent{}
	err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Take(&row, "transfer_id = ? AND party = ?", a.TransferID, a.Party).Error
	if err != nil {
		return err
	}
	row.Ranges = row.Ranges.With(more)
	row.Bytes, row.Updated = max(row.Bytes, row.Ranges.Bytes()), tx.Now()
	row.Complete = row.Complete || row.Bytes == size
	return tx.Save(&row).Error
}

// anyAccess tells whether a question finds a download.
func anyAccess(g *gorm.DB) (bool, error) {
	var found []models.ContentAccess
	err := g.Limit(1).Find(&found).Error
	return len(found) > 0, err
}
