package api

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// ConfirmDownload records that the calling recipient has the file (reference 1.3, confirm download).
func (s *Server) ConfirmDownload(c *gin.Context, id FileTransferID) {
	if err := s.confirm(c.Request.Context(), id, caller(c)); err != nil {
		s.problem(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

func (s *Server) confirm(ctx context.Context, id uuid.UUID, by models.Party) error {
	v, err := s.Views.TransferFor(ctx, id, by)
	if err != nil {
		return err
	}
	r, recipient := v.RecipientFor(by)
	switch {
	case !recipient:
		return models.ErrNoAccess
	case r.Confirmed != nil:
		return nil // for ever: also when the file has gone since
	case v.ContentKey == "":
		return models.ErrNoFileYet
	case v.Status != models.TransferPublished:
		return models.ErrNotPublished
	case r.FirstAccess == nil:
		return models.ErrNotDownloaded
	}
	return s.Transfers.Confirm(ctx, id, r.GroupNo, by)
}
