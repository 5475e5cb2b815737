package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// CancelFileTransfer takes a transfer back, until the first download (Altinn has no such operation).
func (s *Server) CancelFileTransfer(c *gin.Context, id contract.FileTransferID) {
	v, err := s.sight.Look(c.Request.Context(), id, web.Actor(c))
	again := false
	if err == nil {
		again, err = v.MayCancel(web.Caller(c))
	}
	switch {
	case err != nil:
	case again: // a workflow that never heard of the first does so now
		_ = s.Transfers.Cancel(c.Request.Context(), id)
	case web.Actor(c).Supplier != "": // the sender itself may always take back what is its own
		err = s.Rights.CheckRight(c.Request.Context(), v.ResourceID, models.Question{Action: models.ActionUpload, From: v.Sender, By: web.Actor(c)})
		if err == nil {
			err = s.takeBack(c, v)
		}
	default:
		err = s.takeBack(c, v)
	}
	if err != nil {
		web.Problem(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// takeBack notes who takes the transfer back, and has its workflow do so.
func (s *Server) takeBack(c *gin.Context, v models.TransferView) error {
	if err := s.RecordStatement(c.Request.Context(), v, web.Actor(c), models.StatementCancellation, models.Claim{}); err != nil {
		return err
	}
	return s.Transfers.Cancel(c.Request.Context(), v.ID)
}
