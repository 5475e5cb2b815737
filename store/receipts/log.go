package receipts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// AssignLeaves gives the next places in the log to receipts that have none, and to the heads of the registry's audit
// that moved on since they were logged; at most limit of each. It reports how many.
func (s *Receipts) AssignLeaves(ctx context.Context, limit int) (assigned int, err error) {
	err = s.db.Transact(ctx, "assign leaves", func(tx *db.Tx) error {
		var size int64 // whoever holds this row alone assigns
		if err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Table("log_states").Where("id = 1").Pluck("size", &size).Error; err != nil {
			return err
		}
		var pending []models.LogPending
		if err := tx.Order("kind, subject, seq").Limit(limit).Find(&pending).Error; err != nil {
			return err
		}
		heads, err := movedHeads(tx, limit)
		if err != nil {
			return err
		}
		all := slices.Concat(pending, heads)
		if assigned = len(all); assigned == 0 {
			return nil
		}
		leaves := make([]models.LogLeaf, len(all))
		for i, p := range all {
			leaves[i] = models.LogLeaf{
				Index: size + int64(i), Kind: p.Kind, Subject: p.Subject, Seq: p.Seq, Hash: p.Hash,
				Sender: p.Sender, Recipient: p.Recipient, ReferenceDigest: p.ReferenceDigest,
			}
		}
		if err := tx.CreateInBatches(leaves, db.InsertBatch).Error; err != nil {
			return err
		}
		if err := forgetPending(tx, pending, heads); err != nil {
			return err
		}
		return tx.Exec("UPDATE log_states SET size = ? WHERE id = 1", size+int64(assigned)).Error
	})
	if err != nil {
		return 0, err
	}
	return assigned, nil
}

// movedHeads are the audit's heads that no leaf stands for.
func movedHeads(tx *db.Tx, limit int) ([]models.LogPending, error) {
	var out []models.LogPending
	err := tx.Raw("SELECT 'audit' AS kind, h.chain AS subject, h.seq, h.hash FROM audit_heads h LEFT JOIN log_audits l ON l.chain = h.chain"+
		" WHERE h.seq > coalesce(l.seq, 0) ORDER BY h.chain LIMIT ?", limit).Scan(&out).Error
	return out, err
}

