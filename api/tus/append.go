package tus

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/bytepath"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// chunk is what a request says of the bytes that it brings.
type chunk struct {
	offset int64
	length *int64 // of the whole upload, if it was deferred
	check  *models.Checksum
}

// TusAppend adds bytes to an upload.
func (t *Handler) TusAppend(c *gin.Context, id contract.FileTransferID, p contract.TusAppendParams) {
	t.add(c, id, nil, p)
}

// TusPartAppend adds bytes to a part.
func (t *Handler) TusPartAppend(c *gin.Context, id contract.FileTransferID, part contract.PartialUploadID, p contract.TusPartAppendParams) {
	t.add(c, id, &part, contract.TusAppendParams(p))
}

func (t *Handler) add(c *gin.Context, id uuid.UUID, part *uuid.UUID, p contract.TusAppendParams) {
	u, err := t.patch(c, id, part, p)
	if err != nil {
		web.Problem(c, err)
		return
	}
	writeState(c, u)
	c.Status(http.StatusNoContent)
}

func (t *Handler) patch(c *gin.Context, id uuid.UUID, part *uuid.UUID, p contract.TusAppendParams) (models.TusUpload, error) {
	check, err := readChecksum(p.UploadChecksum)
	if err == nil {
		err = checkMediaType(c)
	}
	if err != nil {
		return models.TusUpload{}, err
	}
	v, u, err := t.upload(c, id, part)
	if err != nil {
		return u, err
	}
	k := chunk{offset: p.UploadOffset, length: p.UploadLength, check: check}
	switch {
	case k.offset != u.Received:
		return u, models.ErrUploadOffset
	case k.length != nil && (u.Length == nil || *u.Length != *k.length):
		if u.Length != nil {
			return u, models.InvalidField("Upload-Length", "The length of this upload is known and cannot change.")
		}
		if err := checkLength(v, *k.length); err != nil {
			return u, err
		}
		if *k.length < u.Received {
			return u, models.InvalidField("Upload-Length", "More bytes than that have come.")
		}
	}
	if u.Completed != nil {
		if c.Request.ContentLength > 0 {
			return u, models.ErrBeyondEnd
		}
		if u.Part {
			return u, nil
		}
		return u, t.finish(c.Request.Context(), v, u, web.Actor(c))
	}
	if err := models.MayUpload(v.EffectiveStatus); err != nil {
		return u, err
	}
	return t.receive(c, v, u, k)
}

func checkMediaType(c *gin.Context) error {
	kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || kind != mediaType {
		return models.ErrMediaType.Because("Send %s.", mediaType)
	}
	return nil
}

// readChecksum reads Upload-Checksum: an algorithm, a space, and the sum in base64.
func readChecksum(given *string) (*models.Checksum, error) {
	if given == nil {
		return nil, nil
	}
	algorithm, text, _ := strings.Cut(strings.TrimSpace(*given), " ")
	size, known := models.ChecksumAlgorithms()[algorithm]
	sum, err := base64.StdEncoding.DecodeString(text)
	if !known || err != nil || len(sum) != size {
		return nil, models.InvalidField("Upload-Checksum", "Upload-Checksum is one of "+algorithms+", a space, and the checksum in base64.")
	}
	return &models.Checksum{Algorithm: algorithm, Sum: sum}, nil
}

// receive receives the bytes of a request; with the last one the file is published.
func (t *Handler) receive(c *gin.Context, v models.TransferView, u models.TusUpload, k chunk) (models.TusUpload, error) {
	ctx := c.Request.Context()
	limit, tooLong := v.MaxFileSize-u.Received, error(models.ErrFileTooLarge.Exceeded(v.MaxFileSize, v.MaxFileSize+1))
	for _, length := range []*int64{u.Length, k.length} {
		if length != nil {
			limit, tooLong = *length-u.Received, models.ErrBeyondEnd
		}
	}
	if u.Part && u.Length == nil && k.length == nil {
		others, err := t.otherParts(ctx, u)
		if err != nil {
			return u, err
		}
		limit = max(0, limit-others)
	}
	if n := c.Request.ContentLength; n > limit {
		return u, tooLong
	}
	question := models.Question{Action: models.ActionUpload, From: v.Sender, By: web.Actor(c)}
	if err := t.Rights.CheckRight(ctx, v.ResourceID, question); err != nil { // before the body; of the whole file at its end
		return u, err
	}
	release, err := t.Slots.Take(web.Caller(c))
	if err != nil {
		return u, err
	}
	defer release()
	err = t.write(c, u, k, limit, tooLong)
	after, found := t.Resumables.TusOf(context.WithoutCancel(ctx), u.TransferID, partID(u))
	if err == nil {
		err = found
	}
	switch {
	case errors.Is(err, models.ErrUploadLost):
		return u, t.lost(ctx, after, err)
	case err != nil:
		return u, err
	case after.Completed != nil && after.Part:
		t.hashAhead(ctx, u.TransferID)
	case after.Completed != nil:
		err = t.finish(ctx, v, after, web.Actor(c))
	}
	return after, err
}

