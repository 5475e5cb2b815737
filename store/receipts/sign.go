package receipts

import (
	"context"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// signedAtOnce bounds the receipts that a transaction signs itself: it holds rows meanwhile, and on SQLite everybody.
const signedAtOnce = 16

// Signer signs entries that follow the end of a chain, in order.
type Signer func(ctx context.Context, end models.ReceiptChain, entries []models.ReceiptEntry) ([]models.SignedReceipt, error)

// SignAtOnce has the transaction that writes receipts down sign them too, if they are few and follow signed ones: that
// saves a transaction for each step of a transfer, and no receipt waits for one. Only for keys in memory: what asks
// somebody else must not hold the rows. Call it before the first use of the store.
func (s *Receipts) SignAtOnce(by Signer) { s.signer = by }

// LeftUnsigned tells whether a transaction of this process left receipts of a transfer to be signed after it. It says so
// once: what is not signed then is found by UnsignedChains, as is what other processes left.
func (s *Receipts) LeftUnsigned(transfer uuid.UUID) bool {
	if s.signer == nil {
		return true
	}
	_, left := s.unsigned.LoadAndDelete(transfer)
	return left
}

// signAtOnce signs what a transaction wrote down. What it cannot sign now waits for the activity, which says why
// (OutstandingReceipts).
func (s *Receipts) signAtOnce(tx *db.Tx, end models.ReceiptChain, entries []models.ReceiptEntry) error {
	if s.signer == nil {
		return nil
	}
	leave := func() { s.unsigned.Store(end.TransferID, nil) }
	if len(entries) > signedAtOnce || end.Signed+len(entries) != end.Last {
		tx.OnCommit(leave)
		return nil
	}
	signed, err := s.signer(tx.Context(), end, entries)
	if err != nil {
		tx.OnCommit(leave)
		return nil //nolint:nilerr // the change stands; signing is tried again, and the cause told, after it
	}
	_, err = insertReceipts(tx, end, signed)
	return err
}
