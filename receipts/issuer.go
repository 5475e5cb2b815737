package receipts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// Chains is where receipts are kept.
type Chains interface {
	OutstandingReceipts(ctx context.Context, transfer uuid.UUID, limit int) (models.ReceiptChain, []models.ReceiptEntry, error)
	InsertReceipts(ctx context.Context, at models.ReceiptChain, rows []models.SignedReceipt) (inserted bool, err error)
	UnsignedChains(ctx context.Context, without []uuid.UUID, limit int) ([]uuid.UUID, error)
	TransfersWithFacts(ctx context.Context, without []uuid.UUID, limit int) ([]uuid.UUID, error)
	ReceiptFacts(ctx context.Context, transfer uuid.UUID) error
	RecordRefusal(ctx context.Context, sub models.Submission, runID string, reason models.ReceiptReason) (receipted bool, err error)
}

// batch is how many receipts are signed and inserted at once.
const batch = 500

// Issuer signs the entries that transactions wrote. Several may work on the same chain: of two that sign the same
// receipt one inserts it, and the other notices.
type Issuer struct {
	Chains Chains
	Keys   *Keys // nil: receipts are written down and wait
	Name   string
	Log    *slog.Logger
	// Left reports whether a step of this process left receipts of a transfer unsigned; nil: assume that each did.
	Left func(transfer uuid.UUID) bool
}

// Issue signs the unsigned entries of a transfer's chain, in order.
func (i *Issuer) Issue(ctx context.Context, transfer uuid.UUID) error {
	for i.Keys != nil {
		chain, entries, err := i.Chains.OutstandingReceipts(ctx, transfer, batch)
		if err != nil || len(entries) == 0 {
			return err
		}
		rows, err := i.Sign(ctx, chain, entries)
		if err != nil {
			return fmt.Errorf("issue receipts of %s: %w", transfer, err)
		}
		if _, err := i.Chains.InsertReceipts(ctx, chain, rows); err != nil {
			return err
		}
	}
	return nil
}

// Sign continues a chain after its last signed receipt; each receipt has the hash of the one before it.
func (i *Issuer) Sign(_ context.Context, chain models.ReceiptChain, entries []models.ReceiptEntry) ([]models.SignedReceipt, error) {
	rows := make([]models.SignedReceipt, len(entries))
	seq, prev := chain.Signed, chain.Head
	for n, e := range entries {
		if seq++; e.Seq != seq {
			return nil, fmt.Errorf("entry %d is missing", seq)
		}
		var r models.Receipt
		if err := json.Unmarshal([]byte(e.Entry), &r); err != nil {
			return nil, fmt.Errorf("read entry %d: %w", seq, err)
		}
		r.Issuer, r.Prev = i.Name, prev
		jws, err := i.Keys.Sign(r)
		if err != nil {
			return nil, err
		}
		prev = models.ReceiptHash(jws)
		rows[n] = models.SignedReceipt{TransferID: e.TransferID, Seq: e.Seq, Recipient: e.Recipient, JWS: jws, Hash: prev}
	}
	return rows, nil
}

// IssueOrLeave is Issue for a step whose change is already made. What cannot be signed now must not delay the step: the
// next step of the transfer, or Settle, signs it.
func (i *Issuer) IssueOrLeave(ctx context.Context, transfer uuid.UUID) {
	if i.Left != nil && !i.Left(transfer) {
		return
	}
	if err := i.Issue(ctx, transfer); err != nil {
		i.Log.WarnContext(ctx, "receipts not signed yet", "transfer", transfer, "error", err.Error())
	}
}

// RecordRefusal writes and signs the receipt of a refused submission, unless its sender was refused too often today.
func (i *Issuer) RecordRefusal(ctx context.Context, sub models.Submission, runID string, refusal *models.Error) error {
	receipted, err := i.Chains.RecordRefusal(ctx, sub, runID, models.ReceiptReason{Code: refusal.Code, Text: refusal.Message})
	if err != nil {
		return err
	}
	if !receipted {
		i.Log.WarnContext(ctx, "refusal not receipted: the organisation had as many today as it may", "organisation", sub.Sender.Party, "code", refusal.Code)
		return nil
	}
	i.IssueOrLeave(ctx, sub.ID)
	return nil
}

// settleAtOnce is how many transfers are looked up at once.
const settleAtOnce = 100

// settleFailures is how many broken transfers one Settle tolerates.
const settleFailures = 5000

// Settle makes receipts of facts that no workflow has receipted, and signs what an earlier crash left unsigned, oldest
// first. It stops when nothing is left or its time is up. Broken transfers do not keep it from the others, unless they
// are more than settleFailures.
func (i *Issuer) Settle(ctx context.Context, patience time.Duration) error {
	until := time.Now().Add(patience)
	facts := settling{list: i.Chains.TransfersWithFacts, do: i.Chains.ReceiptFacts}
	signatures := settling{list: i.Chains.UnsignedChains, do: i.Issue}
	for more := true; more && time.Now().Before(until); {
		more = facts.round(ctx, until)
		if i.Keys != nil && signatures.round(ctx, until) {
			more = true
		}
	}
	return errors.Join(facts.failure(), signatures.failure())
}

// settling is one kind of work that Settle does.
type settling struct {
	list   func(ctx context.Context, without []uuid.UUID, limit int) ([]uuid.UUID, error)
	do     func(ctx context.Context, transfer uuid.UUID) error
	failed []uuid.UUID
	first  error
	lost   error // the list itself
}

// round does this work for the next transfers, and reports whether there may be more.
func (s *settling) round(ctx context.Context, until time.Time) bool {
	if len(s.failed) > settleFailures {
		return false
	}
	var ids []uuid.UUID
	if ids, s.lost = s.list(ctx, s.failed, settleAtOnce); s.lost != nil {
		return false
	}
	for _, id := range ids {
		if !time.Now().Before(until) {
			return false
		}
		if err := s.do(ctx, id); err != nil {
			s.failed = append(s.failed, id)
			if s.first == nil {
				s.first = fmt.Errorf("settle receipts of %s: %w", id, err)
			}
		}
	}
	return len(ids) > 0
}

// failure names the first broken transfer, and how many there are.
func (s *settling) failure() error {
	if n := len(s.failed); n > 1 {
		return errors.Join(s.lost, fmt.Errorf("%w (and of %d others)", s.first, n-1))
	}
	return errors.Join(s.lost, s.first)
}
