package store

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// signedFor keeps what the sender signed for a submission, and has the receipt of its authorization speak of it.
func signedFor(tx *gorm.DB, d receiptDraft, sub models.Submission) (receiptDraft, error) {
	if sub.Proof == "" {
		return d, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return d, err
	}
	st := models.Statement{
		ID: id, TransferID: d.Transfer, Party: d.Sender, Kind: models.StatementSubmissionProof, SHA256: sub.SHA256, Proof: sub.Proof,
		Actor: *d.Actor, At: d.At, AsSender: true,
	}
	return d.said(&st), tx.Create(&st).Error
}

// submissionClaim is what the sender signed for the submission of a transfer; nil when it did not.
func submissionClaim(tx *gorm.DB, t models.Transfer) (*models.ReceiptClaim, error) {
	var found []models.Statement
	err := tx.Limit(1).Find(&found, "transfer_id = ? AND party = ? AND kind = ?", t.ID, t.Sender, models.StatementSubmissionProof).Error
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0].Claim(), nil
}

// addPayloads tells what proofs of submissions sign. The transfer's row has it, and never changes.
func (s *Store) addPayloads(ctx context.Context, proofs []models.Statement) error {
	for i, p := range proofs {
		if p.Kind != models.StatementSubmissionProof {
			continue
		}
		db := s.read.WithContext(ctx)
		var t models.Transfer
		if err := db.Take(&t, "id = ?", p.TransferID).Error; err != nil {
			return err
		}
		signed := models.SubmissionProof{Reference: t.SendersReference, Sender: t.Sender, Service: t.ResourceID, SHA256: t.DeclaredSHA256}
		if t.IdempotencyKey != nil {
			signed.IdempotencyKey = *t.IdempotencyKey
		}
		err := db.Model(&models.Recipient{}).Where("transfer_id = ?", t.ID).Order("ordinal").Pluck("party", &signed.Recipients).Error
		if err != nil {
			return err
		}
		proofs[i].Payload = string(signed.Payload())
	}
	return nil
}
