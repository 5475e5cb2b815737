package receipts

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// maxStatements bounds what is kept of one party's words about one transfer.
const maxStatements = 100

// AppendStatement appends the fact that a party said something about a transfer. Who says the same again has said it once.
// models.ErrSaidEnough when it has said too much already.
func (s *Receipts) AppendStatement(ctx context.Context, st models.Statement) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	st.ID = id
	return s.db.Transact(ctx, "record statement", func(tx *db.Tx) error {
		if _, err := tx.LockTransfer(st.TransferID); err != nil {
			return err
		}
		if late, err := comesAfter(tx, st); err != nil {
			return err
		} else if late && st.Claim() == nil {
			return nil
		} else if late {
			st.Kind = models.StatementAcknowledgement
		}
		var before []models.Statement
		if err := tx.Limit(maxStatements).Find(&before, "transfer_id = ? AND party = ? AND kind = ?", st.TransferID, st.Party, st.Kind).Error; err != nil {
			return err
		}
		for _, b := range before {
			if b.Status == st.Status && b.Text == st.Text && b.SHA256 == st.SHA256 && b.Proof == st.Proof && b.Actor == st.Actor {
				return nil
			}
		}
		if len(before) == maxStatements {
			return models.ErrSaidEnough
		}
		st.At = tx.Now()
		return tx.Create(&st).Error
	})
}

// NoteNotification appends the fact that a recipient was notified of a transfer through a channel of its own, or that this
// was given up. A receipt tells of it when the transfer's workflow next acts. Either is noted of a channel once: whoever
// reads its events again and again must not make the sender's chain grow.
func NoteNotification(tx *db.Tx, n models.Notification) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	n.ID = id
	return tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&n).Error
}

// comesAfter tells a confirmation whose recipient was confirmed meanwhile, by another request: its receipt is written,
// and what this one says needs one of its own.
func comesAfter(tx *db.Tx, st models.Statement) (bool, error) {
	if st.Kind != models.StatementConfirmation {
		return false, nil
	}
	var n int64
	err := tx.Model(&models.Recipient{}).Where("transfer_id = ? AND party = ? AND confirmed IS NOT NULL", st.TransferID, st.Party).Count(&n).Error
	return n > 0, err
}

// statementsOf are the statements of a kind that no receipt tells of yet, of a party, oldest first.
func statementsOf(tx *db.Tx, transfer uuid.UUID, p models.Party, kind models.StatementKind) ([]models.Statement, error) {
	var found []models.Statement
	err := tx.Order("at, id").Find(&found, "transfer_id = ? AND party = ? AND kind = ? AND receipt_seq IS NULL", transfer, p, kind).Error
	return found, err
}

// silentAfter is how long an access may go without a note of its process, which notes it every ten seconds, before it
// counts as over: the process died.
const silentAfter = 2 * time.Minute

// overAccesses are accesses that ended, and those that were silent since a moment.
const overAccesses = "(ended IS NOT NULL OR COALESCE(noted, started) < ?)"

// sortOver has accesses that fell silent end with their last note, and brings together what one receipt tells of.
func sortOver(accesses []models.ContentAccess) {
	for i := range accesses {
		a := &accesses[i]
		if a.Ended != nil {
			continue
		}
		a.Ended, a.Complete = a.Noted, a.BytesSent == a.Length
		if a.Ended == nil {
			a.Ended = &a.Started
		}
	}
	slices.SortStableFunc(accesses, func(a, b models.ContentAccess) int {
		switch c := strings.Compare(string(a.Party), string(b.Party)); {
		case c != 0 || a.Complete == b.Complete:
			return c
		case b.Complete:
			return -1
		}
		return 1
	})
}

// outstandingFacts makes receipts of the facts that none tells of yet: of one recipient, or with an empty party of all.
// They come in the order in which the facts occurred.
func outstandingFacts(tx *db.Tx, t models.Transfer, of models.Party) ([]models.ReceiptDraft, error) {
	scope := tx.Where("transfer_id = ? AND receipt_seq IS NULL", t.ID)
	if of != "" {
		scope = scope.Where("party = ?", of)
	}
	scope = scope.Session(&gorm.Session{})
	var accesses []models.ContentAccess
	if err := scope.Where(overAccesses, tx.Clock().Add(-silentAfter)).Order("started, id").Find(&accesses).Error; err != nil {
		return nil, err
	}
	sortOver(accesses)
	var notifications []models.Notification
	if err := scope.Order("at, id").Find(&notifications).Error; err != nil {
		return nil, err
	}
	var said []models.Statement
	kinds := []models.StatementKind{models.StatementMismatch, models.StatementAcknowledgement, models.StatementSenderProof}
	if err := scope.Where("kind IN ?", kinds).Order("at, id").Find(&said).Error; err != nil {
		return nil, err
	}
	out := handovers(t, accesses)
	for _, n := range notifications {
		out = append(out, notified(t, n))
	}
	for i := range said {
		out = append(out, stated(t, &said[i]))
	}
	slices.SortStableFunc(out, func(a, b models.ReceiptDraft) int { return a.Occurred.Compare(*b.Occurred) })
	return out, nil
}

