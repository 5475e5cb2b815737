package receipts

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// Archive is where a party's receipts are read.
type Archive interface {
	ReceiptsOf(ctx context.Context, transfer uuid.UUID, viewer models.Party, after, limit int) (models.ReceiptChain, []models.IssuedReceipt, error)
	ProofsOf(ctx context.Context, transfer uuid.UUID, viewer models.Party, upTo int) ([]models.Statement, error)
}

// Bundler makes the bundles that parties keep and check.
type Bundler struct {
	Archive Archive
	Log     *Log
	Keys    *Keys
	Name    string // of the issuer
	Now     func() time.Time
	Max     int // receipts in one bundle; 0: maxBundle
}

// maxBundle bounds how many receipts one bundle holds. It is enough for 20,000 recipients.
const maxBundle = 100_000

// Bundle collects a party's receipts of a transfer and signs that these are all there are at the moment. It returns
// models.ErrBundleTooLarge if there are more than one bundle may hold, because a part must not be signed as the whole.
func (b *Bundler) Bundle(ctx context.Context, transfer uuid.UUID, viewer models.Party) (models.ReceiptBundle, error) {
	out := models.ReceiptBundle{Format: models.BundleFormat, Receipts: []models.BundledReceipt{}, Proofs: []models.BundledProof{}}
	limit := cmp.Or(b.Max, maxBundle)
	chain, rows, err := b.Archive.ReceiptsOf(ctx, transfer, viewer, 0, limit+1)
	if err == nil && len(rows) > limit {
		err = models.ErrBundleTooLarge
	}
	if err != nil {
		return out, err
	}
	statement := models.BundleStatement{
		Issuer: b.Name, Transfer: transfer, Viewer: viewer, Sender: chain.Sender, At: b.Now().UTC().Truncate(time.Second),
		Receipts: make([]models.StatementedItem, 0, len(rows)),
	}
	at, err := b.prove(ctx, rows, &out)
	if err != nil {
		return out, err
	}
	statement.LogSize, statement.LogRoot, out.Checkpoint = at.Size, at.Root, at.Note
	for i, r := range rows {
		statement.Receipts = append(statement.Receipts, models.StatementedItem{Seq: r.Seq, SHA256: r.Hash, Leaf: out.Receipts[i].Leaf})
	}
	proofs, err := b.Archive.ProofsOf(ctx, transfer, viewer, chain.Signed)
	if err != nil {
		return out, err
	}
	for _, p := range proofs {
		one := models.BundledProof{Party: p.Party, SHA256: p.SHA256, JWS: p.Proof, Payload: p.Payload}
		out.Proofs, statement.Proofs = append(out.Proofs, one), append(statement.Proofs, one.Stated())
	}
	if out.Keys, err = json.Marshal(b.Keys.KeySet()); err != nil {
		return out, err
	}
	if out.Statement, err = b.Keys.sign(TypeBundle, statement); err != nil {
		return out, fmt.Errorf("bundle receipts of %s: %w", transfer, err)
	}
	return out, nil
}

// prove finds the receipts in one signed state of the log; those that it does not hold yet get no proof.
func (b *Bundler) prove(ctx context.Context, rows []models.IssuedReceipt, out *models.ReceiptBundle) (models.LogCheckpoint, error) {
	leaves := make([]int64, 0, len(rows))
	for _, r := range rows {
		if r.Leaf != nil {
			leaves = append(leaves, *r.Leaf)
		}
	}
	at, proofs, err := b.Log.Inclusions(ctx, leaves)
	if err != nil {
		return at, err
	}
	for _, r := range rows {
		one := models.BundledReceipt{JWS: r.JWS}
		if r.Leaf != nil && *r.Leaf < at.Size {
			one.Leaf, one.Inclusion = r.Leaf, proofs[*r.Leaf]
		}
		out.Receipts = append(out.Receipts, one)
	}
	return at, nil
}
