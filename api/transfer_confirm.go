package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/receipts"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// ConfirmDownload records that the calling recipient has the file (docs/reference/altinn-broker.md 1.3, confirm download).
func (s *Server) ConfirmDownload(c *gin.Context, id contract.FileTransferID) {
	found, err := receipts.ReadConfirmation(c)
	if err == nil {
		err = s.confirm(c.Request.Context(), id, web.Actor(c), found)
	}
	if err != nil {
		web.Problem(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

func (s *Server) confirm(ctx context.Context, id uuid.UUID, actor models.Caller, found models.Claim) error {
	by := actor.Party
	v, err := s.sight.Look(ctx, id, actor)
	if err != nil {
		return err
	}
	r, again, err := v.MayConfirm(by)
	switch {
	case err != nil:
		return err
	case again: // for ever: also when the file has gone since
		if v.Status == models.TransferAllConfirmedDownloaded {
			// the workflow may have died with this, the last one, before it noted it (confirmForgotten); else nothing happens
			_ = s.Transfers.Confirm(ctx, id, r.GroupNo, by)
		}
		if found == (models.Claim{}) {
			return nil
		}
		return s.RecordStatement(ctx, v, actor, models.StatementAcknowledgement, found)
	}
	// here and not in the workflow: an update that was refused stays refused, though the right may come back
	if err := s.Rights.CheckRight(ctx, v.ResourceID, models.Question{Action: models.ActionReceive, From: v.Sender, By: actor}); err != nil {
		return err
	}
	if err := s.RecordStatement(ctx, v, actor, models.StatementConfirmation, found); err != nil {
		return err
	}
	if err = s.Transfers.Confirm(ctx, id, r.GroupNo, by); errors.Is(err, models.ErrNotPublished) {
		return s.confirmForgotten(ctx, id, r.GroupNo, by)
	}
	return err
}

// confirmForgotten confirms what the store calls published and the workflow does not. It is about to hear of it,
// or the update that published was lost: Temporal and a worker that die together forget an update whose first
// task was not done, though the database kept what it did. Offering the content again repairs that.
func (s *Server) confirmForgotten(ctx context.Context, id uuid.UUID, group int, by models.Party) error {
	attempt, err := s.Uploads.StagedAttempt(ctx, id, "")
	if err != nil {
		return err
	}
	if attempt == nil {
		return models.ErrNotPublished
	}
	if _, err = s.Transfers.ContentReceived(ctx, id, *attempt); err == nil {
		err = s.Transfers.Confirm(ctx, id, group, by)
	}
	if errors.Is(err, models.ErrNotPublished) || errors.Is(err, models.ErrAlreadyUploaded) {
		v, failed := s.Views.TransferFor(ctx, id, by)
		if failed != nil || v.Status == models.TransferPublished {
			return errors.Join(models.ErrUnavailable, failed) // it is still delivering
		}
		return models.ErrNotPublished // it has ended meanwhile
	}
	return err
}
