package tus

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/transfers"
)

// TusLease is how long a writer that is not heard of counts as one that may still leave bytes behind. It keeps
// nobody from taking its upload over.
const TusLease = 15 * time.Second

// alive is the condition under which an upload has not expired, given twice what time it is. The parts of a transfer
// live together: the first one must not expire while the last one is still coming.
const alive = `(expires > ? OR part AND EXISTS (SELECT 1 FROM tus_uploads o
	WHERE o.transfer_id = tus_uploads.transfer_id AND o.part AND o.ended IS NULL AND o.expires > ?))`

// receiving is the condition under which an upload may grow, given twice what time it is, and TransferInitialized. A part
// does not once others were joined: what they lie in, where it may lie too, then becomes the content.
const receiving = `ended IS NULL AND completed IS NULL AND ` + alive + `
	AND NOT (part AND EXISTS (SELECT 1 FROM tus_uploads f
		WHERE f.transfer_id = tus_uploads.transfer_id AND NOT f.part AND f.completed IS NOT NULL AND f.ended IS NULL))
	AND EXISTS (SELECT 1 FROM transfers t WHERE t.id = transfer_id AND t.status = ?)`

// ClaimTus makes the caller the one writer of an upload that stands at offset, and returns the writer's epoch: whoever
// wrote before can commit nothing any more. length, if not nil, is what was deferred until now.
// models.ErrUploadOffset when the upload stands elsewhere, ErrUploadGone when it was given up or is too old,
// ErrAlreadyUploaded when the transfer no longer awaits content, ErrFileTooLarge when the parts of a transfer are too
// long together, ErrQuota when its bytes come in too many pieces, ErrTooManyUploadsOfOne as from BeginUpload: a writer
// counts from here until ReleaseTus, or until its lease has run out.
func (s *Tus) ClaimTus(ctx context.Context, upload uuid.UUID, offset int64, length *int64) (epoch int64, err error) {
	return epoch, s.db.Transact(ctx, "claim upload", func(tx *db.Tx) error {
		whole, err := s.mayGrow(tx, upload, offset, length)
		if err != nil {
			return err
		}
		now := tx.Now()
		set := map[string]any{"epoch": gorm.Expr("epoch + 1")}
		query := tx.Model(&models.TusUpload{}).Where("id = ? AND received = ?", upload, offset)
		if length != nil {
			set["length"] = *length
			query = query.Where("length IS NULL OR length = ?", *length)
			if *length == offset {
				set["completed"] = now
			}
		}
		done := query.Where(receiving, now, now, models.TransferInitialized).Updates(set)
		if done.Error != nil {
			return done.Error
		}
		u, err := tusByID(tx, upload)
		if err != nil {
			return err
		}
		if done.RowsAffected == 0 {
			return u.GrowthRefusal(offset, now)
		}
		epoch = u.Epoch
		if err := extendLease(tx, upload); err != nil || whole == nil {
			return err
		}
		return transfers.NoteProcessing(tx, *whole)
	})
}

// mayGrow looks at the bounds of an upload that is about to grow, and locks its transfer if it is whole already. All locks
// come first, the transfer's before that of its organisation's uploads: what is counted then, is counted at one moment.
func (s *Tus) mayGrow(tx *db.Tx, upload uuid.UUID, offset int64, length *int64) (whole *models.Transfer, err error) {
	var u models.TusUpload
	if err := tx.Take(&u, "id = ?", upload).Error; err != nil {
		return nil, err
	}
	counts := u.Part && (length != nil || offset == 0)
	if counts {
		_, err = tx.LockTransfer(u.TransferID)
	} else {
		whole, err = completing(tx, u, length, offset)
	}
	if err == nil {
		err = tx.LockAlone(db.UploadsLock(u.OpenedBy.Party))
	}
	if err == nil && counts {
		err = fits(tx, u, wanted(u, offset, length))
	}
	if err == nil {
		err = roomForSegments(tx, u)
	}
	if err == nil {
		err = s.transfers.MayUploadMore(tx, u.OpenedBy.Party, upload)
	}
	return whole, err
}

// wanted is how long a part is going to be, as far as that is known.
func wanted(u models.TusUpload, offset int64, length *int64) int64 {
	switch {
	case u.Length != nil:
		return *u.Length
	case length != nil:
		return *length
	}
	return offset
}

// tusByID reads an upload; a part expires when the last of its transfer's does.
func tusByID(tx *db.Tx, id uuid.UUID) (u models.TusUpload, err error) {
	if err = tx.Take(&u, "id = ?", id).Error; err == nil {
		err = together(tx.DB, &u)
	}
	return u, err
}

// together has parts of one transfer expire at once.
func together(g *gorm.DB, parts ...*models.TusUpload) error {
	if len(parts) == 0 || !parts[0].Part {
		return nil
	}
	var last []models.TusUpload
	err := g.Order("expires DESC").Limit(1).Find(&last, "transfer_id = ? AND part AND ended IS NULL", parts[0].TransferID).Error
	for _, u := range parts {
		if len(last) > 0 && last[0].Expires.After(u.Expires) {
			u.Expires = last[0].Expires
		}
	}
	return err
}

func extendLease(tx *db.Tx, upload uuid.UUID) error {
	return tx.Model(&models.UploadAttempt{}).Where("id = ? AND ended IS NULL", upload).Update("lease_until", tx.Clock().Add(TusLease)).Error
}

