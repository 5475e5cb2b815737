package tus

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/transfers"
)

// OpenTus opens an upload in several requests, u saying of which transfer, who, how long and whether it is a part.
// Opening again what is open already, with nothing different, returns what is there; an upload that has no byte
// yet gives way to a new one. models.ErrUploadOpen when another one has some, ErrAlreadyUploaded when the transfer
// no longer awaits content, ErrFileTooLarge when the parts of the transfer are too long together, and the refusals
// of models.Resource.Verdict.
func (s *Tus) OpenTus(ctx context.Context, u models.TusUpload) (models.TusUpload, error) {
	err := s.db.Transact(ctx, "open upload", func(tx *db.Tx) error {
		t, err := s.maySend(tx, u)
		if err != nil {
			return err
		}
		if u.Part {
			err = numberPart(tx, t, &u)
		} else {
			var found *models.TusUpload
			if found, err = giveWay(tx, u); found != nil {
				u = *found
				return nil
			}
		}
		if err != nil {
			return err
		}
		if now := tx.Now(); u.Length != nil && *u.Length == 0 {
			u.Completed = &now
		}
		return insertTus(tx, t, &u)
	})
	return u, err
}

// maySend locks the transfer of an upload, if it awaits its first content and the caller may upload it.
func (s *Tus) maySend(tx *db.Tx, u models.TusUpload) (models.Transfer, error) {
	t, err := transfers.AwaitsFirstContent(tx, u.TransferID)
	if err != nil {
		return t, err
	}
	return t, s.registry.CheckRightIn(tx, t.ResourceID, models.Question{Action: models.ActionUpload, From: t.Sender, By: u.OpenedBy})
}

// insertTus writes an upload of a locked transfer and its attempt.
func insertTus(tx *db.Tx, t models.Transfer, u *models.TusUpload) error {
	now := tx.Now()
	u.Opened, u.Expires = now, tusExpiry(t, now)
	if u.Joins == nil {
		u.Joins = []uuid.UUID{}
	}
	if u.SHA256State == nil {
		u.SHA256State, u.MD5State = []byte{}, []byte{}
	}
	err := tx.Create(&models.UploadAttempt{
		ID: u.ID, TransferID: &u.TransferID, Party: u.OpenedBy.Party, ObjectKey: models.AttemptKey(u.TransferID, u.ID), Started: now, LeaseUntil: tx.Clock(),
		Actor: models.NewReceiptActor(u.OpenedBy),
	}).Error
	if err == nil {
		err = tx.Create(u).Error
	}
	if err != nil || u.Completed == nil || u.Part {
		return err
	}
	return transfers.NoteProcessing(tx, t)
}

// tusExpiry is when an upload that was touched now expires: never after its transfer.
func tusExpiry(t models.Transfer, now time.Time) time.Time {
	if at := now.Add(models.TusLife); at.Before(t.Expires) {
		return at
	}
	return t.Expires
}

// giveWay finds the open upload of a locked transfer that u asks for again, or ends one that may go.
func giveWay(tx *db.Tx, u models.TusUpload) (*models.TusUpload, error) {
	var open []models.TusUpload
	if err := tx.Find(&open, "transfer_id = ? AND NOT part AND ended IS NULL", u.TransferID).Error; err != nil || len(open) == 0 {
		return nil, err
	}
	have := open[0]
	if same, err := have.GiveWay(u, tx.Now()); same {
		return &have, nil
	} else if err != nil {
		return nil, err
	}
	return nil, endTus(tx, have.ID)
}

// numberPart gives a part of a locked transfer its number, unless there are too many or they are too long together.
func numberPart(tx *db.Tx, t models.Transfer, u *models.TusUpload) error {
	var sum struct {
		Newest int
		Open   int64
	}
	err := tx.Raw(`SELECT coalesce(max(number), 0) AS newest,
			coalesce(sum(CASE WHEN ended IS NULL THEN 1 ELSE 0 END), 0) AS open
		FROM tus_uploads WHERE transfer_id = @transfer AND part`, map[string]any{"transfer": t.ID}).Scan(&sum).Error
	if err != nil {
		return err
	}
	bytes, err := partBytes(tx, t.ID, u.ID)
	if err != nil {
		return err
	}
	if u.Length != nil {
		bytes += *u.Length
	}
	switch {
	case sum.Open >= models.MaxTusParts:
		return models.ErrQuota("parallel parts of a file", models.MaxTusParts, sum.Open+1)
	case bytes > t.MaxFileSize:
		return models.ErrFileTooLarge.Exceeded(t.MaxFileSize, bytes)
	}
	u.Number = sum.Newest + 1
	return placePart(tx, t, u)
}

