package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// maxTusMetadata bounds Upload-Metadata, in bytes.
const maxTusMetadata = 8 << 10

// TusOpen opens an upload or a part, with or without its first bytes, or joins parts.
func (s *Server) TusOpen(c *gin.Context, id contract.FileTransferID, p contract.TusOpenParams) {
	u, err := s.openTus(c, id, p)
	if err != nil {
		s.problem(c, err)
		return
	}
	c.Header("Location", tusLocation(u))
	tusState(c, u)
	c.Status(http.StatusCreated)
}

func (s *Server) openTus(c *gin.Context, id uuid.UUID, p contract.TusOpenParams) (models.TusUpload, error) {
	v, err := s.tusTransfer(c, id)
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
	wanted.OpenedBy = actor(c)
	if !wanted.Part && v.EffectiveStatus.AwaitsContent() {
		if err := s.senderProof(c.Request.Context(), v, wanted.OpenedBy, value(p.FormidlingProof)); err != nil {
			return wanted, err
		}
	}
	if len(wanted.Joins) > 0 {
		return s.joinTus(c, v, wanted)
	}
	first, err := readFirst(c, p)
	if err != nil {
		return wanted, err
	}
	if !v.EffectiveStatus.AwaitsContent() && (v.Status != models.TransferInitialized || wanted.Part) {
		return wanted, models.ErrAlreadyUploaded
	}
	u, err := s.Resumables.OpenTus(c.Request.Context(), wanted)
	switch {
	case err != nil:
		return u, err
	case first != nil && u.Completed == nil && u.Received == 0:
		return s.appendTus(c, v, u, *first)
	case u.Completed != nil && !u.Part:
		return u, s.finishTus(c.Request.Context(), v, u, actor(c))
	}
	return u, nil
}

// readOpening checks what is to be opened.
func readOpening(v models.TransferView, p contract.TusOpenParams) (models.TusUpload, error) {
	u := models.TusUpload{TransferID: v.ID, NoMD5: !v.ComputeMD5, Length: p.UploadLength, Metadata: value(p.UploadMetadata)}
	deferred := value(p.UploadDeferLength)
	switch {
	case len(u.Metadata) > maxTusMetadata:
		return u, models.InvalidField("Upload-Metadata", fmt.Sprintf("Upload-Metadata may have %d bytes.", maxTusMetadata))
	case p.UploadDeferLength != nil && deferred != "1":
		return u, models.InvalidField("Upload-Defer-Length", "Upload-Defer-Length can only be 1.")
	case u.Length != nil && deferred != "":
		return u, models.InvalidField("Upload-Defer-Length", "Send Upload-Length or Upload-Defer-Length, not both.")
	}
	if err := models.CheckText("Upload-Metadata", u.Metadata); err != nil {
		return u, err
	}
	concat := value(p.UploadConcat)
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
	return u, checkTusLength(v, *u.Length)
}

func checkTusLength(v models.TransferView, length int64) error {
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
	seen := make(map[uuid.UUID]bool, len(urls))
	for _, location := range urls {
		part, ok := partOf(u.TransferID, location)
		switch {
		case !ok:
			return models.InvalidField("Upload-Concat", "What stands after final; must be the URLs of parts of this file transfer.")
		case seen[part]:
			return models.InvalidField("Upload-Concat", "A part can be joined once only.")
		}
		seen[part] = true
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
	return &chunk{check: check}, checkTusType(c)
}

// joinTus makes the parts of a transfer its content.
func (s *Server) joinTus(c *gin.Context, v models.TransferView, wanted models.TusUpload) (models.TusUpload, error) {
	ctx := c.Request.Context()
	if v.Status != models.TransferInitialized || v.Staged != nil { // the same request again, most likely
		u, err := s.Resumables.TusOf(ctx, v.ID, nil)
		if err == nil && slices.Equal(u.Joins, wanted.Joins) {
			if err = s.standing(v, u); err == nil {
				err = s.finishTus(ctx, v, u, wanted.OpenedBy)
			}
			return u, err
		}
		return u, models.ErrAlreadyUploaded
	}
	u, err := s.Resumables.JoinTus(ctx, wanted)
	if err == nil {
		err = s.finishTus(ctx, v, u, wanted.OpenedBy)
	}
	return u, err
}
