package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// receiptDraft is a receipt before it has its number, and the facts that it tells of.
type receiptDraft struct {
	models.Receipt
	source        string
	accesses      []uuid.UUID
	statements    []uuid.UUID
	notifications []uuid.UUID
}

// receiptOf begins a receipt of a transfer.
func receiptOf(t models.Transfer, event models.ReceiptEvent, at time.Time) receiptDraft {
	return receiptDraft{Receipt: models.Receipt{
		Event: event, At: at.UTC(), Transfer: t.ID, Service: t.ResourceID, Sender: t.Sender,
		Reference: models.Shortened(t.SendersReference, models.MaxReceiptText),
	}}
}

// withFile adds the accepted content.
func (d receiptDraft) withFile(t models.Transfer) receiptDraft {
	if t.ContentKey != "" {
		d.File = &models.ReceiptFile{Size: t.ContentSize, SHA256: t.ContentSHA256, MD5: t.ContentMD5}
	}
	return d
}

// writeReceipts fixes what must be receipted, in the transaction that does it. The chain's row gives the numbers and
// stays locked until the transaction ends, so they have no gaps. With keys at hand it signs too (SignAtOnce); else
// signing comes after (OutstandingReceipts).
func writeReceipts(tx *gorm.DB, t models.Transfer, drafts ...receiptDraft) error {
	if len(drafts) == 0 {
		return nil
	}
	var chain models.ReceiptChain
	err := tx.Raw("INSERT INTO receipt_chains (transfer_id, sender, reference_digest, last, signed, head, waiting) VALUES (?, ?, ?, ?, 0, '', ?)"+
		" ON CONFLICT (transfer_id) DO UPDATE SET last = receipt_chains.last + excluded.last, waiting ="+
		" CASE WHEN receipt_chains.signed < receipt_chains.last THEN receipt_chains.waiting ELSE excluded.waiting END RETURNING *",
		t.ID, t.Sender, t.ReferenceDigest, len(drafts), drafts[0].At).Scan(&chain).Error
	if err != nil {
		return err
	}
	rows := make([]models.ReceiptEntry, len(drafts))
	for i, d := range drafts {
		d.Seq = chain.Last - len(drafts) + 1 + i
		if rows[i], err = d.entry(); err != nil {
			return err
		}
	}
	if err := tx.CreateInBatches(rows, insertBatch).Error; err != nil {
		return err
	}
	for i, d := range drafts {
		if err := d.markFacts(tx, rows[i].Seq); err != nil {
			return err
		}
	}
	return signAtOnce(tx, chain, rows)
}

func (d receiptDraft) entry() (models.ReceiptEntry, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return models.ReceiptEntry{}, fmt.Errorf("make receipt id: %w", err)
	}
	d.ID = id
	raw, err := json.Marshal(d.Receipt)
	return models.ReceiptEntry{TransferID: d.Transfer, Seq: d.Seq, Recipient: d.Recipient, Source: d.source, Entry: string(raw)}, err
}

// markFacts notes which receipt tells of a fact, so that no other will.
func (d receiptDraft) markFacts(tx *gorm.DB, seq int) error {
	for _, of := range []struct {
		model any
		ids   []uuid.UUID
	}{{&models.ContentAccess{}, d.accesses}, {&models.Statement{}, d.statements}, {&models.Notification{}, d.notifications}} {
		for ids := of.ids; len(ids) > 0; {
			batch := ids[:min(len(ids), insertBatch)]
			ids = ids[len(batch):]
			if err := tx.Model(of.model).Where("id IN ?", batch).Update("receipt_seq", seq).Error; err != nil {
				return err
			}
		}
	}
	return nil
}

// actingFor is whose credential sent a submission.
func actingFor(sub models.Submission) models.Caller {
	by := sub.By
	by.Party = sub.Sender.Party
	return by
}

