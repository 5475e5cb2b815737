package store

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// AcceptTransfer decides whether the submission may go ahead and, if so, inserts the transfer, its
// recipients and the first event, all in one transaction. The registry is held meanwhile, so a change of
// rights comes either before the decision or after the insert.
// The refusals are models.ErrNoAccess and the others of Resource.Verdict.
// Safe to repeat by the same run; another run's transfer is reported as a duplicate.
func (s *Store) AcceptTransfer(ctx context.Context, sub models.Submission, runID string, uploadWindow time.Duration) (models.Acceptance, error) {
	var accepted models.Acceptance
	err := s.transact(ctx, "accept transfer", func(tx *gorm.DB) error {
		q := sub.Question()
		if err := s.decideIn(tx, sub.ResourceID, q.By); err != nil {
			return err
		}
		resource, err := resource(tx, sub.ResourceID)
		if errors.Is(err, models.ErrResourceNotConfigured) {
			return models.ErrNoAccess // the reference does not tell an unknown service from a closed one
		} else if err != nil {
			return err
		}
		t := newTransfer(sub, resource, runID, s.clock(), uploadWindow)
		known, err := transferOf(tx, sub)
		if err != nil {
			return err
		}
		if known != nil {
			accepted = acceptance(*known, resource, len(sub.Recipients))
			accepted.Duplicate = known.RunID != runID
			return nil
		}
		if err := s.permit(tx, resource, q); err != nil {
			return err
		}
		if err := resource.CheckDeclared(sub.MD5); err != nil {
			return err
		}
		accepted = acceptance(t, resource, len(sub.Recipients))
		return s.insertTransfer(tx, t, sub)
	})
	return accepted, err
}

// transferOf finds a transfer accepted before under the submission's id.
func transferOf(tx *gorm.DB, sub models.Submission) (*models.Transfer, error) {
	var found []models.Transfer
	err := tx.Limit(1).Find(&found, "id = ?", sub.ID).Error
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

func newTransfer(sub models.Submission, r models.Resource, runID string, now time.Time, uploadWindow time.Duration) models.Transfer {
	t := models.Transfer{
		ID: sub.ID, ResourceID: sub.ResourceID, Sender: sub.Sender.Party, SenderAsGiven: sub.Sender.AsGiven,
		SendersReference: sub.SendersReference, ReferenceDigest: models.ReferenceDigest(sub.SendersReference), FileName: sub.FileName, PropertyList: sub.PropertyList,
		DeclaredMD5: sub.MD5, DeclaredSHA256: sub.SHA256, DisableVirusScan: sub.DisableVirusScan,
		RequestHash: sub.RequestHash, RunID: runID, MaxFileSize: r.MaxFileSize, ComputeMD5: r.ComputeMD5,
		Status: models.TransferInitialized, StatusChanged: now, Created: now, Expires: now.Add(r.TimeToLive),
	}
	t.UploadDeadline = now.Add(min(uploadWindow, r.TimeToLive))
	if t.PropertyList == nil {
		t.PropertyList = map[string]string{}
	}
	if sub.IdempotencyKey != "" {
		t.IdempotencyKey = &sub.IdempotencyKey
	}
	return t
}

func acceptance(t models.Transfer, r models.Resource, recipients int) models.Acceptance {
	return models.Acceptance{
		Recipients: recipients, UploadDeadline: t.UploadDeadline.UTC(), Expires: t.Expires.UTC(),
		PurgeAfterConfirmed: r.PurgeAfterConfirmed, Grace: r.Grace, Reminders: r.ConfirmationReminders,
	}
}

// insertBatch keeps one INSERT below the parameter limits of both databases.
const insertBatch = 500

func (s *Store) insertTransfer(tx *gorm.DB, t models.Transfer, sub models.Submission) error {
	to := sub.Recipients
	if err := tx.Create(&t).Error; err != nil {
		return err
	}
	rows := make([]models.Recipient, len(to))
	for i, a := range to {
		rows[i] = models.Recipient{
			TransferID: t.ID, Party: a.Party, AsGiven: a.AsGiven, Ordinal: i, GroupNo: models.GroupOf(i, len(to)),
			ResourceID: t.ResourceID, ReferenceDigest: t.ReferenceDigest, Created: t.Created, TransferStatus: t.Status, TransferStatusChanged: t.Created,
		}
	}
	if err := tx.CreateInBatches(rows, insertBatch).Error; err != nil {
		return err
	}
	if err := appendHistory(tx, t, change{t.Status, "", t.Created}); err != nil {
		return err
	}
	d := receiptOf(t, models.ReceiptAuthorized, t.Created)
	d.To, d.Actor = models.NewReceiptParties(to), models.NewReceiptActor(actingFor(sub))
	var err error
	if d.Right, err = s.permitOf(tx, t.ResourceID, t.Sender, d.Actor, models.ActionSend); err != nil {
		return err
	}
	if d, err = signedFor(tx, d, sub); err != nil {
		return err
	}
	if err := writeReceipts(tx, t, d); err != nil {
		return err
	}
	return appendEvents(tx, t, t.Created, []notice{{t.Sender, models.RoleSender, models.EventInitialized}})
}
