package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// facts is what the data plane says about a transfer that has no content yet.
type facts struct {
	UploadStarted *time.Time // of the first attempt
	Staged        *time.Time // of the first staged content
	Received      *time.Time // of the last byte of an upload in several requests that is not staged yet
}

func factsOf(tx *gorm.DB, id uuid.UUID) (facts, error) {
	f, err := beginningOf(tx, id)
	if err != nil || f.UploadStarted == nil {
		return f, err
	}
	var staged []models.StagedContent
	if err := tx.Order("staged").Limit(1).Find(&staged, "transfer_id = ?", id).Error; err != nil {
		return f, err
	}
	if len(staged) > 0 {
		f.Staged = &staged[0].Staged
		return f, nil
	}
	var received []models.TusUpload
	err = tx.Limit(1).Find(&received, "transfer_id = ? AND NOT part AND ended IS NULL AND completed IS NOT NULL", id).Error
	if len(received) > 0 {
		f.Received = received[0].Completed
	}
	return f, err
}

// beginningOf are the facts without those about content.
func beginningOf(tx *gorm.DB, id uuid.UUID) (f facts, err error) {
	var attempts []models.UploadAttempt
	err = tx.Order("started").Limit(1).Find(&attempts, "transfer_id = ?", id).Error
	if len(attempts) > 0 {
		f.UploadStarted = &attempts[0].Started
	}
	return f, err
}

// effective is the status that parties see, and since when.
func (f facts) effective(t models.Transfer) (models.TransferStatus, time.Time) {
	switch {
	case t.Status != models.TransferInitialized:
		return t.Status, t.StatusChanged
	case f.Staged != nil:
		return models.TransferUploadProcessing, *f.Staged
	case f.Received != nil:
		return models.TransferUploadProcessing, *f.Received
	case f.UploadStarted != nil:
		return models.TransferUploadStarted, *f.UploadStarted
	}
	return t.Status, t.StatusChanged
}

// BeginUpload records that an upload attempt runs, for as long as its lease is renewed. An attempt may
// begin before its transfer exists (the file comes first in a form) and is adopted later.
// models.ErrAlreadyUploaded when the transfer no longer awaits content, models.ErrTooManyUploadsOfOne when the
// attempt's organisation has Options.UploadsPerOrganisation of them running already, at whatever replica.
func (s *Store) BeginUpload(ctx context.Context, a models.UploadAttempt, lease time.Duration) error {
	return s.transact(ctx, "begin upload", func(tx *gorm.DB) error {
		if a.TransferID != nil {
			if err := awaitsContent(tx, *a.TransferID); err != nil {
				return err
			}
		}
		if err := s.mayUploadMore(tx, a.Party, a.ID); err != nil {
			return err
		}
		a.Started = s.clock()
		a.LeaseUntil = a.Started.Add(lease)
		return tx.Create(&a).Error
	})
}

// mayUploadMore counts the leases of an organisation but for the one of an attempt, and holds the organisation so that two
// replicas do not pass together. Those of a process that died count until they have run out.
func (s *Store) mayUploadMore(tx *gorm.DB, p models.Party, attempt uuid.UUID) error {
	if s.uploads <= 0 || p == "" {
		return nil
	}
	if err := s.alone(tx, "uploads/"+string(p)); err != nil {
		return err
	}
	var running int64
	err := tx.Model(&models.UploadAttempt{}).Where("party = ? AND ended IS NULL AND lease_until > ? AND id <> ?", p, s.clock(), attempt).Count(&running).Error
	if err == nil && running >= int64(s.uploads) {
		return models.ErrTooManyUploadsOfOne.Exceeded(int64(s.uploads), running+1)
	}
	return err
}

// AdoptUpload gives a running attempt to the transfer that it was for.
func (s *Store) AdoptUpload(ctx context.Context, attempt, transfer uuid.UUID) error {
	return s.transact(ctx, "adopt upload", func(tx *gorm.DB) error {
		if err := awaitsContent(tx, transfer); err != nil {
			return err
		}
		return lostUnless(tx.Model(&models.UploadAttempt{}).
			Where("id = ? AND transfer_id IS NULL AND ended IS NULL AND lease_until > ?", attempt, s.clock()).
			Update("transfer_id", transfer))
	})
}

// AbandonedUploads returns attempts that lost their process before they had a transfer, oldest first.
// Their objects belong to nothing; delete them, then EndUpload.
func (s *Store) AbandonedUploads(ctx context.Context, limit int) ([]models.UploadAttempt, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var found []models.UploadAttempt
	err := s.read.WithContext(ctx).Order("started").Limit(limit).
		Find(&found, "transfer_id IS NULL AND ended IS NULL AND lease_until <= ?", s.clock()).Error
	return found, unavailable("list abandoned uploads", err)
}