// TusOf returns the upload of a transfer, or with part not nil one of its parts; the last one that was ended, if
// none is open. models.ErrUploadUnknown when there is none.
func (s *Tus) TusOf(ctx context.Context, transfer uuid.UUID, part *uuid.UUID) (models.TusUpload, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	g := s.db.Read(ctx)
	var u models.TusUpload
	var err error
	if part != nil {
		if err = g.Take(&u, "transfer_id = ? AND id = ? AND part", transfer, *part).Error; err == nil {
			err = together(g, &u)
		}
	} else {
		err = g.Order("CASE WHEN ended IS NULL THEN 0 ELSE 1 END").Order("opened DESC").Take(&u, "transfer_id = ? AND NOT part", transfer).Error
	}
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return u, models.ErrUploadUnknown
	}
	return u, db.Unavailable("read upload", err)
}

// LastTusSegment returns the segment at the end of an upload; none when it has no byte.
func (s *Tus) LastTusSegment(ctx context.Context, upload uuid.UUID) ([]models.TusSegment, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []models.TusSegment
	err := s.db.Read(ctx).Order("first DESC").Limit(1).Find(&out, "upload_id = ?", upload).Error
	return out, db.Unavailable("read segment", err)
}

// TusSegments returns all segments of uploads, one upload after the other.
func (s *Tus) TusSegments(ctx context.Context, uploads ...uuid.UUID) ([]models.TusSegment, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []models.TusSegment
	for _, id := range uploads {
		var some []models.TusSegment
		if err := s.db.Read(ctx).Order("first").Find(&some, "upload_id = ?", id).Error; err != nil {
			return nil, db.Unavailable("read segments", err)
		}
		out = append(out, some...)
	}
	return out, nil
}

// OpenedBefore tells whether an upload of a transfer of this sender is open that was opened before a moment.
func (s *Tus) OpenedBefore(ctx context.Context, transfer uuid.UUID, sender models.Party, at time.Time) (bool, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var found []models.TusUpload
	err := s.db.Read(ctx).Limit(1).
		Where("transfer_id = ? AND ended IS NULL AND opened < ? AND (expires > ? OR completed IS NOT NULL)", transfer, at.UTC(), s.db.Now()).
		Where("EXISTS (SELECT 1 FROM transfers t WHERE t.id = transfer_id AND t.sender = ?)", sender).Find(&found).Error
	return len(found) > 0, db.Unavailable("look for open upload", err)
}

// EndTus gives an upload up. models.ErrAlreadyUploaded when all of its bytes came and it is no part: then it is no
// longer its sender's to take back, but the transfer is, by cancelling; likewise of a part that such an upload joins.
// Safe to repeat.
func (s *Tus) EndTus(ctx context.Context, upload uuid.UUID) error {
	return s.db.Transact(ctx, "end upload", func(tx *db.Tx) error {
		var u models.TusUpload
		if err := tx.Take(&u, "id = ?", upload).Error; err != nil {
			return err
		}
		if err := u.MayEnd(); err != nil {
			return err
		}
		if err := notJoined(tx, u); err != nil {
			return err
		}
		return endTus(tx, upload)
	})
}

// RejectTus gives an upload up whose bytes all came, but may not be staged, and the parts that it joined: after it
// nobody can stage them, and another upload may begin. An upload that has expired goes likewise.
// models.ErrAlreadyUploaded when somebody has staged it, or it is a part that is to become the content. Safe to repeat.
func (s *Tus) RejectTus(ctx context.Context, upload uuid.UUID) error {
	return s.db.Transact(ctx, "reject upload", func(tx *db.Tx) error {
		var u models.TusUpload
		if err := tx.Take(&u, "id = ?", upload).Error; err != nil {
			return err
		}
		if err := notJoined(tx, u); err != nil {
			return err
		}
		// this takes the attempt's row, as staging does: one of the two comes first
		for _, id := range append([]uuid.UUID{upload}, u.Joins...) {
			if err := endTus(tx, id); err != nil {
				return err
			}
		}
		var staged int64
		err := tx.Model(&models.StagedContent{}).Where("attempt_id = ?", upload).Count(&staged).Error
		if err == nil && staged > 0 {
			err = models.ErrAlreadyUploaded
		}
		return err
	})
}

func endTus(tx *db.Tx, upload uuid.UUID) error {
	now := tx.Now()
	err := tx.Model(&models.TusUpload{}).Where("id = ? AND ended IS NULL", upload).
		Updates(map[string]any{"ended": now, "epoch": gorm.Expr("epoch + 1")}).Error
	if err != nil {
		return err
	}
	if err := tx.Delete(&models.TusSegment{}, "upload_id = ?", upload).Error; err != nil {
		return err
	}
	return tx.Model(&models.UploadAttempt{}).Where("id = ? AND ended IS NULL", upload).Update("ended", now).Error
}
