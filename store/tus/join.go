package tus

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// JoinTus makes complete parts of a transfer its content, in the order of u.Joins; asking again for the same gives the
// same. models.ErrUploadUnknown for what is no part of this transfer, ErrPartIncomplete, ErrFileTooLarge, and what
// OpenTus says.
func (s *Tus) JoinTus(ctx context.Context, u models.TusUpload) (models.TusUpload, error) {
	err := s.db.Transact(ctx, "join parts", func(tx *db.Tx) error {
		t, err := s.maySend(tx, u)
		if err != nil {
			return err
		}
		found, err := giveWay(tx, u)
		if found != nil {
			u = *found
			return nil
		} else if err != nil {
			return err
		}
		bytes, err := sumParts(tx, u)
		if err != nil {
			return err
		}
		if bytes > t.MaxFileSize {
			return models.ErrFileTooLarge.Exceeded(t.MaxFileSize, bytes)
		}
		now := tx.Now()
		u.Length, u.Received, u.Completed = &bytes, bytes, &now
		return insertTus(tx, t, &u)
	})
	return u, err
}

// fits holds the transfer of a part and refuses, with models.ErrFileTooLarge, when it is too long together with the
// others if it has so many bytes.
func fits(tx *db.Tx, u models.TusUpload, bytes int64) error {
	t, err := tx.LockTransfer(u.TransferID)
	if err != nil {
		return err
	}
	others, err := partBytes(tx, u.TransferID, u.ID)
	if err == nil && others+bytes > t.MaxFileSize {
		err = models.ErrFileTooLarge.Exceeded(t.MaxFileSize, others+bytes)
	}
	return err
}

// partBytes is how long the parts of a transfer are together, but for one.
func partBytes(tx *db.Tx, transfer, without uuid.UUID) (n int64, err error) {
	return n, tx.Raw(`SELECT coalesce(sum(coalesce(length, received)), 0) FROM tus_uploads
		WHERE transfer_id = @transfer AND part AND ended IS NULL AND id <> @without AND (received > 0 OR opened > @since)`,
		map[string]any{"transfer": transfer, "without": without, "since": tx.Now().Add(-models.EmptyTusPart)}).Scan(&n).Error
}

// MaxTusSegments is how many segments an upload, or all parts of a transfer together, may have when a request begins to
// add to it.
const MaxTusSegments = 50_000

// roomForSegments refuses, with models.ErrQuota, what comes in too small pieces.
func roomForSegments(tx *db.Tx, u models.TusUpload) error {
	var n int64
	query := tx.Model(&models.TusSegment{}).Where("upload_id = ?", u.ID)
	if u.Part {
		query = tx.Model(&models.TusSegment{}).
			Where("upload_id IN (SELECT id FROM tus_uploads WHERE transfer_id = ? AND part AND ended IS NULL)", u.TransferID)
	}
	err := query.Count(&n).Error
	if err == nil && n >= MaxTusSegments {
		err = models.ErrQuota("pieces of a file; send larger ones", MaxTusSegments, n+1)
	}
	return err
}

// sumParts is how long the parts are together that an upload joins, if they may be joined.
func sumParts(tx *db.Tx, u models.TusUpload) (bytes int64, err error) {
	var parts []*models.TusUpload
	if err := tx.Find(&parts, "transfer_id = ? AND part AND id IN ?", u.TransferID, u.Joins).Error; err != nil {
		return 0, err
	}
	if err := together(tx.DB, parts...); err != nil {
		return 0, err
	}
	for _, id := range u.Joins {
		i := slices.IndexFunc(parts, func(p *models.TusUpload) bool { return p.ID == id })
		if i < 0 {
			return 0, models.ErrUploadUnknown.Because("%s is no part of this file transfer.", id)
		}
		if err := parts[i].MayJoin(tx.Now()); err != nil {
			return 0, err
		}
		bytes += parts[i].Received
	}
	return bytes, nil
}

// notJoined locks the transfer of a part and refuses, with models.ErrAlreadyUploaded, when the part is to become its content.
func notJoined(tx *db.Tx, u models.TusUpload) error {
	if !u.Part {
		return nil
	}
	t, err := tx.LockTransfer(u.TransferID)
	if err != nil {
		return err
	}
	var finals []models.TusUpload
	if err := tx.Find(&finals, "transfer_id = ? AND NOT part AND ended IS NULL", u.TransferID).Error; err != nil {
		return err
	}
	return models.MayLosePart(t.Status, u.ID, finals)
}