// OutstandingReceipts reads what a transfer's chain has written down and not signed, in order, and where the chain
// stands. An unknown chain has nothing outstanding.
func (s *Store) OutstandingReceipts(ctx context.Context, transfer uuid.UUID, limit int) (models.ReceiptChain, []models.ReceiptEntry, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var c models.ReceiptChain
	var out []models.ReceiptEntry
	db := s.read.WithContext(ctx)
	err := db.Take(&c, "transfer_id = ?", transfer).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return c, nil, nil
	}
	if err == nil && c.Signed < c.Last {
		err = db.Order("seq").Limit(limit).Find(&out, "transfer_id = ? AND seq > ?", transfer, c.Signed).Error
	}
	return c, out, unavailable("read outstanding receipts", err)
}

// InsertReceipts adds signed receipts to a chain that stands where the signer saw it. It reports false, and changes
// nothing, when somebody else signed meanwhile: then theirs are the receipts.
func (s *Store) InsertReceipts(ctx context.Context, at models.ReceiptChain, rows []models.SignedReceipt) (inserted bool, err error) {
	err = s.transact(ctx, "insert receipts", func(tx *gorm.DB) error {
		inserted, err = insertReceipts(tx, at, rows)
		return err
	})
	s.unsigned.Delete(at.TransferID)
	return inserted && err == nil, err
}

func insertReceipts(tx *gorm.DB, at models.ReceiptChain, rows []models.SignedReceipt) (inserted bool, err error) {
	last := rows[len(rows)-1]
	moved := tx.Model(&models.ReceiptChain{}).Where("transfer_id = ? AND signed = ? AND head = ?", at.TransferID, at.Signed, at.Head).
		Updates(map[string]any{"signed": last.Seq, "head": last.Hash})
	if moved.Error != nil || moved.RowsAffected == 0 {
		return false, moved.Error
	}
	for i, r := range rows {
		said, err := models.ReadReceipt(r.JWS)
		if err != nil {
			return false, err
		}
		rows[i].At = said.At.UTC()
	}
	if err := tx.CreateInBatches(rows, insertBatch).Error; err != nil {
		return false, err
	}
	pending := make([]models.LogPending, len(rows))
	for i, r := range rows {
		pending[i] = models.LogPending{
			Kind: models.LeafReceipt, Subject: r.TransferID.String(), Seq: int64(r.Seq), Hash: r.Hash,
			Sender: at.Sender, Recipient: r.Recipient, ReferenceDigest: at.ReferenceDigest,
		}
	}
	return true, tx.CreateInBatches(pending, insertBatch).Error
}

// UnsignedChains names transfers with receipts that nobody has signed yet, the one that waits longest first, but for some.
func (s *Store) UnsignedChains(ctx context.Context, without []uuid.UUID, limit int) ([]uuid.UUID, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var out []uuid.UUID
	err := s.read.WithContext(ctx).Model(&models.ReceiptChain{}).Where("signed < last AND transfer_id NOT IN ?", orNobody(without)).
		Order("waiting, transfer_id").Limit(limit).Pluck("transfer_id", &out).Error
	return out, unavailable("list unsigned receipts", err)
}

// ReceiptsOf lists a transfer's receipts after a number, as a party may see them: the sender all, a recipient its own.
// models.ErrTransferNotFound for who takes no part in it. A refused submission has a chain and no transfer.
func (s *Store) ReceiptsOf(ctx context.Context, transfer uuid.UUID, viewer models.Party, after, limit int) (models.ReceiptChain, []models.IssuedReceipt, error) {
	return s.receiptsOf(ctx, transfer, viewer, false, after, limit)
}

// ReceivedReceipts is ReceiptsOf for who may look at what its organisation received, also when that is the sender too.
func (s *Store) ReceivedReceipts(ctx context.Context, transfer uuid.UUID, viewer models.Party, after, limit int) ([]models.IssuedReceipt, error) {
	_, rows, err := s.receiptsOf(ctx, transfer, viewer, true, after, limit)
	return rows, err
}

