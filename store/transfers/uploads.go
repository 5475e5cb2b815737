package transfers

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// BeginUpload records that an upload attempt runs, for as long as its lease is renewed. An attempt may
// begin before its transfer exists (the file comes first in a form) and is adopted later.
// models.ErrAlreadyUploaded when the transfer no longer awaits content, models.ErrTooManyUploadsOfOne when the
// attempt's organisation has Options.UploadsPerOrganisation of them running already, at whatever replica.
func (s *Transfers) BeginUpload(ctx context.Context, a models.UploadAttempt, lease time.Duration) error {
	return s.db.Transact(ctx, "begin upload", func(tx *db.Tx) error {
		if a.TransferID != nil {
			if err := awaitsContent(tx, *a.TransferID); err != nil {
				return err
			}
		}
		if err := s.MayUploadMore(tx, a.Party, a.ID); err != nil {
			return err
		}
		a.Started = tx.Now()
		a.LeaseUntil = tx.Clock().Add(lease)
		return tx.Create(&a).Error
	})
}

// MayUploadMore counts the leases of an organisation but for the one of an attempt, and locks them so that two
// replicas do not pass together. Those of a process that died count until they have run out.
func (s *Transfers) MayUploadMore(tx *db.Tx, p models.Party, attempt uuid.UUID) error {
	if s.uploads <= 0 || p == "" {
		return nil
	}
	if err := tx.LockAlone(db.UploadsLock(p)); err != nil {
		return err
	}
	var running int64
	err := tx.Model(&models.UploadAttempt{}).Where("party = ? AND ended IS NULL AND lease_until > ? AND id <> ?", p, tx.Clock(), attempt).Count(&running).Error
	if err == nil && running >= int64(s.uploads) {
		return models.ErrTooManyUploadsOfOne.Exceeded(int64(s.uploads), running+1)
	}
	return err
}

// AdoptUpload gives a running attempt to the transfer that it was for.
func (s *Transfers) AdoptUpload(ctx context.Context, attempt, transfer uuid.UUID) error {
	return s.db.Transact(ctx, "adopt upload", func(tx *db.Tx) error {
		if err := awaitsContent(tx, transfer); err != nil {
			return err
		}
		return lostUnless(tx.Model(&models.UploadAttempt{}).
			Where("id = ? AND transfer_id IS NULL AND ended IS NULL AND lease_until > ?", attempt, tx.Clock()).
			Update("transfer_id", transfer))
	})
}

// AbandonedUploads returns attempts that lost their process before they had a transfer, oldest first.
// Their objects belong to nothing; delete them, then EndUpload.
func (s *Transfers) AbandonedUploads(ctx context.Context, limit int) ([]models.UploadAttempt, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var found []models.UploadAttempt
	err := s.db.Read(ctx).Order("started").Limit(limit).
		Find(&found, "transfer_id IS NULL AND ended IS NULL AND lease_until <= ?", s.db.Now()).Error
	return found, db.Unavailable("list abandoned uploads", err)
}

// awaitsContent keeps a transfer waiting for content until the transaction ends, or says that it does not.
func awaitsContent(tx *db.Tx, transfer uuid.UUID) error {
	t, err := tx.ShareTransfer(transfer)
	if err == nil {
		err = models.MayUpload(t.Status)
	}
	return err
}

// RenewLease keeps an attempt alive. models.ErrLeaseLost when it ran out, was ended, or the transfer no
// longer awaits content: the attempt must stop, because its content can no longer be staged.
func (s *Transfers) RenewLease(ctx context.Context, attempt uuid.UUID, lease time.Duration) error {
	return s.db.Transact(ctx, "renew lease", func(tx *db.Tx) error {
		now := tx.Clock()
		done := tx.Model(&models.UploadAttempt{}).
			Where("id = ? AND ended IS NULL AND lease_until > ?", attempt, now).
			Where("(transfer_id IS NULL OR EXISTS (SELECT 1 FROM transfers t WHERE t.id = transfer_id AND t.status = ?))", models.TransferInitialized).
			Update("lease_until", now.Add(lease))
		return lostUnless(done)
	})
}

// EndUpload records that an attempt was given up. Safe to repeat.
func (s *Transfers) EndUpload(ctx context.Context, attempt uuid.UUID) error {
	return s.db.Transact(ctx, "end upload", func(tx *db.Tx) error {
		return tx.Model(&models.UploadAttempt{}).Where("id = ? AND ended IS NULL", attempt).Update("ended", tx.Now()).Error
	})
}

