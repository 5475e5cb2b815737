package apitest

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/helpers"
	"github.com/pb33f/libopenapi-validator/paths"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/pb33f/libopenapi/orderedmap"

	"github.com/formidling/formidling/api"
)

// A contract checks responses against openapi.yaml. It is safe for concurrent use.
type checker struct {
	model     *v3.Document
	validator validator.Validator
	options   *config.ValidationOptions
}

// openapiChecker builds the contract once for the whole test binary, since compiling its schemas is slow.
var openapiChecker = sync.OnceValues(func() (*checker, error) {
	return newChecker(api.OpenAPI())
})

func newChecker(document []byte) (*checker, error) {
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		return nil, fmt.Errorf("build openapi.yaml: %w", err)
	}
	opts := []config.Option{
		config.WithFormatAssertions(),
		config.WithStrictMode(), // a field that the description does not name is an error
		config.WithStrictIgnorePaths("$.body.propertyList**", "$.body.errors**", "$.body.results[*].errors.*", "$.body.data[*].identifiers.*", "$.body.entries[*].entry.before.*", "$.body.entries[*].entry.after.*", "$.body.jwks.*", "$.body.clients[*].jwks.*", "$.body.keys[*].*", "$.body.keys.keys[*].*", "$.body.receipts[*].receipt.**"), // maps, whose keys are the caller's
		config.WithRegexCache(&sync.Map{}),
		config.WithStrictIgnoredHeadersExtra("X-Content-Type-Options", "Tus-Resumable", "Tus-Version"),
	}
	return &checker{
		model:     &model.Model,
		validator: validator.NewValidatorFromV3Model(&model.Model, opts...),
		options:   config.NewValidationOptions(opts...),
	}, nil
}

// Validated returns h, failing t for every response that openapi.yaml does not allow. Use it with
// httptest.NewRecorder; through a real connection use validatedTransport.
func Validated(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	k := mustChecker(t)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &responseTap{inner: w}
		h.ServeHTTP(seen, r)
		if err := k.check(r, seen.response(r)); err != nil {
			t.Error(err)
		}
	})
}