func (s *Store) receiptsOf(ctx context.Context, transfer uuid.UUID, viewer models.Party, received bool, after, limit int) (models.ReceiptChain, []models.IssuedReceipt, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	db := s.read.WithContext(ctx)
	c, err := chainFor(db, transfer, viewer)
	if err != nil {
		return c, nil, unavailable("read receipts", err)
	}
	var out []models.IssuedReceipt
	own := ""
	args := []any{transfer.String(), transfer, after, c.Signed} // no more than the chain that is returned knows of
	if received || c.Sender != viewer {
		own, args = "AND r.recipient = ? ", append(args, viewer)
	}
	err = db.Raw("SELECT r.*, l.idx AS leaf FROM signed_receipts r LEFT JOIN log_leaves l ON l.kind = 'receipt' AND l.subject = ? AND l.seq = r.seq"+
		" WHERE r.transfer_id = ? AND r.seq > ? AND r.seq <= ? "+own+"ORDER BY r.seq LIMIT ?", append(args, limit)...).Scan(&out).Error
	return c, out, unavailable("read receipts", err)
}

func chainFor(db *gorm.DB, transfer uuid.UUID, viewer models.Party) (models.ReceiptChain, error) {
	var c models.ReceiptChain
	err := db.Take(&c, "transfer_id = ?", transfer).Error
	if err == nil && c.Sender == viewer {
		return c, nil
	}
	if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
		return c, err
	}
	var t models.Transfer // from before there were receipts, or a recipient asks
	if err := db.Take(&t, "id = ?", transfer).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		return c, models.ErrTransferNotFound
	} else if err != nil {
		return c, err
	}
	c.TransferID, c.Sender = t.ID, t.Sender
	if t.Sender == viewer {
		return c, nil
	}
	var r []models.Recipient
	if err := db.Limit(1).Find(&r, "transfer_id = ? AND party = ?", transfer, viewer).Error; err != nil {
		return c, err
	}
	if len(r) == 0 {
		return c, models.ErrTransferNotFound
	}
	return c, nil
}

// ListReceipts lists receipts of all transfers that a party sent or received, in the order of the log. That order has no
// gaps that fill later, so whoever keeps the last place reads each receipt once. Those not logged yet come later.
func (s *Store) ListReceipts(ctx context.Context, q models.ReceiptQuery) ([]models.IssuedReceipt, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	about := ""
	one := []any{q.Caller, q.After}
	if q.Reference != nil {
		about, one = "AND reference_digest = ? ", append(one, models.ReferenceDigest(*q.Reference))
	}
	one = append(one, q.Limit)
	side := func(column string) string {
		return "SELECT * FROM (SELECT idx, subject, seq FROM log_leaves WHERE " + column + " = ? AND " + column + " <> '' AND idx > ? " + about + "ORDER BY idx LIMIT ?) AS " + column
	}
	var out []models.IssuedReceipt
	err := s.read.WithContext(ctx).Raw("SELECT r.*, l.idx AS leaf FROM ("+side("sender")+" UNION "+side("recipient")+") AS l"+
		" JOIN signed_receipts r ON r.transfer_id = "+s.castUUID("l.subject")+" AND r.seq = l.seq ORDER BY l.idx LIMIT ?",
		append(append(append([]any{}, one...), one...), q.Limit)...).Scan(&out).Error
	return out, unavailable("list receipts", err)
}

func (s *Store) castUUID(column string) string {
	if s.dialect == dialectPostgres {
		return column + "::uuid"
	}
	return column
}

// ProofsOf lists the signatures of a transfer's parties themselves, oldest first: the sender sees all, a recipient its own
// and the sender's, but for one that would name other recipients to it. Only those that a receipt up to a number tells of: with the chain that ReceiptsOf returned, its Signed.
func (s *Store) ProofsOf(ctx context.Context, transfer uuid.UUID, viewer models.Party, upTo int) ([]models.Statement, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var out []models.Statement
	err := s.read.WithContext(ctx).Order("at, id").Find(&out, "transfer_id = ? AND proof <> '' AND receipt_seq <= ? AND (party = ? OR kind = ? OR EXISTS"+
		" (SELECT 1 FROM transfers t WHERE t.id = statements.transfer_id AND t.sender = ?) OR kind = ? AND"+
		" (SELECT count(*) FROM recipients r WHERE r.transfer_id = statements.transfer_id) = 1)",
		transfer, upTo, viewer, models.StatementSenderProof, viewer, models.StatementSubmissionProof).Error
	if err == nil {
		err = s.addPayloads(ctx, out)
	}
	return out, unavailable("read proofs", err)
}
