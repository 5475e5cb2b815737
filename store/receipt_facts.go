package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// maxStatements bounds what is kept of one party's words about one transfer.
const maxStatements = 100

// State appends the fact that a party said something about a transfer. Who says the same again has said it once.
// models.ErrSaidEnough when it has said too much already.
func (s *Store) State(ctx context.Context, st models.Statement) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	st.ID = id
	return s.transact(ctx, "record statement", func(tx *gorm.DB) error {
		if _, err := lockTransfer(tx, st.TransferID); err != nil {
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
		st.At = s.clock()
		return tx.Create(&st).Error
	})
}

// noteNotification appends the fact that a recipient was told of a transfer through a channel of its own, or that this
// was given up. A receipt tells of it when the transfer's workflow next acts. Either is told of a channel once: whoever
// reads its events again and again must not make the sender's chain grow.
func noteNotification(tx *gorm.DB, n models.Notification) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	n.ID = id
	return tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&n).Error
}

// comesAfter tells a confirmation whose recipient was confirmed meanwhile, by another request: its receipt is written,
// and what this one says needs one of its own.
func comesAfter(tx *gorm.DB, st models.Statement) (bool, error) {
	if st.Kind != models.StatementConfirmation {
		return false, nil
	}
	var n int64
	err := tx.Model(&models.Recipient{}).Where("transfer_id = ? AND party = ? AND confirmed IS NOT NULL", st.TransferID, st.Party).Count(&n).Error
	return n > 0, err
}

// statementsOf are the statements of a kind that no receipt tells of yet, of a party, oldest first.
func statementsOf(tx *gorm.DB, transfer uuid.UUID, p models.Party, kind models.StatementKind) ([]models.Statement, error) {
	var found []models.Statement
	err := tx.Order("at, id").Find(&found, "transfer_id = ? AND party = ? AND kind = ? AND receipt_seq IS NULL", transfer, p, kind).Error
	return found, err
}

// saidBeside adds to a receipt what its party said beside it: of many times, such as by requests that were repeated, the
// last that says anything. Others that say something have receipts of their own, which come before.
func (d receiptDraft) saidBeside(t models.Transfer, all []models.Statement) []receiptDraft {
	if len(all) == 0 {
		return []receiptDraft{d}
	}
	best := len(all) - 1
	for i := best; i >= 0; i-- {
		if all[i].Claim() != nil {
			best = i
			break
		}
	}
	var out []receiptDraft
	d = d.said(&all[best])
	for i := range all {
		switch {
		case i == best:
		case all[i].Claim() == nil:
			d.statements = append(d.statements, all[i].ID)
		default:
			out = append(out, stated(t, &all[i]))
		}
	}
	return append(out, d)
}

