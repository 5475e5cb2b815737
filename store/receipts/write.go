package receipts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// Write fixes what must be receipted, in the transaction that does it. The chain's row gives the numbers and stays locked
// until the transaction ends, so they have no gaps. With keys at hand it signs too (SignAtOnce); else signing comes after
// (OutstandingReceipts).
func (s *Receipts) Write(tx *db.Tx, drafts []models.ReceiptDraft) error {
	for len(drafts) > 0 {
		n := 1
		for n < len(drafts) && drafts[n].Transfer == drafts[0].Transfer {
			n++
		}
		if err := s.continueChain(tx, drafts[:n]); err != nil {
			return err
		}
		drafts = drafts[n:]
	}
	return nil
}

// continueChain writes receipts of one transfer behind those that it has.
func (s *Receipts) continueChain(tx *db.Tx, drafts []models.ReceiptDraft) error {
	var chain models.ReceiptChain
	first := drafts[0]
	err := tx.Raw("INSERT INTO receipt_chains (transfer_id, sender, reference_digest, last, signed, head, waiting) VALUES (?, ?, ?, ?, 0, '', ?)"+
		" ON CONFLICT (transfer_id) DO UPDATE SET last = receipt_chains.last + excluded.last, waiting ="+
		" CASE WHEN receipt_chains.signed < receipt_chains.last THEN receipt_chains.waiting ELSE excluded.waiting END RETURNING *",
		first.Transfer, first.Sender, first.ReferenceDigest, len(drafts), tx.Now()).Scan(&chain).Error
	if err != nil {
		return err
	}
	before := chain.Last - len(drafts)
	at, err := lastTime(tx, first.Transfer, before)
	if err != nil {
		return err
	}
	at = db.Later(at, tx.Now())
	for _, d := range drafts { // of what was noted elsewhere, by another clock, none tells before it was
		if d.Occurred != nil {
			at = db.Later(at, *d.Occurred)
		}
	}
	rows := make([]models.ReceiptEntry, len(drafts))
	for i, d := range drafts {
		d.Seq, d.At = before+1+i, at
		if rows[i], err = entry(d); err != nil {
			return err
		}
	}
	if err := tx.CreateInBatches(rows, db.InsertBatch).Error; err != nil {
		return err
	}
	for i, d := range drafts {
		if err := markFacts(tx, d, rows[i].Seq); err != nil {
			return err
		}
	}
	return s.signAtOnce(tx, chain, rows)
}

// lastTime is the time of the receipt at the end of a chain, which none behind it may lie before: replicas' clocks differ.
func lastTime(tx *db.Tx, transfer uuid.UUID, seq int) (time.Time, error) {
	var last []models.ReceiptEntry
	if seq == 0 {
		return time.Time{}, nil
	}
	err := tx.Limit(1).Find(&last, "transfer_id = ? AND seq = ?", transfer, seq).Error
	if err != nil || len(last) == 0 {
		return time.Time{}, err
	}
	var said models.Receipt
	err = json.Unmarshal([]byte(last[0].Entry), &said)
	return said.At, err
}

func entry(d models.ReceiptDraft) (models.ReceiptEntry, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return models.ReceiptEntry{}, fmt.Errorf("make receipt id: %w", err)
	}
	d.ID = id
	raw, err := json.Marshal(d.Receipt)
	return models.ReceiptEntry{TransferID: d.Transfer, Seq: d.Seq, Recipient: d.Recipient, Source: d.Source, Entry: string(raw)}, err
}

// markFacts notes which receipt tells of a fact, so that no other will.
func markFacts(tx *db.Tx, d models.ReceiptDraft, seq int) error {
	for _, of := range []struct {
		model any
		ids   []uuid.UUID
	}{{&models.ContentAccess{}, d.Accesses}, {&models.Statement{}, d.Statements}, {&models.Notification{}, d.Notifications}} {
		for batch := range slices.Chunk(of.ids, db.InsertBatch) {
			if err := tx.Model(of.model).Where("id IN ?", batch).Update("receipt_seq", seq).Error; err != nil {
				return err
			}
		}
	}
	return nil
}

// OutstandingReceipts reads what a transfer's chain has written down and not signed, in order, and where the chain
// stands. An unknown chain has nothing outstanding.
func (s *Receipts) OutstandingReceipts(ctx context.Context, transfer uuid.UUID, limit int) (models.ReceiptChain, []models.ReceiptEntry, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var c models.ReceiptChain
	var out []models.ReceiptEntry
	g := s.db.Read(ctx)
	err := g.Take(&c, "transfer_id = ?", transfer).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return c, nil, nil
	}
	if err == nil && c.Signed < c.Last {
		err = g.Order("seq").Limit(limit).Find(&out, "transfer_id = ? AND seq > ?", transfer, c.Signed).Error
	}
	return c, out, db.Unavailable("read outstanding receipts", err)
}

// InsertReceipts adds signed receipts to a chain that stands where the signer saw it. It reports false, and changes
// nothing, when somebody else signed meanwhile: then theirs are the receipts.
func (s *Receipts) InsertReceipts(ctx context.Context, at models.ReceiptChain, rows []models.SignedReceipt) (inserted bool, err error) {
	err = s.db.Transact(ctx, "insert receipts", func(tx *db.Tx) error {
		inserted, err = insertReceipts(tx, at, rows)
		tx.OnCommit(func() { s.unsigned.Delete(at.TransferID) })
		return err
	})
	return inserted && err == nil, err
}

func insertReceipts(tx *db.Tx, at models.ReceiptChain, rows []models.SignedReceipt) (inserted bool, err error) {
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
	if err := tx.CreateInBatches(rows, db.InsertBatch).Error; err != nil {
		return false, err
	}
	pending := make([]models.LogPending, len(rows))
	for i, r := range rows {
		pending[i] = models.LogPending{
			Kind: models.LeafReceipt, Subject: r.TransferID.String(), Seq: int64(r.Seq), Hash: r.Hash,
			Sender: at.Sender, Recipient: r.Recipient, ReferenceDigest: at.ReferenceDigest,
		}
	}
	return true, tx.CreateInBatches(pending, db.InsertBatch).Error
}

// UnsignedChains names transfers with receipts that nobody has signed yet, the one that waits longest first, but for some.
func (s *Receipts) UnsignedChains(ctx context.Context, without []uuid.UUID, limit int) ([]uuid.UUID, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []uuid.UUID
	err := s.db.Read(ctx).Model(&models.ReceiptChain{}).Where("signed < last AND transfer_id NOT IN ?", orNobody(without)).
		Order("waiting, transfer_id").Limit(limit).Pluck("transfer_id", &out).Error
	return out, db.Unavailable("list unsigned receipts", err)
}