// handovers makes one receipt of each recipient's downloads that came to their end, and one of those that did not.
func handovers(t models.Transfer, accesses []models.ContentAccess) []models.ReceiptDraft {
	var out []models.ReceiptDraft
	for rest := accesses; len(rest) > 0; {
		first, n := rest[0], 1
		for n < len(rest) && rest[n].Party == first.Party && rest[n].Complete == first.Complete {
			n++
		}
		out = append(out, handover(t, rest[:n]))
		rest = rest[n:]
	}
	return out
}

func handover(t models.Transfer, accesses []models.ContentAccess) models.ReceiptDraft {
	first, last := accesses[0], accesses[len(accesses)-1]
	served := models.ReceiptServed{Downloads: len(accesses), From: first.Started.UTC()}
	d := models.NewReceiptDraft(t, models.ReceiptHandedOver).WithFile(t)
	for _, a := range accesses {
		served.Bytes += a.BytesSent
		served.Whole = served.Whole || a.Complete && a.FirstByte == 0 && a.Length == t.ContentSize
		if a.Ended.After(served.Until) {
			served.Until = a.Ended.UTC()
		}
		d.Accesses = append(d.Accesses, a.ID)
	}
	d.Recipient, d.Occurred, d.Served, d.Actor, d.Right = first.Party, &served.Until, &served, last.Actor, last.Right
	if !first.Complete {
		d.Event = models.ReceiptHandoverFailed
		d = d.WithReason("broken-off", "Fewer bytes were sent than were asked for.")
	}
	return d
}

func notified(t models.Transfer, n models.Notification) models.ReceiptDraft {
	d, at := models.NewReceiptDraft(t, models.ReceiptNotified).WithFile(t), n.At.UTC()
	d.Recipient, d.Occurred, d.Notifications = n.Party, &at, []uuid.UUID{n.ID}
	d.Claim = &models.ReceiptClaim{Text: n.Channel}
	if n.Failed != "" {
		d.Event = models.ReceiptNotificationFailed
		d = d.WithReason("not-notified", models.Shortened(n.Failed, models.MaxReceiptText))
	}
	return d
}

func stated(t models.Transfer, st *models.Statement) models.ReceiptDraft {
	event := models.ReceiptAcknowledged
	switch st.Kind {
	case models.StatementMismatch:
		event = models.ReceiptHandoverFailed
	case models.StatementSenderProof:
		event = models.ReceiptSenderProof
	default:
	}
	d, at := models.NewReceiptDraft(t, event).WithFile(t).WithStatement(st), st.At.UTC()
	d.Occurred = &at
	if !st.AsSender {
		d.Recipient = st.Party
	}
	if st.Kind == models.StatementMismatch {
		d = d.WithReason(models.ErrOtherContent.Code, models.ErrOtherContent.Message)
	}
	return d
}

// TransfersWithFacts names transfers about which there are facts that no receipt tells of, the one with the oldest first,
// but for some.
func (s *Receipts) TransfersWithFacts(ctx context.Context, without []uuid.UUID, limit int) ([]uuid.UUID, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []uuid.UUID
	err := s.db.Read(ctx).Raw("SELECT transfer_id FROM ("+strings.Join([]string{
		"SELECT transfer_id, started AS at FROM content_accesses WHERE " + overAccesses + " AND receipt_seq IS NULL",
		"SELECT transfer_id, at FROM statements WHERE receipt_seq IS NULL AND kind IN ('mismatch', 'acknowledgement', 'sender-proof')",
		"SELECT transfer_id, at FROM notifications WHERE receipt_seq IS NULL",
	}, " UNION ALL ")+") AS facts WHERE transfer_id NOT IN ? GROUP BY transfer_id ORDER BY min(at), transfer_id LIMIT ?",
		s.db.Now().Add(-silentAfter), orNobody(without), limit).Scan(&out).Error
	return out, db.Unavailable("list facts without receipts", err)
}

// orNobody is a list that SQL takes though it is empty.
func orNobody(ids []uuid.UUID) []uuid.UUID {
	if len(ids) == 0 {
		return []uuid.UUID{uuid.Nil}
	}
	return ids
}

// ReceiptFacts writes down receipts of a transfer's facts. The transfer's own workflow does so whenever it acts; this
// is for when it does not, also after it has ended. Safe to repeat.
func (s *Receipts) ReceiptFacts(ctx context.Context, transfer uuid.UUID) error {
	return s.db.Transact(ctx, "receipt facts", func(tx *db.Tx) error {
		t, err := tx.LockTransfer(transfer)
		if err != nil {
			return err
		}
		drafts, err := outstandingFacts(tx, t, "")
		tx.Receipt(drafts...)
		return err
	})
}
