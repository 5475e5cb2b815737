package api

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// The protocol (https://tus.io/protocols/resumable-upload) and what of it we speak.
const (
	tusVersion    = "1.0.0"
	tusExtensions = "creation,creation-with-upload,creation-defer-length,termination,expiration,checksum,concatenation"
	tusAlgorithms = "sha256,sha1,md5,crc32c"
	tusMediaType  = "application/offset+octet-stream"
	tusPath       = "/broker/api/v1/filetransfer/upload/tus/"
	partSegment   = "/partial/"
)

// TusOptions tells what this server can.
func (s *Server) TusOptions(c *gin.Context, _ contract.FileTransferID) { tusCapabilities(c) }

// TusPartOptions tells the same of a part.
func (s *Server) TusPartOptions(c *gin.Context, _ contract.FileTransferID, _ contract.PartialUploadID) {
	tusCapabilities(c)
}

func tusCapabilities(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Tus-Version", tusVersion)
	h.Set("Tus-Extension", tusExtensions)
	h.Set("Tus-Checksum-Algorithm", tusAlgorithms)
	h.Set("Tus-Max-Size", decimal(models.MaxFileSizeLimit))
	c.Status(http.StatusNoContent)
}

// tus refuses other versions of the protocol and names ours in every answer.
func (s *Server) tus(c *gin.Context) {
	if !strings.HasPrefix(c.FullPath(), tusPath) {
		return
	}
	c.Header("Tus-Resumable", tusVersion)
	if c.Request.Method != http.MethodOptions && c.GetHeader("Tus-Resumable") != tusVersion {
		c.Header("Tus-Version", tusVersion)
		s.problem(c, models.ErrTusVersion)
	}
}

// withTusForms reads what the protocol and the Altinn broker write in two ways: X-HTTP-Method-Override, which
// stands for the method where a proxy lets only some pass, and the older path of a part, without "partial".
func withTusForms(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, is := strings.CutPrefix(r.URL.Path, tusPath)
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
			u.Path, u.RawPath = tusPath+transfer+partSegment+part, ""
		}
		next.ServeHTTP(w, &changed)
	})
}

// tusLocation is where an upload goes on. It is relative, as the reference's: the client knows the host it spoke to,
// a broker behind a proxy does not.
func tusLocation(u models.TusUpload) string {
	if u.Part {
		return partLocation(u.TransferID, u.ID)
	}
	return tusPath + u.TransferID.String()
}

func partLocation(transfer, part uuid.UUID) string {
	return tusPath + transfer.String() + partSegment + part.String()
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

// tusTransfer is a transfer for its sender alone.
func (s *Server) tusTransfer(c *gin.Context, id uuid.UUID) (models.TransferView, error) {
	v, err := s.look(c.Request.Context(), id, actor(c))
	if err == nil && !v.SentBy(caller(c)) {
		err = models.ErrNoAccess
	}
	return v, err
}

// tusUpload finds an upload of a transfer, or a part of one, and whether it can still be spoken of.
func (s *Server) tusUpload(c *gin.Context, id uuid.UUID, part *uuid.UUID) (models.TransferView, models.TusUpload, error) {
	v, err := s.tusTransfer(c, id)
	if err != nil {
		return v, models.TusUpload{}, err
	}
	u, err := s.Resumables.TusOf(c.Request.Context(), id, part)
	if err == nil {
		err = s.standing(v, u)
	}
	return v, u, err
}

// standing tells why nobody can speak of an upload any more.
func (s *Server) standing(v models.TransferView, u models.TusUpload) error {
	own := v.ContentKey != "" && v.ContentKey == models.AttemptKey(v.ID, u.ID)
	switch {
	case own && v.Status != models.TransferCancelled:
		return nil
	case v.Status == models.TransferFailed && u.Completed != nil && !u.Part && isContentFault(v.StatusText):
		return models.ContentFault(v.StatusText)
	case v.Status != models.TransferInitialized && v.ContentKey != "" && !u.Part:
		return models.ErrAlreadyUploaded
	case v.Status != models.TransferInitialized, !u.Live(s.now()):
		return models.ErrUploadGone
	}
	return nil
}

func isContentFault(text string) bool {
	return text == models.FaultChecksum || text == models.FaultSize || text == models.FaultStored
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// tusState writes where an upload stands.
func tusState(c *gin.Context, u models.TusUpload) {
	c.Header("Upload-Offset", decimal(u.Received))
	if u.Completed == nil {
		c.Header("Upload-Expires", u.Expires.UTC().Format(http.TimeFormat))
	}
}

// TusStatus tells where an upload stands.
func (s *Server) TusStatus(c *gin.Context, id contract.FileTransferID, _ contract.TusStatusParams) {
	s.tusStatus(c, id, nil)
}

// TusPartStatus tells where a part stands.
func (s *Server) TusPartStatus(c *gin.Context, id contract.FileTransferID, part contract.PartialUploadID, _ contract.TusPartStatusParams) {
	s.tusStatus(c, id, &part)
}

func (s *Server) tusStatus(c *gin.Context, id uuid.UUID, part *uuid.UUID) {
	v, u, err := s.tusUpload(c, id, part)
	if err == nil && s.tusWriters.settle(c.Request.Context(), u.ID) {
		v, u, err = s.tusUpload(c, id, part)
	}
	if err == nil && u.Completed != nil && !u.Part {
		err = s.finishTus(c.Request.Context(), v, u, actor(c)) // clients take a complete upload for a success
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	tusState(c, u)
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
func (s *Server) TusTerminate(c *gin.Context, id contract.FileTransferID, _ contract.TusTerminateParams) {
	s.tusTerminate(c, id, nil)
}

// TusPartTerminate gives a part up.
func (s *Server) TusPartTerminate(c *gin.Context, id contract.FileTransferID, part contract.PartialUploadID, _ contract.TusPartTerminateParams) {
	s.tusTerminate(c, id, &part)
}

func (s *Server) tusTerminate(c *gin.Context, id uuid.UUID, part *uuid.UUID) {
	_, u, err := s.tusUpload(c, id, part)
	if err == nil {
		err = s.Resumables.EndTus(c.Request.Context(), u.ID)
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	s.tusWriters.stop(u.ID)
	s.dropTus(c.Request.Context(), u)
	c.Status(http.StatusNoContent)
}

// lateTus is how long a request waits for a file that is whole to be hashed, joined and published.
const lateTus = 15 * time.Second