func forgetPending(tx *db.Tx, receipts, heads []models.LogPending) error {
	for len(receipts) > 0 {
		batch := receipts[:min(len(receipts), db.InsertBatch)]
		receipts = receipts[len(batch):]
		keys := make([][]any, len(batch))
		for i, p := range batch {
			keys[i] = []any{p.Kind, p.Subject, p.Seq}
		}
		if err := tx.Where("(kind, subject, seq) IN ?", keys).Delete(&models.LogPending{}).Error; err != nil {
			return err
		}
	}
	for _, h := range heads {
		err := tx.Exec("INSERT INTO log_audits (chain, seq) VALUES (?, ?) ON CONFLICT (chain) DO UPDATE SET seq = excluded.seq", h.Subject, h.Seq).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// Leaves lists leaves of the log from a place, in order.
func (s *Receipts) Leaves(ctx context.Context, from int64, limit int) ([]models.LogLeaf, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []models.LogLeaf
	err := s.db.Read(ctx).Order("idx").Limit(limit).Find(&out, "idx >= ?", from).Error
	return out, db.Unavailable("read log", err)
}

// LeafOf finds where in the log a receipt or an audit entry with a hash stands; models.ErrNotLogged when it does not.
func (s *Receipts) LeafOf(ctx context.Context, hash string) (models.LogLeaf, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var found []models.LogLeaf
	err := s.db.Read(ctx).Order("idx").Limit(1).Find(&found, "hash = ?", hash).Error
	if err == nil && len(found) == 0 {
		return models.LogLeaf{}, models.ErrNotLogged
	} else if err != nil {
		return models.LogLeaf{}, db.Unavailable("find leaf", err)
	}
	return found[0], nil
}

// LatestCheckpoint is the newest signed state of the log; its Size is 0 before the first.
func (s *Receipts) LatestCheckpoint(ctx context.Context) (models.LogCheckpoint, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var found []models.LogCheckpoint
	err := s.db.Read(ctx).Order("size DESC").Limit(1).Find(&found).Error
	if err != nil || len(found) == 0 {
		return models.LogCheckpoint{}, db.Unavailable("read checkpoint", err)
	}
	return found[0], nil
}

// InsertCheckpoint publishes a signed state of the log. One that somebody else published first stays.
func (s *Receipts) InsertCheckpoint(ctx context.Context, c models.LogCheckpoint) error {
	return s.db.Transact(ctx, "insert checkpoint", func(tx *db.Tx) error {
		c.At = tx.Now()
		return tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&c).Error
	})
}

// CheckpointsAfter lists signed states of the log above a size, the smallest first.
func (s *Receipts) CheckpointsAfter(ctx context.Context, size int64, limit int) ([]models.LogCheckpoint, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []models.LogCheckpoint
	err := s.db.Read(ctx).Order("size").Limit(limit).Find(&out, "size > ?", size).Error
	return out, db.Unavailable("list checkpoints", err)
}

// LogError is the first thing in the database that is not as the log says.
type LogError struct{ What string }

// Error implements error.
func (f LogError) Error() string { return f.What }

// logQuestions find what the log and the tables do not agree about. Each gives a sentence for the first fault.
var logQuestions = []struct{ text, query string }{
	{"a leaf of the log is missing before place", "SELECT l.idx AS at FROM log_leaves l WHERE l.idx > 0 AND NOT EXISTS (SELECT 1 FROM log_leaves p WHERE p.idx = l.idx - 1) ORDER BY l.idx LIMIT 1"},
	{"the log's leaves are fewer than were assigned; the last has place", "SELECT coalesce(max(l.idx), -1) AS at FROM log_leaves l HAVING coalesce(max(l.idx), -1) + 1 < (SELECT size FROM log_states WHERE id = 1)"},
	{"a receipt that was logged is missing or was changed; its leaf has place", "SELECT l.idx AS at FROM log_leaves l LEFT JOIN signed_receipts r ON TRANSFER = l.subject AND r.seq = l.seq WHERE l.kind = 'receipt' AND (r.hash IS NULL OR r.hash <> l.hash) ORDER BY l.idx LIMIT 1"},
	{"an audit entry that was logged is missing or was changed; its leaf has place", "SELECT l.idx AS at FROM log_leaves l LEFT JOIN audit_entries a ON a.chain = l.subject AND a.seq = l.seq WHERE l.kind = 'audit' AND (a.hash IS NULL OR a.hash <> l.hash) ORDER BY l.idx LIMIT 1"},
	{"a receipt is neither in the log nor waiting for it; its number in its chain is", "SELECT r.seq AS at FROM signed_receipts r WHERE NOT EXISTS (SELECT 1 FROM log_leaves l WHERE l.kind = 'receipt' AND l.subject = TRANSFER AND l.seq = r.seq) AND NOT EXISTS (SELECT 1 FROM log_pendings p WHERE p.kind = 'receipt' AND p.subject = TRANSFER AND p.seq = r.seq) LIMIT 1"},
	{"a chain does not end with the receipt that it should; that one's number is", "SELECT c.signed AS at FROM receipt_chains c LEFT JOIN signed_receipts r ON r.transfer_id = c.transfer_id AND r.seq = c.signed WHERE c.signed > 0 AND (r.hash IS NULL OR r.hash <> c.head) LIMIT 1"},
}

// ReceiptCheck looks at a receipt and the one before it in its chain, whose Seq is 0 when there is none.
type ReceiptCheck func(r, before models.SignedReceipt) error

// VerifyLog compares the log's leaves with receipts and audit, and each receipt with its hash; also, when given, checks
// them further. What differs gives a LogError. That the leaves are those of the signed checkpoints, package receipts
// computes.
func (s *Receipts) VerifyLog(ctx context.Context, also ...ReceiptCheck) error {
	for _, q := range logQuestions {
		query := strings.ReplaceAll(q.query, "TRANSFER", s.asText("r.transfer_id"))
		var at []int64
		if err := s.db.Read(ctx).Raw(query).Scan(&at).Error; err != nil {
			return db.Unavailable("verify log", err)
		}
		if len(at) > 0 {
			return LogError{fmt.Sprintf("%s %d", q.text, at[0])}
		}
	}
	return s.verifyReceipts(ctx, append([]ReceiptCheck{hashed}, also...))
}

// hashed checks that a receipt is what its hash, which the log holds, was made of.
func hashed(r, _ models.SignedReceipt) error {
	if models.ReceiptHash(r.JWS) != r.Hash {
		return errors.New("it was changed after it was signed")
	}
	return nil
}

// verifyReceipts reads every receipt there is, chain by chain.
func (s *Receipts) verifyReceipts(ctx context.Context, checks []ReceiptCheck) error {
	var last models.SignedReceipt
	for {
		var page []models.SignedReceipt
		err := s.db.Read(ctx).Order("transfer_id, seq").Limit(db.InsertBatch).
			Find(&page, "(transfer_id, seq) > (?, ?)", last.TransferID, last.Seq).Error
		if err != nil || len(page) == 0 {
			return db.Unavailable("verify receipts", err)
		}
		for _, r := range page {
			before := models.SignedReceipt{}
			if last.TransferID == r.TransferID {
				before = last
			}
			for _, check := range checks {
				if err := check(r, before); err != nil {
					return LogError{fmt.Sprintf("receipt #%d of transfer %s: %v", r.Seq, r.TransferID, err)}
				}
			}
			last = r
		}
	}
}

func (s *Receipts) asText(column string) string {
	if s.db.Dialect() == db.Postgres {
		return column + "::text"
	}
	return column
}
