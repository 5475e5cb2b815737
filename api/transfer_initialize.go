package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// InitializeFileTransfer registers a transfer of the caller (docs/reference/altinn-broker.md 1.3, initialize).
func (s *Server) InitializeFileTransfer(c *gin.Context, params contract.InitializeFileTransferParams) {
	var body contract.FileTransferInitialize
	id, err := transferID(web.Caller(c), params.IdempotencyKey)
	if err == nil {
		err = web.ReadJSON(c, &body, false)
	}
	if err == nil {
		err = s.initialize(c.Request.Context(), web.Actor(c), draftOf(body), id, web.Value(params.IdempotencyKey))
	}
	if err != nil {
		web.Problem(c, err)
		return
	}
	c.JSON(http.StatusOK, contract.FileTransferInitialized{FileTransferID: id})
}

func draftOf(b contract.FileTransferInitialize) models.Draft {
	d := models.Draft{
		FileName: b.FileName, ResourceID: b.ResourceID, Sender: b.Sender, Recipients: b.Recipients,
		SendersReference: b.SendersFileTransferReference, Checksum: web.Value(b.Checksum), SHA256: web.Value(b.Sha256),
		DisableVirusScan: web.Value(b.DisableVirusScan), Proof: web.Value(b.Proof),
	}
	if b.PropertyList != nil {
		d.PropertyList = *b.PropertyList
	}
	return d
}

// initialize checks a draft and has its workflow accept it under this id. The same key of the same
// sender always names the same transfer: models.ErrKeyReused when the draft is another one.
func (s *Server) initialize(ctx context.Context, by models.Caller, d models.Draft, id uuid.UUID, key string) error {
	sub, err := models.NewSubmission(d, s.MaxRecipients)
	if err != nil {
		return err
	}
	if sub.Sender.Party != by.Party {
		return models.ErrNoAccess
	}
	sub.ID, sub.IdempotencyKey, sub.By = id, key, by
	if known, err := s.acceptedBefore(ctx, sub); known || err != nil {
		return err
	}
	if err := s.CheckSubmission(sub); err != nil {
		return err
	}
	if err := s.refusedAgain(ctx, sub); err != nil {
		return err
	}
	duplicate, err := s.Transfers.Initialize(ctx, sub)
	if err == nil && duplicate {
		_, err = s.acceptedBefore(ctx, sub)
	}
	return err
}

// refusedAgain refuses without a workflow, which no receipt would tell of, what an organisation may not send that was
// refused very often today: a program that runs wild must not fill what we keep.
func (s *Server) refusedAgain(ctx context.Context, sub models.Submission) error {
	often, err := s.RefusedTooOften(ctx, sub.Sender.Party)
	if err != nil || !often {
		return err
	}
	return s.Rights.CheckRight(ctx, sub.ResourceID, sub.Question())
}

// transferID is named by the sender's key, or new.
func transferID(sender models.Party, key *string) (uuid.UUID, error) {
	if key == nil {
		id, err := uuid.NewV7()
		if err != nil {
			return id, fmt.Errorf("make transfer id: %w", err)
		}
		return id, nil
	}
	return models.IdempotentID(sender, *key), models.CheckIdempotencyKey(*key)
}

// acceptedBefore looks in the store, which remembers longer than Temporal does. It also makes a request
// fail at once while the database is down, before a workflow is started that nobody waits for.
func (s *Server) acceptedBefore(ctx context.Context, sub models.Submission) (bool, error) {
	v, err := s.Views.TransferFor(ctx, sub.ID, sub.Sender.Party)
	switch {
	case errors.Is(err, models.ErrTransferNotFound):
		return false, nil
	case err != nil:
		return false, err
	case !models.SameRequest(v.RequestHash, sub.RequestHash, sub.EarlierHash):
		return false, models.ErrKeyReused
	}
	return true, nil
}
