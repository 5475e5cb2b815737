package receipts

import (
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// Authorized tells that the registry let a transfer begin, by which right, and what its sender signed for it.
func (s *Receipts) Authorized(tx *db.Tx, t models.Transfer, sub models.Submission) (models.ReceiptDraft, error) {
	d := models.NewReceiptDraft(t, models.ReceiptAuthorized)
	d.To, d.Actor = models.NewReceiptParties(sub.Recipients), models.NewReceiptActor(actingFor(sub))
	var err error
	if d.Right, err = s.registry.GrantFor(tx, t.ResourceID, t.Sender, d.Actor, models.ActionSend); err != nil {
		return d, err
	}
	return keepSubmissionProof(tx, d, sub)
}

// actingFor is whose credential sent a submission.
func actingFor(sub models.Submission) models.Caller {
	by := sub.By
	by.Party = sub.Sender.Party
	return by
}

// Accepted tells that the content is stored and verified, and by which right it came.
func (s *Receipts) Accepted(tx *db.Tx, t models.Transfer, c models.StagedContent) (models.ReceiptDraft, error) {
	proofs, err := statementsOf(tx, t.ID, t.Sender, models.StatementSenderProof)
	d := models.NewReceiptDraft(t, models.ReceiptAccepted).WithFile(t)
	if n := len(proofs); n > 0 {
		d = d.WithStatement(&proofs[n-1])
	} else if err == nil {
		d.Claim, err = submissionClaim(tx, t)
	}
	if c.Actor != nil {
		d.Actor = c.Actor
	}
	d.Right = c.Right
	return d, err
}

// Consigned tells of each recipient that the file became visible to it, and by which right.
func (s *Receipts) Consigned(tx *db.Tx, t models.Transfer, to []models.Party) ([]models.ReceiptDraft, error) {
	rights, err := s.registry.GrantsFor(tx, t.ResourceID, to, "", models.ActionReceive)
	out := make([]models.ReceiptDraft, len(to))
	for i, p := range to {
		out[i] = models.NewReceiptDraft(t, models.ReceiptConsigned).WithFile(t)
		out[i].Recipient, out[i].Right = p, rights[p]
	}
	return out, err
}

// Confirmed tells what was handed over to a recipient, and then that it confirmed.
func (s *Receipts) Confirmed(tx *db.Tx, t models.Transfer, p models.Party) ([]models.ReceiptDraft, error) {
	drafts, err := outstandingFacts(tx, t, p)
	if err != nil {
		return nil, err
	}
	said, err := statementsOf(tx, t.ID, p, models.StatementConfirmation)
	if err != nil {
		return nil, err
	}
	d := models.NewReceiptDraft(t, models.ReceiptConfirmed).WithFile(t)
	d.Recipient = p
	drafts = append(drafts, withStatements(d, t, said)...)
	last := &drafts[len(drafts)-1]
	last.Right, err = s.registry.GrantFor(tx, t.ResourceID, p, last.Actor, models.ActionReceive)
	return drafts, err
}

func withStatements(d models.ReceiptDraft, t models.Transfer, said []models.Statement) []models.ReceiptDraft {
	return d.WithStatements(said, func(st *models.Statement) models.ReceiptDraft { return stated(t, st) })
}

// Ended tells how a transfer ended: what is left of its facts, who never confirmed, and the end itself. from is the status
// that it had before.
func (s *Receipts) Ended(tx *db.Tx, t models.Transfer, from models.TransferStatus) ([]models.ReceiptDraft, error) {
	drafts, err := outstandingFacts(tx, t, "")
	if err != nil {
		return nil, err
	}
	switch t.Status {
	case models.TransferCancelled:
		said, err := statementsOf(tx, t.ID, t.Sender, models.StatementCancellation)
		return append(drafts, withStatements(models.NewReceiptDraft(t, models.ReceiptCancelled).WithFile(t), t, said)...), err
	case models.TransferFailed:
		return append(drafts, models.NewReceiptDraft(t, models.ReceiptRefused).WithReason("content-not-accepted", t.StatusText)), nil
	default:
	}
	if from == models.TransferPublished {
		never, err := expired(tx, t)
		if err != nil {
			return nil, err
		}
		drafts = append(drafts, never...)
	}
	return append(drafts, models.NewReceiptDraft(t, models.ReceiptPurged).WithFile(t)), nil
}

// expired tells who never confirmed, and that therefore not all did.
func expired(tx *db.Tx, t models.Transfer) ([]models.ReceiptDraft, error) {
	var never []models.Party
	err := tx.Model(&models.Recipient{}).Where("transfer_id = ? AND delivered IS NOT NULL AND confirmed IS NULL", t.ID).Order("ordinal").Pluck("party", &never).Error
	var out []models.ReceiptDraft
	for _, p := range never {
		d := models.NewReceiptDraft(t, models.ReceiptHandoverFailed).WithFile(t).WithReason("expired", "The recipient did not confirm before the file expired.")
		d.Recipient = p
		out = append(out, d)
	}
	d := models.NewReceiptDraft(t, models.ReceiptExpired).WithFile(t).WithReason("expired", "Not every recipient confirmed before the file expired.")
	return append(out, d), err
}

// discardedSource is the ReceiptEntry.Source of the receipt that a transfer's content was deleted.
const discardedSource = "discarded"

// Discarded tells that the content of a cancelled or failed transfer has been deleted, and whether a receipt said so before.
func (s *Receipts) Discarded(tx *db.Tx, t models.Transfer) (d models.ReceiptDraft, before bool, err error) {
	var n int64
	err = tx.Model(&models.ReceiptEntry{}).Where("transfer_id = ? AND source = ?", t.ID, discardedSource).Count(&n).Error
	d = models.NewReceiptDraft(t, models.ReceiptPurged).WithFile(t)
	d.Source = discardedSource
	return d, n > 0, err
}
