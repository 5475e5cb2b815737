package tus

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// The protocol (https://tus.io/protocols/resumable-upload) and what of it we speak.
const (
	protocolVersion = "1.0.0"
	extensions      = "creation,creation-with-upload,creation-defer-length,termination,expiration,checksum,concatenation"
	algorithms      = "sha256,sha1,md5,crc32c"
	mediaType       = "application/offset+octet-stream"
	partSegment     = "/partial/"
)

// Path is where the protocol is spoken: what follows is the id of a transfer.
const Path = "/broker/api/v1/filetransfer/upload/tus/"

// TusOptions tells what this server can.
func (t *Handler) TusOptions(c *gin.Context, _ contract.FileTransferID) { capabilities(c) }

// TusPartOptions tells the same of a part.
func (t *Handler) TusPartOptions(c *gin.Context, _ contract.FileTransferID, _ contract.PartialUploadID) {
	capabilities(c)
}

func capabilities(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Tus-Version", protocolVersion)
	h.Set("Tus-Extension", extensions)
	h.Set("Tus-Checksum-Algorithm", algorithms)
	h.Set("Tus-Max-Size", decimal(models.MaxFileSizeLimit))
	c.Status(http.StatusNoContent)
}

// CheckVersion refuses other versions of the protocol and names ours in every answer. It is a middleware, and leaves
// other paths alone.
func CheckVersion(c *gin.Context) {
	if !strings.HasPrefix(c.FullPath(), Path) {
		return
	}
	c.Header("Tus-Resumable", protocolVersion)
	if c.Request.Method != http.MethodOptions && c.GetHeader("Tus-Resumable") != protocolVersion {
		c.Header("Tus-Version", protocolVersion)
		web.Problem(c, models.ErrTusVersion)
	}
}

// WithForms reads what the protocol and the Altinn broker write in two ways: X-HTTP-Method-Override, which
// stands for the method where a proxy lets only some pass, and the older path of a part, without "partial".
func WithForms(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, is := strings.CutPrefix(r.URL.Path, Path)
		if !is {
			next.ServeHTTP(w, r)
			return
		}
		changed := *r
		u := *r.URL
		changed.URL = &u
		switch m := strings.ToUpper(r.Header.Get("X-HTTP-Method-Override")); {
		case r.Method != http.MethodPost:
		case m == http.MethodPatch, m == http.MethodDelete, m == http.MethodHead:
			changed.Method = m
		}
		if transfer, part, two := strings.Cut(strings.Trim(rest, "/"), "/"); two && part != "" && !strings.Contains(part, "/") {
			u.Path, u.RawPath = Path+transfer+partSegment+part, ""
		}
		next.ServeHTTP(w, &changed)
	})
}

// location is where an upload goes on. It is relative (docs/reference/altinn-broker.md 1.4): the client knows the host it spoke to,
// a broker behind a proxy does not.
func location(u models.TusUpload) string {
	if u.Part {
		return partLocation(u.TransferID, u.ID)
	}
	return Path + u.TransferID.String()
}

func partLocation(transfer, part uuid.UUID) string {
	return Path + transfer.String() + partSegment + part.String()
}

// partOf reads the id of a part of a transfer from its URL, absolute or relative, in either form.
func partOf(transfer uuid.UUID, location string) (uuid.UUID, bool) {
	u, err := url.Parse(location)
	if err != nil {
		return uuid.Nil, false
	}
	segments := strings.Split(strings.Trim(u.Path, "/"), "/")
	n := len(segments)
	if n >= 3 && segments[n-2] == "partial" {
		segments = append(segments[:n-2], segments[n-1])
		n--
	}
	if n < 2 {
		return uuid.Nil, false
	}
	of, err := uuid.Parse(segments[n-2])
	if err != nil || of != transfer {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(segments[n-1])
	return id, err == nil
}

// transfer is a transfer for its sender alone.
func (t *Handler) transfer(c *gin.Context, id uuid.UUID) (models.TransferView, error) {
	v, err := t.Sight.Look(c.Request.Context(), id, web.Actor(c))
	if err == nil {
		err = v.MayActAsSender(web.Caller(c))
	}
	return v, err
}

// upload finds an upload of a transfer, or a part of one, and whether it can still be spoken of.
func (t *Handler) upload(c *gin.Context, id uuid.UUID, part *uuid.UUID) (models.TransferView, models.TusUpload, error) {
	v, err := t.transfer(c, id)
	if err != nil {
		return v, models.TusUpload{}, err
	}
	u, err := t.Resumables.TusOf(c.Request.Context(), id, part)
	if err == nil {
		err = v.MayResume(u, t.Now())
	}
	return v, u, err
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// writeState writes where an upload stands.
func writeState(c *gin.Context, u models.TusUpload) {
	c.Header("Upload-Offset", decimal(u.Received))
	if u.Completed == nil {
		c.Header("Upload-Expires", u.Expires.UTC().Format(http.TimeFormat))
	}
}

// TusStatus tells where an upload stands.
func (t *Handler) TusStatus(c *gin.Context, id contract.FileTransferID, _ contract.TusStatusParams) {
	t.status(c, id, nil)
}

// TusPartStatus tells where a part stands.
func (t *Handler) TusPartStatus(c *gin.Context, id contract.FileTransferID, part contract.PartialUploadID, _ contract.TusPartStatusParams) {
	t.status(c, id, &part)
}

func (t *Handler) status(c *gin.Context, id uuid.UUID, part *uuid.UUID) {
	v, u, err := t.upload(c, id, part)
	if err == nil && t.writers.settle(c.Request.Context(), u.ID) {
		v, u, err = t.upload(c, id, part)
	}
	if err == nil && u.Completed != nil && !u.Part {
		err = t.finish(c.Request.Context(), v, u, web.Actor(c)) // clients take a complete upload for a success
	}
	if err != nil {
		web.Problem(c, err)
		return
	}
	writeState(c, u)
	if u.Length != nil {
		c.Header("Upload-Length", decimal(*u.Length))
	} else {
		c.Header("Upload-Defer-Length", "1")
	}
	if u.Metadata != "" {
		c.Header("Upload-Metadata", u.Metadata)
	}
	switch {
	case u.Part:
		c.Header("Upload-Concat", "partial")
	case len(u.Joins) > 0:
		urls := make([]string, len(u.Joins))
		for i, p := range u.Joins {
			urls[i] = partLocation(u.TransferID, p)
		}
		c.Header("Upload-Concat", "final;"+strings.Join(urls, " "))
	}
	c.Status(http.StatusOK)
}

// TusTerminate gives an upload up.
func (t *Handler) TusTerminate(c *gin.Context, id contract.FileTransferID, _ contract.TusTerminateParams) {
	t.terminate(c, id, nil)
}

// TusPartTerminate gives a part up.
func (t *Handler) TusPartTerminate(c *gin.Context, id contract.FileTransferID, part contract.PartialUploadID, _ contract.TusPartTerminateParams) {
	t.terminate(c, id, &part)
}

func (t *Handler) terminate(c *gin.Context, id uuid.UUID, part *uuid.UUID) {
	_, u, err := t.upload(c, id, part)
	if err == nil {
		err = t.Resumables.EndTus(c.Request.Context(), u.ID)
	}
	if err != nil {
		web.Problem(c, err)
		return
	}
	t.writers.stop(u.ID)
	t.drop(c.Request.Context(), u)
	c.Status(http.StatusNoContent)
}