// ValidatedTransport returns base (http.DefaultTransport when nil), failing t for every response that
// openapi.yaml does not allow. It leaves the bodies of files unread.
func ValidatedTransport(t testing.TB, base http.RoundTripper) http.RoundTripper {
	t.Helper()
	if base == nil {
		base = http.DefaultTransport
	}
	k := mustChecker(t)
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := base.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if err := k.check(r, resp); err != nil {
			t.Error(err)
		}
		return resp, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Document is openapi.yaml, read.
func Document(t testing.TB) *v3.Document {
	t.Helper()
	return mustChecker(t).model
}

func mustChecker(t testing.TB) *checker {
	t.Helper()
	k, err := openapiChecker()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// check returns what is wrong with the response. It reads the body unless it is a file, and puts back what it read.
func (k *checker) check(r *http.Request, resp *http.Response) error {
	var faults []string
	if p := r.URL.Path; len(p) > 1 && strings.HasSuffix(p, "/") { // the same operation, see Handler
		r = r.Clone(r.Context())
		r.URL.Path = strings.TrimRight(p, "/")
	}
	switch declared, err := k.declared(r, resp); {
	case err != nil:
		faults = append(faults, err.Error())
	case declared == nil: // 404 or 405 for what is no operation
	default:
		_, found := k.validator.ValidateHttpResponse(r, resp)
		faults = append(faults, describe(found)...)
		faults = append(faults, emptiness(declared, resp)...)
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%s %s answered %d %s, which openapi.yaml does not allow:\n\t%s",
		r.Method, r.URL.Path, resp.StatusCode, resp.Header.Get("Content-Type"), strings.Join(faults, "\n\t"))
}

// declared finds the response in the description. The `default` response is for what stands between
// caller and broker: the broker itself may only answer with statuses that the operation lists.
func (k *checker) declared(r *http.Request, resp *http.Response) (*v3.Response, error) {
	item, _, template := paths.FindPath(r, k.model, k.options)
	var op *v3.Operation
	if item != nil {
		op = helpers.ExtractOperation(r, item)
	}
	if op == nil {
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed {
			return nil, nil
		}
		return nil, fmt.Errorf("no such operation")
	}
	declared := op.Responses.Codes.GetOrZero(strconv.Itoa(resp.StatusCode))
	if declared == nil {
		return nil, fmt.Errorf("%s %s does not list the status %d", r.Method, template, resp.StatusCode)
	}
	return declared, nil
}

// emptiness reports a body where the description has none, and JSON that is empty or null, which the
// validator lets pass. A nil slice becomes null.
func emptiness(declared *v3.Response, resp *http.Response) []string {
	if resp.Body == nil {
		return nil
	}
	if orderedmap.Len(declared.Content) == 0 {
		if n, _ := io.CopyN(io.Discard, resp.Body, 1); n > 0 {
			return []string{"a body, and there should be none"}
		}
		return nil
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/json" && kind != "application/problem+json" {
		return nil
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if value := string(bytes.TrimSpace(body)); value == "" || value == "null" {
		return []string{"an empty body, and there should be a value"}
	}
	return nil
}

func describe(found []*errors.ValidationError) []string {
	var out []string
	for _, e := range found {
		if len(e.SchemaValidationErrors) == 0 {
			out = append(out, e.Message+": "+e.Reason)
		}
		for _, s := range e.SchemaValidationErrors {
			out = append(out, strings.TrimPrefix(s.FieldPath+": ", ": ")+s.Reason)
		}
	}
	return out
}

// A responseTap passes a response on and keeps a copy for the check, except of the bytes of a file.
type responseTap struct {
	inner  http.ResponseWriter
	status int
	header http.Header // as it was sent
	body   bytes.Buffer
	file   bool
}

func (w *responseTap) Header() http.Header { return w.inner.Header() }

func (w *responseTap) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
		w.header = w.inner.Header().Clone()
		kind, _, _ := mime.ParseMediaType(w.header.Get("Content-Type"))
		w.file = kind == "application/octet-stream" || kind == "text/event-stream"
	}
	w.inner.WriteHeader(status)
}

func (w *responseTap) Write(p []byte) (int, error) {
	w.begin()
	if !w.file {
		w.body.Write(p)
	}
	return w.inner.Write(p)
}

// ReadFrom lets a file go the short way when the writer below has one.
func (w *responseTap) ReadFrom(src io.Reader) (int64, error) {
	w.begin()
	if w.file {
		return io.Copy(w.inner, src)
	}
	return io.Copy(struct{ io.Writer }{w}, src)
}

func (w *responseTap) Flush() { _ = w.FlushError() }

// FlushError and the three below are for http.ResponseController. There is no Unwrap, because a
// handler that unwraps writers to the last would then get past the tap.
func (w *responseTap) FlushError() error {
	w.begin()
	return http.NewResponseController(w.inner).Flush()
}

func (w *responseTap) SetReadDeadline(at time.Time) error {
	return http.NewResponseController(w.inner).SetReadDeadline(at)
}

func (w *responseTap) SetWriteDeadline(at time.Time) error {
	return http.NewResponseController(w.inner).SetWriteDeadline(at)
}

func (w *responseTap) EnableFullDuplex() error {
	return http.NewResponseController(w.inner).EnableFullDuplex()
}

func (w *responseTap) begin() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}

func (w *responseTap) response(r *http.Request) *http.Response {
	if w.status == 0 { // net/http answers so for a handler that wrote nothing
		w.status, w.header = http.StatusOK, w.inner.Header().Clone()
	}
	return &http.Response{
		StatusCode: w.status, Header: w.header, Request: r,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

// SomeTransfer is the path of a transfer that there is not.
const SomeTransfer = "/broker/api/v1/filetransfer/3fa85f64-5717-4562-b3fc-2c963f66afa6"
