package api

import (
	"net/http"
	"regexp"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// GetReceiptKeys publishes the keys that verify receipts and checkpoints (RFC 7517).
func (s *Server) GetReceiptKeys(c *gin.Context) {
	if s.Evidence == nil {
		s.problem(c, models.ErrNoReceiptKeys)
		return
	}
	c.JSON(http.StatusOK, s.Evidence.KeySet())
}

// GetLogCheckpoint answers with the signed state of the log.
func (s *Server) GetLogCheckpoint(c *gin.Context) {
	if s.Evidence == nil {
		s.problem(c, models.ErrNoReceiptKeys)
		return
	}
	text, err := s.Evidence.Checkpoint(c.Request.Context())
	s.finish(c, err, func() { c.Data(http.StatusOK, "text/plain; charset=utf-8", []byte(text)) })
}

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ProveInclusion proves that the log holds a receipt or an audit entry.
func (s *Server) ProveInclusion(c *gin.Context, params contract.ProveInclusionParams) {
	if s.Evidence == nil {
		s.problem(c, models.ErrNoReceiptKeys)
		return
	}
	if !hexDigest.MatchString(params.Sha256) {
		s.problem(c, models.InvalidField("sha256", "It must be a SHA-256 in lower-case hex."))
		return
	}
	leaf, checkpoint, proof, err := s.Evidence.Inclusion(c.Request.Context(), params.Sha256)
	s.finish(c, err, func() {
		c.JSON(http.StatusOK, contract.InclusionProof{
			Kind: contract.InclusionProofKind(leaf.Kind), Seq: leaf.Seq, Leaf: leaf.Index, Inclusion: proof, Checkpoint: checkpoint,
		})
	})
}

// ProveConsistency proves that the log only grew.
func (s *Server) ProveConsistency(c *gin.Context, params contract.ProveConsistencyParams) {
	if s.Evidence == nil {
		s.problem(c, models.ErrNoReceiptKeys)
		return
	}
	checkpoint, proof, err := s.Evidence.Consistency(c.Request.Context(), params.Size)
	s.finish(c, err, func() {
		c.JSON(http.StatusOK, contract.ConsistencyProof{Consistency: proof, Checkpoint: checkpoint})
	})
}

// GetLogTile answers with hashes of the log.
func (s *Server) GetLogTile(c *gin.Context, params contract.GetLogTileParams) {
	if s.Evidence == nil {
		s.problem(c, models.ErrNoReceiptKeys)
		return
	}
	tile, err := s.Evidence.Tile(c.Request.Context(), params.Path)
	s.finish(c, err, func() {
		c.Header("Cache-Control", "public, max-age=31536000, immutable")
		c.Data(http.StatusOK, "application/octet-stream", tile)
	})
}
