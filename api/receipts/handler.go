package receipts

import (
	"context"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// Store is what was receipted and what happened, and takes what parties say.
type Store interface {
	AppendStatement(ctx context.Context, st models.Statement) error
	ReceiptsOf(ctx context.Context, transfer uuid.UUID, viewer models.Party, after, limit int) (models.ReceiptChain, []models.IssuedReceipt, error)
	ListReceipts(ctx context.Context, q models.ReceiptQuery) ([]models.IssuedReceipt, error)
	ReceivedReceipts(ctx context.Context, transfer uuid.UUID, viewer models.Party, after, limit int) ([]models.IssuedReceipt, error)
	TimelineFor(ctx context.Context, transfer uuid.UUID, q models.TimelineQuery) (models.TimelineView, []models.TimelineEntry, error)
	RefusedTooOften(ctx context.Context, p models.Party) (bool, error)
}

// Evidence is what anybody can check without us: bundles, keys, the log.
type Evidence interface {
	Bundle(ctx context.Context, transfer uuid.UUID, viewer models.Party) (models.ReceiptBundle, error)
	KeySet() jose.JSONWebKeySet
	Checkpoint(ctx context.Context) (string, error)
	Inclusion(ctx context.Context, sha256 string) (models.LogLeaf, string, []string, error)
	Consistency(ctx context.Context, size int64) (checkpoint string, proof []string, err error)
	Tile(ctx context.Context, path string) ([]byte, error)
}

// Proofs checks signatures that parties made with their own certificates.
type Proofs interface {
	CheckProof(p models.Party, detached string, payload []byte) error
}

// Sight reads a transfer as a caller may see it.
type Sight interface {
	Look(ctx context.Context, id uuid.UUID, by models.Caller) (models.TransferView, error)
}

// Ports is what the room needs of the rest of the program.
type Ports struct {
	Receipts Store    // nil: none are kept
	Evidence Evidence // nil: without keys nothing can be shown
	Proofs   Proofs   // nil: no certificates are trusted
	Sight    Sight
}

// Handler answers the operations on receipts, the log and the timeline, and keeps what parties say.
type Handler struct{ Ports }

// New makes the handlers of receipts.
func New(p Ports) *Handler { return &Handler{p} }

// RefusedTooOften tells whether an organisation was refused so often today that a further refusal is not receipted.
func (h *Handler) RefusedTooOften(ctx context.Context, p models.Party) (bool, error) {
	if h.Receipts == nil {
		return false, nil
	}
	return h.Receipts.RefusedTooOften(ctx, p)
}