// said adds to a receipt what its party said beside it.
func (d receiptDraft) said(st *models.Statement) receiptDraft {
	d.Actor, d.Claim, d.statements = &st.Actor, st.Claim(), []uuid.UUID{st.ID}
	return d
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
func outstandingFacts(tx *gorm.DB, t models.Transfer, of models.Party, now time.Time) ([]receiptDraft, error) {
	scope := tx.Where("transfer_id = ? AND receipt_seq IS NULL", t.ID)
	if of != "" {
		scope = scope.Where("party = ?", of)
	}
	scope = scope.Session(&gorm.Session{})
	var accesses []models.ContentAccess
	if err := scope.Where(overAccesses, now.Add(-silentAfter)).Order("started, id").Find(&accesses).Error; err != nil {
		return nil, err
	}
	sortOver(accesses)
	var told []models.Notification
	if err := scope.Order("at, id").Find(&told).Error; err != nil {
		return nil, err
	}
	var said []models.Statement
	kinds := []models.StatementKind{models.StatementMismatch, models.StatementAcknowledgement, models.StatementSenderProof}
	if err := scope.Where("kind IN ?", kinds).Order("at, id").Find(&said).Error; err != nil {
		return nil, err
	}
	out := handovers(t, accesses)
	for _, n := range told {
		out = append(out, notified(t, n))
	}
	for i := range said {
		out = append(out, stated(t, &said[i]))
	}
	slices.SortStableFunc(out, func(a, b receiptDraft) int { return a.At.Compare(b.At) })
	return out, nil
}

// handovers makes one receipt of each recipient's downloads that came to their end, and one of those that did not.
func handovers(t models.Transfer, accesses []models.ContentAccess) []receiptDraft {
	var out []receiptDraft
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

func handover(t models.Transfer, accesses []models.ContentAccess) receiptDraft {
	first, last := accesses[0], accesses[len(accesses)-1]
	served := models.ReceiptServed{Downloads: len(accesses), From: first.Started.UTC()}
	d := receiptOf(t, models.ReceiptHandedOver, *last.Ended).withFile(t)
	for _, a := range accesses {
		served.Bytes += a.BytesSent
		served.Whole = served.Whole || a.Complete && a.FirstByte == 0 && a.Length == t.ContentSize
		if a.Ended.After(served.Until) {
			served.Until = a.Ended.UTC()
		}
		d.accesses = append(d.accesses, a.ID)
	}
	d.Recipient, d.At, d.Served, d.Actor, d.Right = first.Party, served.Until, &served, last.Actor, last.Permit
	if !first.Complete {
		d.Event, d.Reason = models.ReceiptHandoverFailed, &models.ReceiptReason{Code: "broken-off", Text: "Fewer bytes were sent than were asked for."}
	}
	return d
}

func notified(t models.Transfer, n models.Notification) receiptDraft {
	d := receiptOf(t, models.ReceiptNotified, n.At).withFile(t)
	d.Recipient, d.notifications = n.Party, []uuid.UUID{n.ID}
	d.Claim = &models.ReceiptClaim{Text: n.Channel}
	if n.Failed != "" {
		d.Event, d.Reason = models.ReceiptNotificationFailed, &models.ReceiptReason{Code: "not-notified", Text: models.Shortened(n.Failed, models.MaxReceiptText)}
	}
	return d
}

func stated(t models.Transfer, st *models.Statement) receiptDraft {
	event := models.ReceiptAcknowledged
	switch st.Kind {
	case models.StatementMismatch:
		event = models.ReceiptHandoverFailed
	case models.StatementSenderProof:
		event = models.ReceiptSenderProof
	default:
	}
	d := receiptOf(t, event, st.At).withFile(t).said(st)
	if !st.AsSender {
		d.Recipient = st.Party
	}
	if st.Kind == models.StatementMismatch {
		d.Reason = &models.ReceiptReason{Code: models.ErrOtherContent.Code, Text: models.ErrOtherContent.Message}
	}
	return d
}

// TransfersWithFacts names transfers about which there are facts that no receipt tells of, the one with the oldest first,
// but for some.
func (s *Store) TransfersWithFacts(ctx context.Context, without []uuid.UUID, limit int) ([]uuid.UUID, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var out []uuid.UUID
	err := s.read.WithContext(ctx).Raw("SELECT transfer_id FROM ("+strings.Join([]string{
		"SELECT transfer_id, started AS at FROM content_accesses WHERE " + overAccesses + " AND receipt_seq IS NULL",
		"SELECT transfer_id, at FROM statements WHERE receipt_seq IS NULL AND kind IN ('mismatch', 'acknowledgement', 'sender-proof')",
		"SELECT transfer_id, at FROM notifications WHERE receipt_seq IS NULL",
	}, " UNION ALL ")+") AS facts WHERE transfer_id NOT IN ? GROUP BY transfer_id ORDER BY min(at), transfer_id LIMIT ?",
		s.clock().Add(-silentAfter), orNobody(without), limit).Scan(&out).Error
	return out, unavailable("list facts without receipts", err)
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
func (s *Store) ReceiptFacts(ctx context.Context, transfer uuid.UUID) error {
	return s.transact(ctx, "receipt facts", func(tx *gorm.DB) error {
		t, err := lockTransfer(tx, transfer)
		if err != nil {
			return err
		}
		drafts, err := outstandingFacts(tx, t, "", s.clock())
		if err != nil {
			return err
		}
		return writeReceipts(tx, t, drafts...)
	})
}

// acceptedReceipts tells that the content is stored and verified, and by which right it came.
func acceptedReceipt(tx *gorm.DB, t models.Transfer, c models.StagedContent, now time.Time) (receiptDraft, error) {
	proofs, err := statementsOf(tx, t.ID, t.Sender, models.StatementSenderProof)
	d := receiptOf(t, models.ReceiptAccepted, now).withFile(t)
	if n := len(proofs); n > 0 {
		d = d.said(&proofs[n-1])
	} else if err == nil {
		d.Claim, err = submissionClaim(tx, t)
	}
	if c.Actor != nil {
		d.Actor = c.Actor
	}
	d.Right = c.Permit
	return d, err
}

// confirmedReceipts tells what was handed over to a recipient, and then that it confirmed.
func (s *Store) confirmedReceipts(tx *gorm.DB, t models.Transfer, p models.Party, now time.Time) ([]receiptDraft, error) {
	drafts, err := outstandingFacts(tx, t, p, now)
	if err != nil {
		return nil, err
	}
	said, err := statementsOf(tx, t.ID, p, models.StatementConfirmation)
	if err != nil {
		return nil, err
	}
	d := receiptOf(t, models.ReceiptConfirmed, now).withFile(t)
	d.Recipient = p
	drafts = append(drafts, d.saidBeside(t, said)...)
	last := &drafts[len(drafts)-1]
	last.Right, err = s.permitOf(tx, t.ResourceID, p, last.Actor, models.ActionReceive)
	return drafts, err
}

// endReceipts tells how a transfer ended: what is left of its facts, who never confirmed, and the end itself.
func endReceipts(tx *gorm.DB, t models.Transfer, from models.TransferStatus, now time.Time) ([]receiptDraft, error) {
	drafts, err := outstandingFacts(tx, t, "", now)
	if err != nil {
		return nil, err
	}
	switch t.Status {
	case models.TransferCancelled:
		said, err := statementsOf(tx, t.ID, t.Sender, models.StatementCancellation)
		if err != nil {
			return nil, err
		}
		return append(drafts, receiptOf(t, models.ReceiptCancelled, now).withFile(t).saidBeside(t, said)...), nil
	case models.TransferFailed:
		d := receiptOf(t, models.ReceiptRefused, now)
		d.Reason = &models.ReceiptReason{Code: "content-not-accepted", Text: t.StatusText}
		return append(drafts, d), nil
	default:
	}
	if from == models.TransferPublished {
		var never []models.Party
		err := tx.Model(&models.Recipient{}).Where("transfer_id = ? AND delivered IS NOT NULL AND confirmed IS NULL", t.ID).Order("ordinal").Pluck("party", &never).Error
		if err != nil {
			return nil, err
		}
		for _, p := range never {
			d := receiptOf(t, models.ReceiptHandoverFailed, now).withFile(t)
			d.Recipient, d.Reason = p, &models.ReceiptReason{Code: "expired", Text: "The recipient did not confirm before the file expired."}
			drafts = append(drafts, d)
		}
		d := receiptOf(t, models.ReceiptExpired, now).withFile(t)
		d.Reason = &models.ReceiptReason{Code: "expired", Text: "Not every recipient confirmed before the file expired."}
		drafts = append(drafts, d)
	}
	return append(drafts, receiptOf(t, models.ReceiptPurged, now).withFile(t)), nil
}
