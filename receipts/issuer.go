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
	UnsignedChains(ctx context.Context, limit int) ([]uuid.UUID, error)
	TransfersWithFacts(ctx context.Context, limit int) ([]uuid.UUID, error)
	ReceiptFacts(ctx context.Context, transfer uuid.UUID) error
	RecordRefusal(ctx context.Context, sub models.Submission, runID string, reason models.ReceiptReason) error
}

// batch is how many receipts are signed and inserted at once.
const batch = 500

// Issuer signs what transactions wrote down. Any number of them may work on the same chain: of two that sign the same
// receipt one inserts it, and the other finds that out.
type Issuer struct {
	Chains Chains
	Keys   *Keys // nil: receipts are written down and wait
	Name   string
	Log    *slog.Logger
	// Left tells whether a step of this process left receipts of a transfer unsigned; nil: each does.
	Left func(transfer uuid.UUID) bool
}

// Issue signs what is outstanding of a transfer's chain, in order.
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

// Sign continues a chain behind its last signed receipt: each carries the hash of the one before it.
func (i *Issuer) Sign(ctx context.Context, chain models.ReceiptChain, entries []models.ReceiptEntry) ([]models.SignedReceipt, error) {
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
		jws, err := i.Keys.Sign(ctx, r)
		if err != nil {
			return nil, err
		}
		prev = models.ReceiptHash(jws)
		rows[n] = models.SignedReceipt{TransferID: e.TransferID, Seq: e.Seq, Recipient: e.Recipient, JWS: jws, Hash: prev}
	}
	return rows, nil
}

// IssueOrLeave is Issue for a step whose change is already done: what cannot be signed now is signed later, by the next
// step of the transfer or by Settle, and holds nobody up.
func (i *Issuer) IssueOrLeave(ctx context.Context, transfer uuid.UUID) {
	if i.Left != nil && !i.Left(transfer) {
		return
	}
	if err := i.Issue(ctx, transfer); err != nil {
		i.Log.WarnContext(ctx, "receipts not signed yet", "transfer", transfer, "error", err.Error())
	}
}

// RecordRefusal writes down that a submission was refused, and signs it.
func (i *Issuer) RecordRefusal(ctx context.Context, sub models.Submission, runID string, refusal *models.Error) error {
	if err := i.Chains.RecordRefusal(ctx, sub, runID, models.ReceiptReason{Code: refusal.Code, Text: refusal.Message}); err != nil {
		return err
	}
	i.IssueOrLeave(ctx, sub.ID)
	return nil
}

// settleAtOnce is how many transfers are looked up at once.
const settleAtOnce = 100

// Settle makes receipts of facts that no workflow came to act on, and signs what was left unsigned. It stops when
// nothing is left or the time is up. A transfer with which something is wrong does not keep it from the others.
func (i *Issuer) Settle(ctx context.Context, patience time.Duration) error {
	until := time.Now().Add(patience)
	for time.Now().Before(until) {
		with, err := i.Chains.TransfersWithFacts(ctx, settleAtOnce)
		errs := []error{err}
		for _, id := range with {
			errs = append(errs, i.Chains.ReceiptFacts(ctx, id))
		}
		var unsigned []uuid.UUID
		if i.Keys != nil {
			unsigned, err = i.Chains.UnsignedChains(ctx, settleAtOnce)
			errs = append(errs, err)
		}
		for _, id := range unsigned {
			errs = append(errs, i.Issue(ctx, id))
		}
		if err := errors.Join(errs...); err != nil || len(with)+len(unsigned) == 0 {
			return err
		}
	}
	return nil
}
