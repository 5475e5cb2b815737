package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// ErrNoMethod answers a request to a path that is there, by a method that it does not know.
var ErrNoMethod = &models.Error{Kind: kindNoMethod, Code: models.ErrNoSuchRoute.Code, Message: "This path does not answer that method."}

// kindNoMethod is of HTTP only; the rest of the program does not know methods.
const kindNoMethod models.Kind = -1

// statuses is the one place where an error becomes an HTTP status; sections are of RFC 9110 and 9457's type.
var statuses = map[models.Kind]struct {
	status  int
	section string
}{
	models.KindInternal:          {http.StatusInternalServerError, "section-15.6.1"},
	models.KindInvalid:           {http.StatusBadRequest, "section-15.5.1"},
	models.KindUnauthorized:      {http.StatusUnauthorized, "section-15.5.2"},
	models.KindForbidden:         {http.StatusForbidden, "section-15.5.4"},
	models.KindNotFound:          {http.StatusNotFound, "section-15.5.5"},
	kindNoMethod:                 {http.StatusMethodNotAllowed, "section-15.5.6"},
	models.KindTimeout:           {http.StatusRequestTimeout, "section-15.5.9"},
	models.KindConflict:          {http.StatusConflict, "section-15.5.10"},
	models.KindTooLarge:          {http.StatusRequestEntityTooLarge, "section-15.5.14"},
	models.KindMediaType:         {http.StatusUnsupportedMediaType, "section-15.5.16"},
	models.KindCondition:         {http.StatusPreconditionFailed, "section-15.5.13"},
	models.KindRange:             {http.StatusRequestedRangeNotSatisfiable, "section-15.5.17"},
	models.KindMismatchedKey:     {http.StatusUnprocessableEntity, "section-15.5.21"},
	models.KindMismatchedContent: {http.StatusUnprocessableEntity, "section-15.5.21"},
	models.KindNoCondition:       {http.StatusPreconditionRequired, "section-15.5"},
	models.KindUnavailable:       {http.StatusServiceUnavailable, "section-15.6.4"},
	models.KindStorageFull:       {http.StatusInsufficientStorage, "section-15.6"},
	models.KindTooMany:           {http.StatusTooManyRequests, "section-15.5"},
	models.KindGone:              {http.StatusGone, "section-15.5.11"},
	models.KindVersion:           {http.StatusPreconditionFailed, "section-15.5.13"},
	models.KindChecksum:          {statusChecksum, "section-15.5"},
}

// statusChecksum is of the checksum extension of tus.
const statusChecksum = 460

// statusClientGone is nginx's status for a client that closed the connection; no RFC has one.
const statusClientGone = 499

// How long a caller should wait before it asks again, in seconds.
const (
	retryAfter     = 5
	retryAfterFull = 60
)

// Problem ends a request with a problem document (RFC 9457). What an unknown error says stays in the log.
func Problem(c *gin.Context, err error) {
	e, known := models.AsError(err)
	if !known {
		e = models.ErrInternal
	}
	at := statuses[e.Kind]
	NoteFailure(c, e.Code, err)
	switch {
	case c.Writer.Written():
		c.Abort() // too late to say
		return
	case errors.Is(err, context.Canceled) && c.Request.Context().Err() != nil:
		// Most likely nobody listens; but who closed only its own half still does, and must not read a 200.
		c.AbortWithStatus(statusClientGone)
		return
	}
	h := c.Writer.Header()
	if e.Retryable() {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	if e.Kind == models.KindStorageFull {
		h.Set("Retry-After", strconv.Itoa(retryAfterFull))
	}
	if errors.Is(e, models.ErrUnauthenticated) {
		h.Set("WWW-Authenticate", "Bearer")
	}
	for _, name := range []string{"ETag", "Accept-Ranges", "Content-Disposition", "Content-Length", "Repr-Digest"} {
		h.Del(name)
	}
	if e.Kind != models.KindRange {
		h.Del("Content-Range")
	}
	h.Set("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(at.status, contract.Problem{
		Type: "https://www.rfc-editor.org/rfc/rfc9110#" + at.section, Title: statusText(at.status), Status: at.status,
		Detail: e.Message, Code: e.Code, TraceID: TraceID(c), Retryable: e.Retryable(),
		Limit: e.Limit, Actual: e.Actual, Errors: FieldErrors(e.Fields),
	})
}

func statusText(status int) string {
	if status == statusChecksum {
		return "Checksum Mismatch"
	}
	return http.StatusText(status)
}

// FieldErrors lists what is wrong with each field, as problem documents do.
func FieldErrors(fields []models.FieldError) map[string][]string {
	if len(fields) == 0 {
		return nil
	}
	out := make(map[string][]string, len(fields))
	for _, f := range fields {
		out[f.Field] = append(out[f.Field], f.Message)
	}
	return out
}

// Finish ends a request with the error's problem, or with what write writes.
func Finish(c *gin.Context, err error, write func()) {
	if err != nil {
		Problem(c, err)
		return
	}
	write()
}

// NoteFailure keeps what went wrong with a request for the log.
func NoteFailure(c *gin.Context, code string, err error) {
	c.Set(keyFailure, failure{code: code, err: err})
}

// Failure is what went wrong with a request, to be logged; ok is false when nothing did.
func Failure(c *gin.Context) (what slog.LogValuer, ok bool) {
	f, ok := c.Value(keyFailure).(failure)
	return f, ok
}

// failure is what the log tells of a request that failed.
type failure struct {
	code string
	err  error
}

// LogValue implements slog.LogValuer.
func (f failure) LogValue() slog.Value {
	return slog.GroupValue(slog.String("code", f.code), slog.String("reason", f.err.Error()))
}
