package receipts

import (
	"net/http"
	"regexp"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// GetReceiptKeys publishes the keys that verify receipts and checkpoints (RFC 7517).
func (h *Handler) GetReceiptKeys(c *gin.Context) {
	if h.Evidence == nil {
		web.Problem(c, models.ErrNoReceiptKeys)
		return
	}
	c.JSON(http.StatusOK, h.Evidence.KeySet())
}

// GetLogCheckpoint answers with the signed state of the log.
func (h *Handler) GetLogCheckpoint(c *gin.Context) {
	if h.Evidence == nil {
		web.Problem(c, models.ErrNoReceiptKeys)
		return
	}
	text, err := h.Evidence.Checkpoint(c.Request.Context())
	web.Finish(c, err, func() { c.Data(http.StatusOK, "text/plain; charset=utf-8", []byte(text)) })
}

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ProveInclusion proves that the log holds a receipt or an audit entry.
func (h *Handler) ProveInclusion(c *gin.Context, params contract.ProveInclusionParams) {
	if h.Evidence == nil {
		web.Problem(c, models.ErrNoReceiptKeys)
		return
	}
	if !hexDigest.MatchString(params.Sha256) {
		web.Problem(c, models.InvalidField("sha256", "It must be a SHA-256 in lower-case hex."))
		return
	}
	leaf, checkpoint, proof, err := h.Evidence.Inclusion(c.Request.Context(), params.Sha256)
	web.Finish(c, err, func() {
		c.JSON(http.StatusOK, contract.InclusionProof{
			Kind: contract.InclusionProofKind(leaf.Kind), Seq: leaf.Seq, Leaf: leaf.Index, Inclusion: proof, Checkpoint: checkpoint,
		})
	})
}

// ProveConsistency proves that the log only grew.
func (h *Handler) ProveConsistency(c *gin.Context, params contract.ProveConsistencyParams) {
	if h.Evidence == nil {
		web.Problem(c, models.ErrNoReceiptKeys)
		return
	}
	checkpoint, proof, err := h.Evidence.Consistency(c.Request.Context(), params.Size)
	web.Finish(c, err, func() {
		c.JSON(http.StatusOK, contract.ConsistencyProof{Consistency: proof, Checkpoint: checkpoint})
	})
}

// GetLogTile answers with hashes of the log.
func (h *Handler) GetLogTile(c *gin.Context, params contract.GetLogTileParams) {
	if h.Evidence == nil {
		web.Problem(c, models.ErrNoReceiptKeys)
		return
	}
	tile, err := h.Evidence.Tile(c.Request.Context(), params.Path)
	web.Finish(c, err, func() {
		c.Header("Cache-Control", "public, max-age=31536000, immutable")
		c.Data(http.StatusOK, "application/octet-stream", tile)
	})
}
