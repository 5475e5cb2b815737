package tus

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// maxMetadata bounds Upload-Metadata, in bytes.
const maxMetadata = 8 << 10

// TusOpen opens an upload or a part, with or without its first bytes, or joins parts.
func (t *Handler) TusOpen(c *gin.Context, id contract.FileTransferID, p contract.TusOpenParams) {
	u, err := t.open(c, id, p)
	if err != nil {
		web.Problem(c, err)
		return
	}
	c.Header("Location", location(u))
	writeState(c, u)
	c.Status(http.StatusCreated)
}

func (t *Handler) open(c *gin.Context, id uuid.UUID, p contract.TusOpenParams) (models.TusUpload, error) {
	v, err := t.transfer(c, id)
	if err != nil {
		return models.TusUpload{}, err
	}
	wanted, err := readOpening(v, p)
	if err != nil {
		return wanted, err
	}
	if wanted.ID, err = uuid.NewV7(); err != nil {
		return wanted, fmt.Errorf("make upload id: %w", err)
	}
	wanted.OpenedBy = web.Actor(c)
	if !wanted.Part && models.MayUpload(v.EffectiveStatus) == nil {
		if err := t.Proofs.SenderProof(c.Request.Context(), v, wanted.OpenedBy, web.Value(p.FormidlingProof)); err != nil {
			return wanted, err
		}
	}
	if len(wanted.Joins) > 0 {
		return t.join(c, v, wanted)
	}
	first, err := readFirst(c, p)
	if err != nil {
		return wanted, err
	}
	if err := v.MayOpenUpload(wanted.Part); err != nil {
		return wanted, err
	}
	u, err := t.Resumables.OpenTus(c.Request.Context(), wanted)
	switch {
	case err != nil:
		return u, err
	case first != nil && u.Completed == nil && u.Received == 0:
		return t.receive(c, v, u, *first)
	case u.Completed != nil && !u.Part:
		return u, t.finish(c.Request.Context(), v, u, web.Actor(c))
	}
	return u, nil
}

// readOpening checks what is to be opened.
func readOpening(v models.TransferView, p contract.TusOpenParams) (models.TusUpload, error) {
	u := models.TusUpload{TransferID: v.ID, NoMD5: !v.ComputeMD5, Length: p.UploadLength, Metadata: web.Value(p.UploadMetadata)}
	deferred := web.Value(p.UploadDeferLength)
	switch {
	case len(u.Metadata) > maxMetadata:
		return u, models.InvalidField("Upload-Metadata", fmt.Sprintf("Upload-Metadata may have %d bytes.", maxMetadata))
	case p.UploadDeferLength != nil && deferred != "1":
		return u, models.InvalidField("Upload-Defer-Length", "Upload-Defer-Length can only be 1.")
	case u.Length != nil && deferred != "":
		return u, models.InvalidField("Upload-Defer-Length", "Send Upload-Length or Upload-Defer-Length, not both.")
	}
	if err := models.CheckText("Upload-Metadata", u.Metadata); err != nil {
		return u, err
	}
	concat := web.Value(p.UploadConcat)
	if list, final := strings.CutPrefix(concat, "final;"); final {
		if u.Length != nil || deferred != "" {
			return u, models.InvalidField("Upload-Length", "A final upload is as long as its parts: leave Upload-Length out.")
		}
		return u, readJoins(&u, list)
	}
	switch {
	case concat == "partial":
		u.Part = true
	case p.UploadConcat != nil:
		return u, models.InvalidField("Upload-Concat", "Upload-Concat is partial, or final; and the URLs of the parts.")
	}
	switch {
	case u.Length == nil && deferred == "":
		return u, models.InvalidField("Upload-Length", "Send Upload-Length, or Upload-Defer-Length: 1.")
	case u.Length == nil:
		return u, nil
	}
	return u, checkLength(v, *u.Length)
}

func checkLength(v models.TransferView, length int64) error {
	switch {
	case length < 0:
		return models.InvalidField("Upload-Length", "Upload-Length cannot be negative.")
	case length > v.MaxFileSize:
		return models.ErrFileTooLarge.Exceeded(v.MaxFileSize, length)
	}
	return nil
}

// readJoins reads the URLs of the parts of a final upload.
func readJoins(u *models.TusUpload, list string) error {
	urls := strings.Fields(list)
	if len(urls) == 0 || len(urls) > models.MaxTusParts {
		return models.InvalidField("Upload-Concat", fmt.Sprintf("After final; stand the URLs of 1 to %d parts.", models.MaxTusParts))
	}
	listed := make(map[uuid.UUID]bool, len(urls))
	for _, location := range urls {
		part, ok := partOf(u.TransferID, location)
		switch {
		case !ok:
			return models.InvalidField("Upload-Concat", "What stands after final; must be the URLs of parts of this file transfer.")
		case listed[part]:
			return models.InvalidField("Upload-Concat", "A part can be joined once only.")
		}
		listed[part] = true
		u.Joins = append(u.Joins, part)
	}
	return nil
}

// readFirst reads what came with the request that opens an upload; nil: nothing did.
func readFirst(c *gin.Context, p contract.TusOpenParams) (*chunk, error) {
	if c.Request.ContentLength == 0 {
		return nil, nil
	}
	check, err := readChecksum(p.UploadChecksum)
	if err != nil {
		return nil, err
	}
	return &chunk{check: check}, checkMediaType(c)
}

// join makes the parts of a transfer its content.
func (t *Handler) join(c *gin.Context, v models.TransferView, wanted models.TusUpload) (models.TusUpload, error) {
	ctx := c.Request.Context()
	if refused := v.MayJoinParts(); refused != nil { // the same request again, most likely
		u, err := t.Resumables.TusOf(ctx, v.ID, nil)
		if err == nil && slices.Equal(u.Joins, wanted.Joins) {
			if err = v.MayResume(u, t.Now()); err == nil {
				err = t.finish(ctx, v, u, wanted.OpenedBy)
			}
			return u, err
		}
		return u, refused
	}
	u, err := t.Resumables.JoinTus(ctx, wanted)
	if err == nil {
		err = t.finish(ctx, v, u, wanted.OpenedBy)
	}
	return u, err
}