// CommitTus records what has become durable, and that all has when that is so. models.ErrUploadTaken when epoch is no
// longer the newest, ErrUploadGone or ErrAlreadyUploaded when nobody may write any more, ErrFileTooLarge when the parts
// of the transfer are too long together.
func (s *Tus) CommitTus(ctx context.Context, upload uuid.UUID, epoch int64, p models.TusProgress) error {
	return s.db.Transact(ctx, "commit upload", func(tx *db.Tx) error {
		now := tx.Now()
		u, err := tusByID(tx, upload)
		if err != nil {
			return err
		}
		whole, err := completing(tx, u, u.Length, p.Received)
		if err != nil {
			return err
		}
		var t models.Transfer
		if err = tx.Select("id", "expires").Take(&t, "id = ?", u.TransferID).Error; err != nil {
			return err
		}
		if err = partFits(tx, u, p); err != nil {
			return err
		}
		set := map[string]any{
			"received": p.Received, "crc32c": p.CRC32C, "expires": tusExpiry(t, now),
		}
		if u.Length != nil && *u.Length == p.Received {
			set["completed"] = now
		}
		if p.Hashes.SHA256 != nil {
			set["sha256_state"], set["md5_state"] = p.Hashes.SHA256, p.Hashes.MD5
		}
		done := tx.Model(&models.TusUpload{}).Where("id = ? AND epoch = ? AND received = ?", upload, epoch, p.From).
			Where(receiving, now, now, models.TransferInitialized).Updates(set)
		switch {
		case done.Error != nil:
			return done.Error
		case done.RowsAffected == 0:
			return u.WriterRefusal(epoch, p.From, now)
		}
		p.Segment.UploadID = upload
		err = tx.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "upload_id"}, {Name: "first"}}, DoUpdates: clause.AssignmentColumns([]string{"size", "crc32c"}),
		}).Create(&p.Segment).Error
		if err == nil {
			err = extendLease(tx, upload)
		}
		if err != nil || whole == nil {
			return err
		}
		return transfers.NoteProcessing(tx, *whole)
	})
}

// partFits refuses what makes the parts of a transfer too long together. From its first byte on a part of known length
// counts with all of it, so that need not be asked again.
func partFits(tx *db.Tx, u models.TusUpload, p models.TusProgress) error {
	switch {
	case !u.Part:
		return nil
	case u.Length == nil:
		return fits(tx, u, p.Received)
	case p.From == 0:
		return fits(tx, u, *u.Length)
	}
	return nil
}

// WatchTus tells whether a writer still is the newest, and that it lives; a writer whose commit made the upload complete
// has nothing to fear any more. models.ErrUploadTaken when somebody else writes, ErrUploadGone or ErrAlreadyUploaded when
// nobody may.
func (s *Tus) WatchTus(ctx context.Context, upload uuid.UUID, epoch int64) error {
	return s.db.Transact(ctx, "watch upload", func(tx *db.Tx) error {
		now := tx.Now()
		u, err := tusByID(tx, upload)
		if err != nil {
			return err
		}
		if whole, err := u.MayWrite(epoch); err != nil || whole {
			return err
		}
		var n int64
		err = tx.Model(&models.TusUpload{}).Where("id = ? AND epoch = ?", upload, epoch).
			Where(receiving, now, now, models.TransferInitialized).Count(&n).Error
		if err == nil && n == 0 {
			err = u.GrowthRefusal(u.Received, now)
		}
		if err != nil {
			return err
		}
		return extendLease(tx, upload)
	})
}

// ReleaseTus tells that a writer has ended, which then counts no longer among the uploads of its organisation. Of one that
// was overtaken, or whose upload is about to be staged, nothing is changed.
func (s *Tus) ReleaseTus(ctx context.Context, upload uuid.UUID, epoch int64) error {
	return s.db.Transact(ctx, "release upload", func(tx *db.Tx) error {
		now := tx.Clock()
		return tx.Model(&models.UploadAttempt{}).Where("id = ? AND ended IS NULL AND lease_until > ?", upload, now).
			Where("EXISTS (SELECT 1 FROM tus_uploads u WHERE u.id = upload_attempts.id AND u.epoch = ? AND (u.completed IS NULL OR u.part))", epoch).
			Update("lease_until", now).Error
	})
}

// HoldTus lets the content of a complete upload be staged for a while.
func (s *Tus) HoldTus(ctx context.Context, upload uuid.UUID, lease time.Duration) error {
	return s.db.Transact(ctx, "hold upload", func(tx *db.Tx) error {
		now := tx.Clock()
		done := tx.Model(&models.UploadAttempt{}).
			Where("id = ? AND ended IS NULL AND lease_until < ?", upload, now.Add(lease)).
			Where("EXISTS (SELECT 1 FROM transfers t WHERE t.id = transfer_id AND t.status = ?)", models.TransferInitialized).
			Update("lease_until", now.Add(lease))
		return done.Error
	})
}

// ForgetTusSegments drops what was needed until the content of an upload, or of a final one's parts, was whole.
func (s *Tus) ForgetTusSegments(ctx context.Context, uploads ...uuid.UUID) error {
	return s.db.Transact(ctx, "forget segments", func(tx *db.Tx) error {
		return tx.Delete(&models.TusSegment{}, "upload_id IN ?", uploads).Error
	})
}

// completing locks the transfer of an upload that is whole once it has so many bytes; nil when it is not, or is a part.
// The transfer comes first, as everywhere, and then the upload's row.
func completing(tx *db.Tx, u models.TusUpload, length *int64, received int64) (*models.Transfer, error) {
	if u.Part || length == nil || *length != received {
		return nil, nil //nolint:nilnil // no transfer is what there is to say
	}
	t, err := tx.LockTransfer(u.TransferID)
	return &t, err
}