// awaitsContent keeps a transfer waiting for content until the transaction ends, or says that it does not.
func awaitsContent(tx *gorm.DB, transfer uuid.UUID) error {
	t, err := shareTransfer(tx, transfer)
	if err == nil && t.Status != models.TransferInitialized {
		return models.ErrAlreadyUploaded
	}
	return err
}

// RenewLease keeps an attempt alive. models.ErrLeaseLost when it ran out, was ended, or the transfer no
// longer awaits content: the attempt must stop, because its content can no longer be staged.
func (s *Store) RenewLease(ctx context.Context, attempt uuid.UUID, lease time.Duration) error {
	return s.transact(ctx, "renew lease", func(tx *gorm.DB) error {
		now := s.clock()
		done := tx.Model(&models.UploadAttempt{}).
			Where("id = ? AND ended IS NULL AND lease_until > ?", attempt, now).
			Where("(transfer_id IS NULL OR EXISTS (SELECT 1 FROM transfers t WHERE t.id = transfer_id AND t.status = ?))", models.TransferInitialized).
			Update("lease_until", now.Add(lease))
		return lostUnless(done)
	})
}

// EndUpload records that an attempt was given up. Safe to repeat.
func (s *Store) EndUpload(ctx context.Context, attempt uuid.UUID) error {
	return s.transact(ctx, "end upload", func(tx *gorm.DB) error {
		return tx.Model(&models.UploadAttempt{}).Where("id = ? AND ended IS NULL", attempt).Update("ended", s.clock()).Error
	})
}

// StageContent records that the bytes of a running attempt are durable, and tells the sender. Its right is checked again
// in the same transaction: whoever lost it meanwhile is refused as models.Resource.Verdict says.
// models.ErrLeaseLost when the attempt no longer runs, ErrAlreadyUploaded when the transfer no longer
// awaits content, or another attempt was staged first: two must not both be told that theirs is the file.
func (s *Store) StageContent(ctx context.Context, transfer, attempt uuid.UUID, c models.Content, by models.Caller) error {
	return s.transact(ctx, "stage content", func(tx *gorm.DB) error {
		t, err := awaitsFirstContent(tx, transfer)
		if err != nil {
			return err
		}
		if err := s.permitHeld(tx, t.ResourceID, models.Question{Action: models.ActionUpload, From: t.Sender, By: by}); err != nil {
			return err
		}
		now := s.clock()
		// the update takes the attempt's row, so that nobody can end it meanwhile
		running := tx.Model(&models.UploadAttempt{}).
			Where("id = ? AND transfer_id = ? AND ended IS NULL AND lease_until > ?", attempt, transfer, now).
			Update("lease_until", now)
		if err := lostUnless(running); err != nil {
			return err
		}
		actor := models.NewReceiptActor(by)
		permit, err := s.permitOf(tx, t.ResourceID, t.Sender, actor, models.ActionUpload)
		if err != nil {
			return err
		}
		if !t.ComputeMD5 {
			c.MD5 = "" // whoever computed one did not know yet
		}
		err = tx.Create(&models.StagedContent{
			Actor: actor, Permit: permit,
			AttemptID: attempt, TransferID: transfer, Generation: c.Generation, Size: c.Size,
			MD5: c.MD5, SHA256: c.SHA256, CRC32C: c.CRC32C, Staged: now,
		}).Error
		if err != nil {
			return err
		}
		return noteProcessing(tx, t, now)
	})
}

