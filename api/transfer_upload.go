package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/bytepath"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// UploadFile streams the bytes of a transfer into storage and answers when they are published
// (docs/reference/altinn-broker.md 1.3, upload). All that can be refused is refused before the first byte is read.
func (s *Server) UploadFile(c *gin.Context, id contract.FileTransferID, params contract.UploadFileParams) {
	status, err := s.upload(c, id, web.Value(params.IdempotencyKey), web.Value(params.FormidlingProof))
	if err != nil {
		web.Problem(c, err)
		return
	}
	c.JSON(http.StatusOK, contract.FileUploaded{FileTransferID: id, FileTransferStatus: contract.FileTransferStatus(status.String())})
}

func (s *Server) upload(c *gin.Context, id uuid.UUID, key, proof string) (models.TransferStatus, error) {
	ctx := c.Request.Context()
	if err := checkUpload(c.Request, key); err != nil {
		return 0, err
	}
	v, err := s.sight.Look(ctx, id, web.Actor(c))
	if err != nil {
		return 0, err
	}
	if err := v.MayActAsSender(web.Caller(c)); err != nil {
		return 0, err
	}
	if models.MayUpload(v.EffectiveStatus) == nil {
		if n := c.Request.ContentLength; n > v.MaxFileSize {
			return 0, models.ErrFileTooLarge.Exceeded(v.MaxFileSize, n)
		}
		q := models.Question{Action: models.ActionUpload, From: v.Sender, By: web.Actor(c)}
		if err := s.Rights.CheckRight(ctx, v.ResourceID, q); err != nil { // before the body, and again when it is there
			return 0, err
		}
		if err := s.SenderProof(ctx, v, web.Actor(c), proof); err != nil {
			return 0, err
		}
		status, err := s.receive(ctx, attempt{transfer: id, key: key, limit: v.MaxFileSize, without: v.LeftOut(), by: web.Actor(c)}, bytepath.Patient(c, s.UploadPatience))
		return s.unlessBefore(ctx, v, key, status, err)
	}
	return s.uploadedBefore(ctx, v, key)
}

// unlessBefore answers an upload that lost against another one as a second upload: the winner may be its
// own first try, whose client gave up waiting.
func (s *Server) unlessBefore(ctx context.Context, v models.TransferView, key string, status models.TransferStatus, err error) (models.TransferStatus, error) {
	if key == "" || !errors.Is(err, models.ErrAlreadyUploaded) {
		return status, err
	}
	if v, err = s.Views.TransferFor(ctx, v.ID, v.Sender); err != nil {
		return 0, err
	}
	return s.uploadedBefore(ctx, v, key)
}

func checkUpload(r *http.Request, key string) error {
	if key != "" {
		if err := models.CheckIdempotencyKey(key); err != nil {
			return err
		}
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Header.Get("Content-Type") != "" && (err != nil || kind != "application/octet-stream") {
		return models.ErrMediaType.Because("Send application/octet-stream.")
	}
	return nil
}

// uploadedBefore answers a second upload: with the first one's answer when it carries the same key. Bytes
// that are durable but whose workflow was not notified are offered again, so that nobody sends them twice.
func (s *Server) uploadedBefore(ctx context.Context, v models.TransferView, key string) (models.TransferStatus, error) {
	staged, err := s.Uploads.StagedAttempt(ctx, v.ID, key)
	if err != nil {
		return 0, err
	}
	if staged == nil {
		return 0, models.ErrAlreadyUploaded
	}
	offer, err := v.UploadedBefore(*staged, key != "")
	status := v.EffectiveStatus
	if err == nil && offer {
		status, err = s.Transfers.ContentReceived(ctx, v.ID, *staged)
	}
	if err == nil && key == "" { // its content was published now, but not for this request
		err = models.ErrAlreadyUploaded
	}
	return status, err
}

// attempt is one try to upload the content of a transfer.
type attempt struct {
	transfer uuid.UUID
	key      string // Idempotency-Key, or empty
	limit    int64  // bytes
	without  []models.Hash
	by       models.Caller
}

// receive stores a body for a transfer that awaits one and tells its workflow.
func (s *Server) receive(ctx context.Context, a attempt, body io.Reader) (models.TransferStatus, error) {
	release, err := s.uploads.Take(a.by.Party)
	if err != nil {
		return 0, err
	}
	defer release()
	if err := s.Transfers.Ready(ctx); err != nil {
		return 0, err
	}
	l, err := s.begin(ctx, &a.transfer, a)
	if err != nil {
		return 0, err
	}
	content, err := l.put(ctx, body, a.limit, a.without...)
	if err != nil {
		l.discard(ctx, l.object)
		return 0, s.unlessEnded(ctx, a, err)
	}
	return s.offer(context.WithoutCancel(ctx), a.transfer, l.id, content, a.by)
}

// unlessEnded tells an upload that failed because its transfer ended meanwhile, and was cleaned up under it, that
// it is too late; another fault of storage stays what it is.
func (s *Server) unlessEnded(ctx context.Context, a attempt, err error) error {
	if !errors.Is(err, models.ErrUnavailable) {
		return err
	}
	v, failed := s.Views.TransferFor(ctx, a.transfer, a.by.Party)
	if failed == nil {
		if late := models.MayUpload(v.EffectiveStatus); late != nil {
			return fmt.Errorf("%w: %w", late, err)
		}
	}
	return err
}

// offer makes durable bytes known: first to the store, where the workflow finds them if this process
// ends, then to the workflow. Bytes that come too late, or from who lost the right meanwhile, are removed.
func (s *Server) offer(ctx context.Context, transfer, id uuid.UUID, content models.Content, by models.Caller) (models.TransferStatus, error) {
	if err := s.Uploads.StageContent(ctx, transfer, id, content, by); err != nil {
		if e, refused := models.AsError(err); refused && !e.Retryable() {
			(&lease{s: s, id: id}).discard(ctx, content.Key)
		}
		return 0, err
	}
	status, err := s.Transfers.ContentReceived(ctx, transfer, id)
	if errors.Is(err, models.ErrAlreadyUploaded) {
		// if this fails the workflow discards them at the transfer's end
		_ = s.Contents.DeleteAll(ctx, content.Key)
	}
	return status, err
}
