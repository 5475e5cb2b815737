package transfers

import (
	"context"
	"errors"
	"time"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// AcceptTransfer decides whether the submission may go ahead and, if so, inserts the transfer, its
// recipients and the first event, all in one transaction. The registry is locked meanwhile, so a change of
// rights comes either before the decision or after the insert.
// The refusals are models.ErrNoAccess and the others of Resource.Verdict.
// Safe to repeat by the same run; another run's transfer is reported as a duplicate.
func (s *Transfers) AcceptTransfer(ctx context.Context, sub models.Submission, runID string, uploadWindow time.Duration) (models.Acceptance, error) {
	var accepted models.Acceptance
	err := s.db.Transact(ctx, "accept transfer", func(tx *db.Tx) error {
		q := sub.Question()
		resource, err := s.registry.LockForDecision(tx, sub.ResourceID, q.By)
		if errors.Is(err, models.ErrResourceNotConfigured) {
			return models.ErrNoAccess // as for a closed service (docs/reference/altinn-broker.md 1.2)
		} else if err != nil {
			return err
		}
		known, err := acceptedBefore(tx, sub)
		if err != nil {
			return err
		}
		if known != nil {
			accepted = acceptance(*known, resource, len(sub.Recipients))
			accepted.Duplicate = known.RunID != runID
			return nil
		}
		if err := s.registry.CheckRightLocked(tx, resource, q); err != nil {
			return err
		}
		if err := resource.CheckDeclared(sub.MD5); err != nil {
			return err
		}
		t := sub.Transfer(resource, runID, tx.Now(), uploadWindow)
		accepted = acceptance(t, resource, len(sub.Recipients))
		return s.insert(tx, t, sub)
	})
	return accepted, err
}

// acceptedBefore finds a transfer accepted before under the submission's id; nil when there is none.
func acceptedBefore(tx *db.Tx, sub models.Submission) (*models.Transfer, error) {
	var found []models.Transfer
	err := tx.Limit(1).Find(&found, "id = ?", sub.ID).Error
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

func acceptance(t models.Transfer, r models.Resource, recipients int) models.Acceptance {
	return models.Acceptance{
		Recipients: recipients, UploadDeadline: t.UploadDeadline.UTC(), Expires: t.Expires.UTC(),
		PurgeAfterConfirmed: r.PurgeAfterConfirmed, Grace: r.Grace, Reminders: r.ConfirmationReminders,
	}
}

func (s *Transfers) insert(tx *db.Tx, t models.Transfer, sub models.Submission) error {
	if err := tx.Create(&t).Error; err != nil {
		return err
	}
	if err := tx.CreateInBatches(sub.RecipientRows(t), db.InsertBatch).Error; err != nil {
		return err
	}
	if err := appendHistory(tx, t, step{t.Status, "", t.Created}); err != nil {
		return err
	}
	authorized, err := s.receipts.Authorized(tx, t, sub)
	if err != nil {
		return err
	}
	tx.Receipt(authorized)
	tx.Event(t.NotifySender(models.EventInitialized))
	return nil
}
