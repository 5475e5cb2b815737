package receipts

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// ReceiptsOf lists a transfer's receipts after a number, as a party may see them: the sender all, a recipient its own.
// models.ErrTransferNotFound for who takes no part in it. A refused submission has a chain and no transfer.
func (s *Receipts) ReceiptsOf(ctx context.Context, transfer uuid.UUID, viewer models.Party, after, limit int) (models.ReceiptChain, []models.IssuedReceipt, error) {
	return s.receiptsOf(ctx, transfer, viewer, false, after, limit)
}

// ReceivedReceipts is ReceiptsOf for who may look at what its organisation received, also when that is the sender too.
func (s *Receipts) ReceivedReceipts(ctx context.Context, transfer uuid.UUID, viewer models.Party, after, limit int) ([]models.IssuedReceipt, error) {
	_, rows, err := s.receiptsOf(ctx, transfer, viewer, true, after, limit)
	return rows, err
}

func (s *Receipts) receiptsOf(ctx context.Context, transfer uuid.UUID, viewer models.Party, received bool, after, limit int) (models.ReceiptChain, []models.IssuedReceipt, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	g := s.db.Read(ctx)
	c, err := chainFor(g, transfer, viewer)
	if err != nil {
		return c, nil, db.Unavailable("read receipts", err)
	}
	var out []models.IssuedReceipt
	own := ""
	args := []any{transfer.String(), transfer, after, c.Signed} // no more than the chain that is returned knows of
	if received || c.Sender != viewer {
		own, args = "AND r.recipient = ? ", append(args, viewer)
	}
	err = g.Raw("SELECT r.*, l.idx AS leaf FROM signed_receipts r LEFT JOIN log_leaves l ON l.kind = 'receipt' AND l.subject = ? AND l.seq = r.seq"+
		" WHERE r.transfer_id = ? AND r.seq > ? AND r.seq <= ? "+own+"ORDER BY r.seq LIMIT ?", append(args, limit)...).Scan(&out).Error
	return c, out, db.Unavailable("read receipts", err)
}

func chainFor(g *gorm.DB, transfer uuid.UUID, viewer models.Party) (models.ReceiptChain, error) {
	var c models.ReceiptChain
	err := g.Take(&c, "transfer_id = ?", transfer).Error
	if err == nil && c.Sender == viewer {
		return c, nil
	}
	if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
		return c, err
	}
	var t models.Transfer // from before there were receipts, or a recipient asks
	if err := g.Take(&t, "id = ?", transfer).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		return c, models.ErrTransferNotFound
	} else if err != nil {
		return c, err
	}
	c.TransferID, c.Sender = t.ID, t.Sender
	if t.Sender == viewer {
		return c, nil
	}
	var r []models.Recipient
	if err := g.Limit(1).Find(&r, "transfer_id = ? AND party = ?", transfer, viewer).Error; err != nil {
		return c, err
	}
	if len(r) == 0 {
		return c, models.ErrTransferNotFound
	}
	return c, nil
}

// ListReceipts lists receipts of all transfers that a party sent or received, in the order of the log. That order has no
// gaps that fill later, so whoever keeps the last place reads each receipt once. Those not logged yet come later.
func (s *Receipts) ListReceipts(ctx context.Context, q models.ReceiptQuery) ([]models.IssuedReceipt, error) {
	ctx, cancel := db.Bounded(ctx)
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
	err := s.db.Read(ctx).Raw("SELECT r.*, l.idx AS leaf FROM ("+side("sender")+" UNION "+side("recipient")+") AS l"+
		" JOIN signed_receipts r ON r.transfer_id = "+s.castUUID("l.subject")+" AND r.seq = l.seq ORDER BY l.idx LIMIT ?",
		append(append(append([]any{}, one...), one...), q.Limit)...).Scan(&out).Error
	return out, db.Unavailable("list receipts", err)
}

func (s *Receipts) castUUID(column string) string {
	if s.db.Dialect() == db.Postgres {
		return column + "::uuid"
	}
	return column
}
