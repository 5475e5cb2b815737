package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/bytepath"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// Limits of the form (docs/reference/altinn-broker.md 2.6, and ours for what is not the file), in bytes and parts.
const (
	maxForm      = 2_147_483_647
	maxFormField = 64 << 10
	maxFormText  = web.MaxJSON // all fields together
	maxFormParts = 20_000
	filePart     = "FileTransfer"
)

// InitializeAndUpload takes metadata and file in one form (docs/reference/altinn-broker.md 1.3). The parts come in any order and
// none is buffered: a file that comes before its metadata is stored under an attempt that the transfer,
// once it is accepted, adopts.
func (s *Server) InitializeAndUpload(c *gin.Context, params contract.InitializeAndUploadParams) {
	id, status, err := s.initializeAndUpload(c, params.IdempotencyKey)
	if err != nil {
		web.Problem(c, err)
		return
	}
	c.JSON(http.StatusOK, contract.FileUploaded{FileTransferID: id, FileTransferStatus: contract.FileTransferStatus(status.String())})
}

func (s *Server) initializeAndUpload(c *gin.Context, key *string) (uuid.UUID, models.TransferStatus, error) {
	id, err := transferID(web.Caller(c), key)
	if err != nil {
		return id, 0, err
	}
	if n := c.Request.ContentLength; n > maxForm {
		return id, 0, models.ErrFileTooLarge.Exceeded(maxForm, n)
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, io.NopCloser(bytepath.Patient(c, s.UploadPatience)), maxForm)
	parts, err := c.Request.MultipartReader()
	if err != nil {
		return id, 0, models.ErrMediaType.Because("Send multipart/form-data.")
	}
	f := &form{s: s, c: c, id: id, key: key}
	status, err := f.read(parts)
	if err != nil {
		f.discard(c.Request.Context())
	}
	return id, status, err
}

// form is one initialize-and-upload under way.
type form struct {
	s   *Server
	c   *gin.Context
	id  uuid.UUID
	key *string

	draft   models.Draft
	text    int    // bytes of all fields so far
	stored  *lease // of the file, until a transfer adopts it
	content models.Content

	accepted bool // the transfer exists, and others may upload to it
	noMD5    bool // none was computed, as the service wished when the file came
}

// read goes through the parts. The file can be sent straight to its transfer only when it is the last
// part; whether it is cannot be known beforehand, so every file is stored first and adopted at the end.
func (f *form) read(parts *multipart.Reader) (models.TransferStatus, error) {
	for n := 0; ; n++ {
		part, err := parts.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return f.finish()
		case err != nil:
			return 0, formError(err)
		case n >= maxFormParts:
			return 0, models.InvalidField(part.FormName(), "The form has too many parts.")
		case strings.EqualFold(part.FormName(), filePart): // as ASP.NET has it
			err = f.file(part)
		default:
			err = f.field(part)
		}
		if err != nil {
			return 0, err
		}
	}
}

func (f *form) file(part *multipart.Part) error {
	if f.stored != nil {
		return models.InvalidField(filePart, "There is more than one file.")
	}
	release, err := f.s.uploads.Take(web.Caller(f.c))
	if err != nil {
		return err
	}
	defer release()
	if err := f.s.Transfers.Ready(f.c.Request.Context()); err != nil {
		return err
	}
	l, err := f.s.begin(f.c.Request.Context(), nil, attempt{transfer: f.id, key: web.Value(f.key), by: web.Actor(f.c)})
	if err != nil {
		return err
	}
	f.stored = l
	without := f.leftOut(f.c.Request.Context())
	f.noMD5 = len(without) > 0
	if f.content, err = l.put(f.c.Request.Context(), clientsPart{part}, maxForm, without...); err != nil {
		return formError(err)
	}
	return nil
}

// leftOut are the hashes that the service does not want, if the form has named it yet and declares none of them.
func (f *form) leftOut(ctx context.Context) []models.Hash {
	if f.draft.ResourceID == "" || f.draft.Checksum != "" || models.CheckResourceID(f.draft.ResourceID) != nil {
		return nil
	}
	r, err := f.s.Services.ResourceByID(ctx, models.ResourceID(f.draft.ResourceID))
	if err != nil || r.ComputeMD5 {
		return nil // whoever is wrong about the service is told later
	}
	return []models.Hash{models.HashMD5}
}

// clientsPart marks what goes wrong while a part is read as the client's doing: a form that ends within it.
type clientsPart struct{ *multipart.Part }

// Read implements io.Reader.
func (p clientsPart) Read(b []byte) (int, error) {
	n, err := p.Part.Read(b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bytepath.ErrBody) {
		err = fmt.Errorf("%w: %w", bytepath.ErrBody, err)
	}
	return n, err
}

// formError says what a form is broken by.
func formError(err error) error {
	var size *http.MaxBytesError
	switch _, known := models.AsError(err); {
	case errors.As(err, &size):
		return models.ErrFileTooLarge.Exceeded(size.Limit, size.Limit+1)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, bytepath.ErrBody):
		return uploadError(fmt.Errorf("%w: %w", bytepath.ErrBody, err), nil)
	case known:
		return err
	}
	return models.InvalidField(filePart, "The form cannot be read.")
}

