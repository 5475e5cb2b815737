package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/models"
)

// MaxJSON bounds a JSON request, in bytes: 10,000 recipients in their longest form fit.
const MaxJSON = 4 << 20

// ReadJSON reads a request into a struct. Property names count in any case, as ASP.NET has it; unknown
// ones are ignored on Altinn's operations, because its clients rely on it, and refused on ours.
func ReadJSON(c *gin.Context, into any, refuseUnknown bool) error {
	kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || kind != "application/json" && kind != "text/json" {
		return models.ErrMediaType.Because("Send application/json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, MaxJSON))
	if err != nil {
		return BadJSON(err)
	}
	if !utf8.Valid(body) { // the decoder would store something else than what was sent
		return models.InvalidField("$", "The request body is not valid UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if refuseUnknown {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(into); err != nil {
		return BadJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return models.InvalidField("$", "There is more than one JSON value in the request body.")
	}
	return nil
}

// BadJSON names what is wrong with a body that cannot be read, and repeats nothing of it.
func BadJSON(err error) error {
	var kind *json.UnmarshalTypeError
	var size *http.MaxBytesError
	switch {
	case errors.As(err, &size):
		return models.ErrRequestTooLarge.Exceeded(size.Limit, size.Limit+1)
	case errors.As(err, &kind) && kind.Field != "":
		return models.InvalidField(kind.Field, "The JSON value could not be converted to the type of this field.")
	case errors.Is(err, io.EOF):
		return models.InvalidField("$", "A non-empty request body is required.")
	}
	if field, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return models.InvalidField(strings.Trim(field, `"`), "The operation has no such field.")
	}
	return models.InvalidField("$", "The request body is not valid JSON for this operation.")
}