// TusParts returns the parts of a transfer that are not given up, in the order in which they were opened.
func (s *Tus) TusParts(ctx context.Context, transfer uuid.UUID) ([]models.TusUpload, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []models.TusUpload
	err := s.db.Read(ctx).Order("number").Find(&out, "transfer_id = ? AND part AND ended IS NULL", transfer).Error
	return out, db.Unavailable("read parts", err)
}

// HoldDigest gives the caller a transfer's digest alone, for as long as lease; held is false while somebody else has it.
func (s *Tus) HoldDigest(ctx context.Context, transfer uuid.UUID, lease time.Duration) (d models.TusDigest, held bool, err error) {
	return d, held, s.db.Transact(ctx, "hold digest", func(tx *db.Tx) error {
		now := tx.Clock()
		if _, err := tx.LockTransfer(transfer); err != nil {
			return err
		}
		err := tx.Take(&d, "transfer_id = ?", transfer).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			d = models.TusDigest{TransferID: transfer, Parts: []uuid.UUID{}, SHA256State: []byte{}, MD5State: []byte{}, Epoch: 1, LeaseUntil: now.Add(lease)}
			held = true
			return tx.Create(&d).Error
		}
		if err != nil || d.LeaseUntil.After(now) {
			return err
		}
		held = true
		d.Epoch++
		d.LeaseUntil = now.Add(lease)
		return tx.Model(&models.TusDigest{}).Where("transfer_id = ?", transfer).
			Updates(map[string]any{"epoch": d.Epoch, "lease_until": d.LeaseUntil}).Error
	})
}

// SaveDigest records how far a held digest is and holds it on, or with a lease of 0 lets go of it.
// models.ErrUploadTaken when somebody else has it.
func (s *Tus) SaveDigest(ctx context.Context, d models.TusDigest, lease time.Duration) error {
	return s.db.Transact(ctx, "save digest", func(tx *db.Tx) error {
		d.LeaseUntil = tx.Clock().Add(lease)
		for _, state := range []*[]byte{&d.SHA256State, &d.MD5State} {
			if *state == nil { // as what is empty comes back from SQLite
				*state = []byte{}
			}
		}
		done := tx.Model(&models.TusDigest{}).Where("transfer_id = ? AND epoch = ?", d.TransferID, d.Epoch).
			Select("Parts", "Hashed", "SHA256State", "MD5State", "LeaseUntil").Updates(&d)
		if done.Error == nil && done.RowsAffected == 0 {
			return models.ErrUploadTaken
		}
		return done.Error
	})
}

// joining is the condition under which an upload is a part of a transfer, given TransferInitialized, whose parts are
// about to become its content.
const joining = `(part AND EXISTS (SELECT 1 FROM tus_uploads f WHERE f.transfer_id = tus_uploads.transfer_id AND NOT f.part
	AND f.completed IS NOT NULL AND f.ended IS NULL AND EXISTS (SELECT 1 FROM transfers t WHERE t.id = f.transfer_id AND t.status = ?)))`

// StaleTus returns uploads that expired and were not ended, oldest first, and uploads that are complete for some time
// without being staged though their transfer awaits content: those first whose turn was longest ago, by HoldTus.
func (s *Tus) StaleTus(ctx context.Context, limit int) (expired, unfinished []models.TusUpload, err error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	now := s.db.Now()
	g := s.db.Read(ctx)
	err = g.Order("expires").Limit(limit).
		Find(&expired, "ended IS NULL AND (completed IS NULL OR part) AND NOT "+alive+" AND NOT "+joining, now, now, models.TransferInitialized).Error
	if err == nil {
		err = g.Order("(SELECT a.lease_until FROM upload_attempts a WHERE a.id = tus_uploads.id)").Limit(limit).
			Where("NOT part AND ended IS NULL AND completed < ?", now.Add(-TusLease)).
			Where("EXISTS (SELECT 1 FROM transfers t WHERE t.id = transfer_id AND t.status = ?)", models.TransferInitialized).
			Find(&unfinished).Error
	}
	return expired, unfinished, db.Unavailable("list stale uploads", err)
}