// finish initializes the transfer and gives it its file.
func (f *form) finish() (models.TransferStatus, error) {
	ctx := f.c.Request.Context()
	if f.stored == nil {
		return 0, models.InvalidField(filePart, "The FileTransfer field is required.")
	}
	if err := f.fits(ctx); err != nil {
		return 0, err
	}
	if err := f.s.initialize(ctx, web.Actor(f.c), f.draft, f.id, web.Value(f.key)); err != nil {
		return 0, err
	}
	f.accepted = true
	v, err := f.s.Views.TransferFor(ctx, f.id, web.Caller(f.c))
	if err != nil {
		return 0, err
	}
	if models.MayUpload(v.EffectiveStatus) != nil {
		f.discard(ctx) // a repeated request: the first one's file stays
		return f.s.uploadedBefore(ctx, v, web.Value(f.key))
	}
	if f.content.Size > v.MaxFileSize {
		return 0, models.ErrFileTooLarge.Exceeded(v.MaxFileSize, f.content.Size)
	}
	status, err := f.adopt(context.WithoutCancel(ctx))
	return f.s.unlessBefore(ctx, v, web.Value(f.key), status, err)
}

// fits refuses a file that is too large for its service before there is a transfer that could never have it.
// Who may not send is told nothing about the service here.
func (f *form) fits(ctx context.Context) error {
	id := models.ResourceID(f.draft.ResourceID)
	if models.CheckResourceID(f.draft.ResourceID) != nil {
		return nil // initialize names all that is wrong
	}
	send, _, err := f.s.Rights.RightsOf(ctx, id, web.Caller(f.c))
	if err != nil || !send {
		return err
	}
	r, err := f.s.Services.ResourceByID(ctx, id)
	if err == nil && f.content.Size > r.MaxFileSize {
		return models.ErrFileTooLarge.Exceeded(r.MaxFileSize, f.content.Size)
	}
	if err == nil && f.noMD5 { // whatever the service says by now, there is nothing to compare with
		r.ComputeMD5 = false
		err = r.CheckDeclared(f.draft.Checksum)
	}
	return err
}

// adopt gives the file to the transfer; from then on the transfer's workflow cleans up.
func (f *form) adopt(ctx context.Context) (models.TransferStatus, error) {
	if err := f.s.Uploads.AdoptUpload(ctx, f.stored.id, f.id); err != nil {
		f.discard(ctx)
		return 0, err
	}
	adopted := f.stored.id
	f.stored = nil
	return f.s.offer(ctx, f.id, adopted, f.content, web.Actor(f.c))
}

// discard removes a file that found no transfer.
func (f *form) discard(ctx context.Context) {
	if f.stored == nil {
		return
	}
	what := f.stored.object
	if f.key == nil && !f.accepted {
		what = models.TransferPrefix(f.id) // nobody else knows this id: its directory goes too
	}
	f.stored.discard(ctx, what)
	f.stored = nil
}

// propertyField matches Metadata.PropertyList[key] and Metadata.PropertyList.key.
var propertyField = regexp.MustCompile(`(?is)^PropertyList(?:\[(.*)\]|\.(.*))$`)

var recipientField = regexp.MustCompile(`(?i)^Recipients(?:\[\d{0,9}\])?$`)

// field reads one metadata part; names count in any case.
func (f *form) field(part *multipart.Part) error {
	name, isMetadata := cutPrefixFold(part.FormName(), "Metadata.")
	raw, err := io.ReadAll(io.LimitReader(part, maxFormField+1))
	switch {
	case err != nil:
		return formError(err)
	case len(raw) > maxFormField:
		return models.InvalidField(part.FormName(), "The field is too long.")
	case f.text+len(raw) > maxFormText:
		return models.ErrRequestTooLarge.Exceeded(maxFormText, int64(f.text+len(raw)))
	case !isMetadata:
		return nil // unknown fields are ignored, as in JSON
	}
	f.text += len(raw) + len(name)
	return f.draftField(part.FormName(), name, string(raw))
}

func (f *form) draftField(full, name, text string) error {
	texts := map[string]*string{
		"filename": &f.draft.FileName, "resourceid": &f.draft.ResourceID, "sender": &f.draft.Sender,
		"sendersfiletransferreference": &f.draft.SendersReference, "checksum": &f.draft.Checksum, "sha256": &f.draft.SHA256,
		"proof": &f.draft.Proof,
	}
	if target := texts[strings.ToLower(name)]; target != nil {
		*target = text
		return nil
	}
	if recipientField.MatchString(name) {
		f.draft.Recipients = append(f.draft.Recipients, text)
		return nil
	}
	if m := propertyField.FindStringSubmatch(name); m != nil {
		if f.draft.PropertyList == nil {
			f.draft.PropertyList = map[string]string{}
		}
		f.draft.PropertyList[m[1]+m[2]] = text
		return nil
	}
	if strings.EqualFold(name, "DisableVirusScan") {
		on, err := strconv.ParseBool(strings.TrimSpace(text))
		if err != nil {
			return models.InvalidField(full, "The value is not valid.")
		}
		f.draft.DisableVirusScan = on
	}
	return nil
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