// StageContent records that the bytes of a running attempt are durable, and tells the sender. Its right is checked again
// in the same transaction: whoever lost it meanwhile is refused as models.Resource.Verdict says.
// models.ErrLeaseLost when the attempt no longer runs, ErrAlreadyUploaded when the transfer no longer
// awaits content, or another attempt was staged first: two must not both be told that theirs is the file.
func (s *Transfers) StageContent(ctx context.Context, transfer, attempt uuid.UUID, c models.Content, by models.Caller) error {
	return s.db.Transact(ctx, "stage content", func(tx *db.Tx) error {
		t, err := AwaitsFirstContent(tx, transfer)
		if err != nil {
			return err
		}
		if err := s.registry.CheckRightIn(tx, t.ResourceID, models.Question{Action: models.ActionUpload, From: t.Sender, By: by}); err != nil {
			return err
		}
		// the update takes the attempt's row, so that nobody can end it meanwhile
		running := tx.Model(&models.UploadAttempt{}).
			Where("id = ? AND transfer_id = ? AND ended IS NULL AND lease_until > ?", attempt, transfer, tx.Clock()).
			Update("lease_until", tx.Clock())
		if err := lostUnless(running); err != nil {
			return err
		}
		actor := models.NewReceiptActor(by)
		right, err := s.registry.GrantFor(tx, t.ResourceID, t.Sender, actor, models.ActionUpload)
		if err != nil {
			return err
		}
		if !t.ComputeMD5 {
			c.MD5 = "" // whoever computed one did not know yet
		}
		err = tx.Create(&models.StagedContent{
			Actor: actor, Right: right,
			AttemptID: attempt, TransferID: transfer, Generation: c.Generation, Size: c.Size,
			MD5: c.MD5, SHA256: c.SHA256, CRC32C: c.CRC32C, Staged: tx.Now(),
		}).Error
		if err != nil {
			return err
		}
		return NoteProcessing(tx, t)
	})
}

// AwaitsFirstContent keeps everybody else from staging until the transaction ends, or says that somebody did.
func AwaitsFirstContent(tx *db.Tx, transfer uuid.UUID) (models.Transfer, error) {
	t, err := tx.LockTransfer(transfer)
	if err != nil {
		return t, err
	}
	var staged []models.StagedContent
	err = tx.Limit(1).Find(&staged, "transfer_id = ?", transfer).Error
	if err == nil {
		err = models.MayStage(t.Status, len(staged) > 0)
	}
	return t, err
}

func lostUnless(done *gorm.DB) error {
	if done.Error == nil && done.RowsAffected == 0 {
		return models.ErrLeaseLost
	}
	return done.Error
}

// Staged returns the staged content of an attempt, with the transfer's declared checksums beside it.
// models.ErrNoFileYet when the attempt has none.
func (s *Transfers) Staged(ctx context.Context, transfer, attempt uuid.UUID) (models.Transfer, models.Content, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var t models.Transfer
	var c models.StagedContent
	g := s.db.Read(ctx)
	err := g.Take(&t, "id = ?", transfer).Error
	if err == nil {
		err = g.Take(&c, "attempt_id = ? AND transfer_id = ?", attempt, transfer).Error
	}
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = models.ErrNoFileYet
	}
	return t, models.Content{
		Key: models.AttemptKey(transfer, attempt), Generation: c.Generation, Size: c.Size,
		MD5: c.MD5, SHA256: c.SHA256, CRC32C: c.CRC32C,
	}, db.Unavailable("read staged content", err)
}

// UploadFacts tells of a transfer's attempts: the first one staged, if any, and until when one may
// still run; the zero time when none runs.
func (s *Transfers) UploadFacts(ctx context.Context, transfer uuid.UUID) (staged *uuid.UUID, runningUntil time.Time, err error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	g := s.db.Read(ctx)
	var contents []models.StagedContent
	if err := g.Order("staged").Limit(1).Find(&contents, "transfer_id = ?", transfer).Error; err != nil {
		return nil, time.Time{}, db.Unavailable("read uploads", err)
	}
	if len(contents) > 0 {
		staged = &contents[0].AttemptID
	}
	var running []models.UploadAttempt
	now := s.db.Now()
	err = g.Order("lease_until DESC").Limit(1).
		Find(&running, "transfer_id = ? AND ended IS NULL AND lease_until > ?", transfer, now).Error
	if err == nil && len(running) > 0 {
		runningUntil = running[0].LeaseUntil
	}
	// an upload in several requests runs between them too, for a transfer that it can still be for
	var open []models.TusUpload
	if err == nil {
		err = g.Order("expires DESC").Limit(1).
			Where("transfer_id = ? AND ended IS NULL AND expires > ?", transfer, now).
			Where("EXISTS (SELECT 1 FROM transfers t WHERE t.id = transfer_id AND t.status = ?)", models.TransferInitialized).
			Find(&open).Error
	}
	if len(open) > 0 && open[0].Expires.After(runningUntil) {
		runningUntil = open[0].Expires
	}
	return staged, runningUntil, db.Unavailable("read uploads", err)
}

// StagedAttempt returns the first staged attempt of a transfer, or with a key the one that the client's
// Idempotency-Key named before; nil when there is none.
func (s *Transfers) StagedAttempt(ctx context.Context, transfer uuid.UUID, idempotencyKey string) (*uuid.UUID, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	g := s.db.Read(ctx).Where("transfer_id = ?", transfer).
		Where("EXISTS (SELECT 1 FROM staged_contents c WHERE c.attempt_id = upload_attempts.id)")
	if idempotencyKey != "" {
		g = g.Where("idempotency_key = ?", idempotencyKey)
	}
	var found []models.UploadAttempt
	err := g.Order("started").Limit(1).Find(&found).Error
	if err != nil || len(found) == 0 {
		return nil, db.Unavailable("find upload", err)
	}
	return &found[0].ID, nil
}