// awaitsFirstContent keeps everybody else from staging until the transaction ends, or says that somebody did.
func awaitsFirstContent(tx *gorm.DB, transfer uuid.UUID) (models.Transfer, error) {
	t, err := lockTransfer(tx, transfer)
	if err != nil {
		return t, err
	}
	var staged []models.StagedContent
	err = tx.Limit(1).Find(&staged, "transfer_id = ?", transfer).Error
	if err == nil && (t.Status != models.TransferInitialized || len(staged) > 0) {
		err = models.ErrAlreadyUploaded
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
func (s *Store) Staged(ctx context.Context, transfer, attempt uuid.UUID) (models.Transfer, models.Content, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var t models.Transfer
	var c models.StagedContent
	db := s.read.WithContext(ctx)
	err := db.Take(&t, "id = ?", transfer).Error
	if err == nil {
		err = db.Take(&c, "attempt_id = ? AND transfer_id = ?", attempt, transfer).Error
	}
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = models.ErrNoFileYet
	}
	return t, models.Content{
		Key: models.AttemptKey(transfer, attempt), Generation: c.Generation, Size: c.Size,
		MD5: c.MD5, SHA256: c.SHA256, CRC32C: c.CRC32C,
	}, unavailable("read staged content", err)
}

// UploadFacts tells of a transfer's attempts: the first one staged, if any, and until when one may
// still run; the zero time when none runs.
func (s *Store) UploadFacts(ctx context.Context, transfer uuid.UUID) (staged *uuid.UUID, runningUntil time.Time, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	db := s.read.WithContext(ctx)
	var contents []models.StagedContent
	if err := db.Order("staged").Limit(1).Find(&contents, "transfer_id = ?", transfer).Error; err != nil {
		return nil, time.Time{}, unavailable("read uploads", err)
	}
	if len(contents) > 0 {
		staged = &contents[0].AttemptID
	}
	var running []models.UploadAttempt
	now := s.clock()
	err = db.Order("lease_until DESC").Limit(1).
		Find(&running, "transfer_id = ? AND ended IS NULL AND lease_until > ?", transfer, now).Error
	if err == nil && len(running) > 0 {
		runningUntil = running[0].LeaseUntil
	}
	// an upload in several requests runs between them too, for a transfer that it can still be for
	var open []models.TusUpload
	if err == nil {
		err = db.Order("expires DESC").Limit(1).
			Where("transfer_id = ? AND ended IS NULL AND expires > ?", transfer, now).
			Where("EXISTS (SELECT 1 FROM transfers t WHERE t.id = transfer_id AND t.status = ?)", models.TransferInitialized).
			Find(&open).Error
	}
	if len(open) > 0 && open[0].Expires.After(runningUntil) {
		runningUntil = open[0].Expires
	}
	return staged, runningUntil, unavailable("read uploads", err)
}

// StagedAttempt returns the first staged attempt of a transfer, or with a key the one that the client's
// Idempotency-Key named before; nil when there is none.
func (s *Store) StagedAttempt(ctx context.Context, transfer uuid.UUID, idempotencyKey string) (*uuid.UUID, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	db := s.read.WithContext(ctx).Where("transfer_id = ?", transfer).
		Where("EXISTS (SELECT 1 FROM staged_contents c WHERE c.attempt_id = upload_attempts.id)")
	if idempotencyKey != "" {
		db = db.Where("idempotency_key = ?", idempotencyKey)
	}
	var found []models.UploadAttempt
	err := db.Order("started").Limit(1).Find(&found).Error
	if err != nil || len(found) == 0 {
		return nil, unavailable("find upload", err)
	}
	return &found[0].ID, nil
}

// BeginAccess records that bytes are about to be served to a recipient. models.ErrNotReadyForDownload
// when the file is not there for it, and the refusals of models.Resource.Verdict when it may no longer receive.
// It excludes cancelling, purging and the loss of the right at the same moment.
func (s *Store) BeginAccess(ctx context.Context, transfer uuid.UUID, by models.Caller, first, length int64) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return id, err
	}
	return id, s.transact(ctx, "begin download", func(tx *gorm.DB) error {
		t, err := shareTransfer(tx, transfer)
		if err != nil {
			return err
		}
		if !t.Status.Downloadable() {
			return models.ErrNotReadyForDownload
		}
		if err := s.permitHeld(tx, t.ResourceID, models.Question{Action: models.ActionReceive, From: t.Sender, By: by}); err != nil {
			return err
		}
		actor := models.NewReceiptActor(by)
		permit, err := s.permitOf(tx, t.ResourceID, by.Party, actor, models.ActionReceive)
		if err != nil {
			return err
		}
		return tx.Create(&models.ContentAccess{
			Actor: actor, Permit: permit,
			ID: id, TransferID: transfer, Party: by.Party, FirstByte: first, Length: length, Started: s.clock(),
		}).Error
	})
}

// shareTransfer reads a transfer and keeps it from being changed until the transaction ends.
func shareTransfer(tx *gorm.DB, id uuid.UUID) (models.Transfer, error) {
	var t models.Transfer
	err := tx.Clauses(clause.Locking{Strength: "SHARE"}).Take(&t, "id = ?", id).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return t, models.ErrTransferNotFound
	}
	return t, err
}

func anyAccess(tx *gorm.DB) (bool, error) {
	var found []models.ContentAccess
	err := tx.Limit(1).Find(&found).Error
	return len(found) > 0, err
}
