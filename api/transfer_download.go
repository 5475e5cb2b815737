package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/bytepath"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// DownloadFile serves the file, or one range of it, to a recipient (docs/reference/altinn-broker.md 1.3, download).
func (s *Server) DownloadFile(c *gin.Context, id contract.FileTransferID, params contract.DownloadFileParams) {
	v, at, err := s.prepare(c, id, contract.HeadFileParams(params))
	if err != nil {
		web.Problem(c, err)
		return
	}
	if at.notModified {
		c.Status(http.StatusNotModified)
		return
	}
	if err := s.serve(c, v, at); err != nil {
		web.Problem(c, err)
	}
}

// HeadFile answers as DownloadFile would, without the bytes; nothing is recorded.
func (s *Server) HeadFile(c *gin.Context, id contract.FileTransferID, params contract.HeadFileParams) {
	_, at, err := s.prepare(c, id, params)
	if err != nil {
		web.Problem(c, err)
		return
	}
	c.Status(at.status())
	c.Writer.WriteHeaderNow()
}

// prepare checks that the caller may have the file, and sets the headers of the answer.
func (s *Server) prepare(c *gin.Context, id contract.FileTransferID, params contract.HeadFileParams) (models.TransferView, byteRange, error) {
	v, err := s.sight.Look(c.Request.Context(), id, web.Actor(c))
	if err != nil {
		return v, byteRange{}, err
	}
	if err := v.MayDownload(web.Caller(c)); err != nil {
		return v, byteRange{}, err
	}
	if err := s.Rights.CheckRight(c.Request.Context(), v.ResourceID, receiving(c, v)); err != nil {
		return v, byteRange{}, err
	}
	h := c.Writer.Header()
	etag := `"` + v.ContentSHA256 + `"`
	if matches(web.Value(params.IfNoneMatch), etag) { // before the range, as RFC 9110, 13.2.2 has it
		h.Set("ETag", etag)
		return v, byteRange{notModified: true}, nil
	}
	at, err := wanted(web.Value(params.Range), web.Value(params.IfRange), etag, v.ContentSize)
	if err != nil {
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", v.ContentSize))
		return v, byteRange{}, err
	}
	h.Set("ETag", etag)
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", disposition(v.FileName))
	h.Set("Repr-Digest", reprDigest(v.Content()))
	h.Set("Content-Length", strconv.FormatInt(at.length, 10))
	if at.partial {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", at.first, at.first+at.length-1, v.ContentSize))
	}
	return v, at, nil
}

// serve records the access and sends the bytes. Once the first byte is out a failure can only end the
// connection; the client sees that bytes are missing.
func (s *Server) serve(c *gin.Context, v models.TransferView, at byteRange) error {
	ctx := c.Request.Context()
	release, err := s.downloads.Take(web.Caller(c))
	if err != nil {
		return err
	}
	defer release()
	bytes, err := s.Contents.Open(ctx, v.Content(), at.first, at.length)
	if err != nil {
		return s.missing(ctx, v, web.Caller(c), err)
	}
	defer func() { _ = bytes.Close() }()
	access, err := s.Downloads.BeginAccess(ctx, v.ID, web.Actor(c), at.first, at.length)
	if err != nil {
		return err
	}
	right, stop := s.watchRight(c, v, access)
	c.Status(at.status())
	c.Writer.WriteHeaderNow()
	failed := send(c, bytes, at.length, right, cmp.Or(s.DownloadPatience, bytepath.WritePatience))
	stop()
	sent := right.sent.Load()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), bytepath.CleanUpTime)
	defer cancel()
	if err := s.Downloads.EndAccess(end, access, sent); err != nil {
		s.Log.WarnContext(end, "download's end not recorded", "transfer", v.ID, "sent", sent, "error", err.Error())
	}
	if failed != nil {
		web.NoteFailure(c, "download broken off", failed)
		panic(http.ErrAbortHandler) // the only way to say that the body is short
	}
	return nil
}

// missing says why the object of a published file could not be opened: it was purged since we looked, or
// it is lost, which is a fault of ours.
func (s *Server) missing(ctx context.Context, v models.TransferView, by models.Party, cause error) error {
	if !errors.Is(cause, models.ErrObjectNotFound) {
		return cause
	}
	now, err := s.Views.TransferFor(ctx, v.ID, by)
	if err == nil {
		err = models.MayDownload(now.Status)
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: the object of transfer %s is not in storage", models.ErrInternal, v.ID)
}

// disposition carries the file name as the data it is (RFC 6266, RFC 8187).
func disposition(name string) string {
	if d := mime.FormatMediaType("attachment", map[string]string{"filename": name}); d != "" {
		return d
	}
	return "attachment"
}

// reprDigest is RFC 9530's digest of the whole file, whatever range is sent.
func reprDigest(c models.Content) string {
	raw, _ := hex.DecodeString(c.SHA256) // written by us as hex
	return "sha-256=:" + base64.StdEncoding.EncodeToString(raw) + ":"
}
