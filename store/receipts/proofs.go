package receipts

import (
	"context"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// ProofsOf lists the signatures of a transfer's parties themselves, oldest first: the sender sees all, a recipient its own
// and the sender's, but for one that would name other recipients to it. Only those that a receipt up to a number tells of: with the chain that ReceiptsOf returned, its Signed.
func (s *Receipts) ProofsOf(ctx context.Context, transfer uuid.UUID, viewer models.Party, upTo int) ([]models.Statement, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []models.Statement
	err := s.db.Read(ctx).Order("at, id").Find(&out, "transfer_id = ? AND proof <> '' AND receipt_seq <= ? AND (party = ? OR kind = ? OR EXISTS"+
		" (SELECT 1 FROM transfers t WHERE t.id = statements.transfer_id AND t.sender = ?) OR kind = ? AND"+
		" (SELECT count(*) FROM recipients r WHERE r.transfer_id = statements.transfer_id) = 1)",
		transfer, upTo, viewer, models.StatementSenderProof, viewer, models.StatementSubmissionProof).Error
	if err == nil {
		err = s.addPayloads(ctx, out)
	}
	return out, db.Unavailable("read proofs", err)
}

// keepSubmissionProof keeps what the sender signed for a submission, and has the receipt of its authorization speak of it.
func keepSubmissionProof(tx *db.Tx, d models.ReceiptDraft, sub models.Submission) (models.ReceiptDraft, error) {
	if sub.Proof == "" {
		return d, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return d, err
	}
	st := models.Statement{
		ID: id, TransferID: d.Transfer, Party: d.Sender, Kind: models.StatementSubmissionProof, SHA256: sub.SHA256, Proof: sub.Proof,
		Actor: *d.Actor, At: tx.Now(), AsSender: true,
	}
	return d.WithStatement(&st), tx.Create(&st).Error
}

// submissionClaim is what the sender signed for the submission of a transfer; nil when it did not.
func submissionClaim(tx *db.Tx, t models.Transfer) (*models.ReceiptClaim, error) {
	var found []models.Statement
	err := tx.Limit(1).Find(&found, "transfer_id = ? AND party = ? AND kind = ?", t.ID, t.Sender, models.StatementSubmissionProof).Error
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0].Claim(), nil
}

// addPayloads tells what proofs of submissions sign. The transfer's row has it, and never changes.
func (s *Receipts) addPayloads(ctx context.Context, proofs []models.Statement) error {
	for i, p := range proofs {
		if p.Kind != models.StatementSubmissionProof {
			continue
		}
		g := s.db.Read(ctx)
		var t models.Transfer
		if err := g.Take(&t, "id = ?", p.TransferID).Error; err != nil {
			return err
		}
		signed := models.SubmissionProof{Reference: t.SendersReference, Sender: t.Sender, Service: t.ResourceID, SHA256: t.DeclaredSHA256}
		if t.IdempotencyKey != nil {
			signed.IdempotencyKey = *t.IdempotencyKey
		}
		err := g.Model(&models.Recipient{}).Where("transfer_id = ?", t.ID).Order("ordinal").Pluck("party", &signed.Recipients).Error
		if err != nil {
			return err
		}
		proofs[i].Payload = string(signed.Payload())
	}
	return nil
}