// lost gives an upload up whose bytes are not there any more. They may be gone because the upload is at its end.
func (t *Handler) lost(ctx context.Context, u models.TusUpload, lost error) error {
	switch {
	case u.Ended != nil:
		return models.ErrUploadGone
	case u.Completed != nil:
		return models.ErrAlreadyUploaded
	}
	t.reject(context.WithoutCancel(ctx), u)
	return lost
}

// otherParts is how many bytes the other parts of a transfer have or will have, as far as they say.
func (t *Handler) otherParts(ctx context.Context, u models.TusUpload) (n int64, err error) {
	parts, err := t.Resumables.TusParts(ctx, u.TransferID)
	for _, p := range parts {
		switch {
		case p.ID == u.ID, !p.Counts(t.Now()):
		case p.Length != nil:
			n += *p.Length
		default:
			n += p.Received
		}
	}
	return n, err
}

func partID(u models.TusUpload) *uuid.UUID {
	if u.Part {
		return &u.ID
	}
	return nil
}

// write streams a request's body to the end of an upload. What has come before a connection breaks is committed
// all the same, so nothing here ends with the request. tooLong is what a body beyond the limit gives.
func (t *Handler) write(c *gin.Context, u models.TusUpload, k chunk, limit int64, tooLong error) error {
	ctx, stop := context.WithCancelCause(context.WithoutCancel(c.Request.Context()))
	defer stop(nil)
	last, err := t.Resumables.LastTusSegment(ctx, u.ID)
	if err != nil {
		return err
	}
	w := &writer{stop: stop, connect: http.NewResponseController(c.Writer), done: make(chan struct{})}
	mine, leave := t.queue.enter(u)
	defer leave()
	hashes, held, err := t.waitTurn(c.Request.Context(), u, mine)
	if err != nil {
		return err
	}
	draft := draftOf(u, last)
	draft.Hashes, draft.CarryAll = hashes, held // else they must wait for those of the parts before
	var epoch int64
	var refused error // by the database
	err = t.Drafts.Append(ctx, draft, mine.start(bytepath.Patient(c, t.UploadPatience), held), models.TusAppend{
		Limit: limit, Check: k.check,
		Claim: func() (int64, error) {
			if epoch, refused = t.Resumables.ClaimTus(ctx, u.ID, k.offset, k.length); refused != nil {
				return 0, refused
			}
			w.epoch = epoch
			t.writers.begin(u.ID, w)
			w.watching.Go(func() { t.watch(ctx, w, u.ID, epoch) })
			return epoch, nil
		},
		Commit: func(p models.TusProgress) error {
			if refused = t.commit(ctx, u.ID, epoch, p); refused == nil && !held {
				t.hashAhead(ctx, u.TransferID)
			}
			return refused
		},
		Failed: w.end,
	})
	close(w.done)
	w.watching.Wait()
	t.writers.over(u.ID, w)
	if epoch != 0 {
		t.release(ctx, u.ID, epoch)
	}
	if ctx.Err() != nil { // what wake did to the connection would end the next request on it
		c.Header("Connection", "close")
		_ = w.connect.SetReadDeadline(time.Now().Add(lingerTime)) // net/http reads on after the answer, for ever if it may
	}
	if refused == nil && errors.Is(err, models.ErrFileTooLarge) {
		err = tooLong
	}
	return chunkError(err, context.Cause(ctx))
}

// draftOf is an upload as the storage takes it up, behind its last segment.
func draftOf(u models.TusUpload, last []models.TusSegment) models.TusDraft {
	d := models.TusDraft{Prefix: models.TusPrefix(u.TransferID, u.ID), Segments: last, Received: u.Received, CRC32C: u.CRC32C}
	if u.Share != nil {
		d.Place = &models.TusPlace{Key: models.TusSharedKey(u.TransferID, *u.Share), First: *u.Place, Length: *u.Length}
	}
	return d
}

// release lets the organisation begin another request in place of this one; should that fail, its lease runs out.
func (t *Handler) release(ctx context.Context, upload uuid.UUID, epoch int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bytepath.CleanUpTime)
	defer cancel()
	if err := t.Resumables.ReleaseTus(ctx, upload, epoch); err != nil {
		t.Log.WarnContext(ctx, "upload not released yet", "upload", upload, "error", err.Error())
	}
}

// commit tries for a while, because the bytes are there and only the database may be away for a moment.
func (t *Handler) commit(ctx context.Context, upload uuid.UUID, epoch int64, p models.TusProgress) error {
	const tries = 3
	for n := 1; ; n++ {
		err := t.Resumables.CommitTus(ctx, upload, epoch, p)
		if e, known := models.AsError(err); n == tries || !known || !e.Retryable() {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(n) * 200 * time.Millisecond):
		}
	}
}

// chunkError says what ended a chunk.
func chunkError(err, cause error) error {
	if err == nil {
		return nil
	}
	var known *models.Error
	switch {
	case errors.As(cause, &known):
		return cause
	case errors.As(err, &known):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %w", models.ErrStalled, err)
	case errors.Is(err, bytepath.ErrBody):
		return fmt.Errorf("%w: %w", models.ErrChunkCut, err)
	}
	return fmt.Errorf("%w: %w", models.ErrUploadFailed, err)
}

// lingerTime is for how long a client that was answered before it had sent all may go on with that, to read the answer then.
const lingerTime = 2 * time.Second
