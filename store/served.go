package store

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// NoteAccess records how many bytes of an access have been sent so far: what remains known of it when the
// process that serves it dies.
func (s *Store) NoteAccess(ctx context.Context, access uuid.UUID, sent int64) error {
	return s.transact(ctx, "note download", func(tx *gorm.DB) error {
		return s.serve(tx, access, sent, map[string]any{"bytes_sent": sent, "noted": s.clock()})
	})
}

// EndAccess records how many bytes of an access were sent, and that no more will be.
func (s *Store) EndAccess(ctx context.Context, access uuid.UUID, sent int64) error {
	return s.transact(ctx, "end download", func(tx *gorm.DB) error {
		return s.serve(tx, access, sent, map[string]any{
			"ended": s.clock(), "bytes_sent": sent, "complete": gorm.Expr("length = ?", sent),
			// a receipt may have told of it as broken off, and it was only silent: then another tells of this end
			"receipt_seq": gorm.Expr("CASE WHEN ended IS NULL THEN NULL ELSE receipt_seq END"),
		})
	})
}

func (s *Store) serve(tx *gorm.DB, access uuid.UUID, sent int64, changed map[string]any) error {
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
	return s.addServed(tx, a, models.Range{First: a.FirstByte, End: a.FirstByte + sent}, of.ContentSize)
}

// addServed merges a range into what the recipient was served before, by whatever requests and replicas.
func (s *Store) addServed(tx *gorm.DB, a models.ContentAccess, more models.Range, size int64) error {
	ranges := models.Ranges{}.With(more)
	row := models.ServedContent{
		TransferID: a.TransferID, Party: a.Party, Ranges: ranges, Bytes: ranges.Bytes(), Complete: ranges.Bytes() == size, Updated: s.clock(),
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
	row.Bytes, row.Updated = max(row.Bytes, row.Ranges.Bytes()), s.clock()
	row.Complete = row.Complete || row.Bytes == size
	return tx.Save(&row).Error
}

// servedTo tells how much of a file these recipients were served.
func servedTo(db *gorm.DB, id uuid.UUID, of []models.RecipientView) error {
	if len(of) == 0 {
		return nil
	}
	db = db.Select("party", "bytes", "complete").Where("transfer_id = ?", id)
	if len(of) == 1 { // one that asks for itself does not read what thousands of others were served
		db = db.Where("party = ?", of[0].Party)
	}
	var rows []models.ServedContent
	if err := db.Find(&rows).Error; err != nil {
		return err
	}
	by := make(map[models.Party]models.ServedContent, len(rows))
	for _, r := range rows {
		by[r.Party] = r
	}
	for i := range of {
		of[i].BytesServed, of[i].Complete = by[of[i].Party].Bytes, by[of[i].Party].Complete
	}
	return nil
}
