package apitest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/api/contract"
)

// A verdict is a testing.TB that keeps errors instead of failing.
type verdict struct {
	testing.TB
	text string
}

func (v *verdict) Helper() {}
func (v *verdict) Error(args ...any) {
	for _, a := range args {
		v.text += a.(error).Error()
	}
}

// answer is a response as a fake handler gives it.
type answer struct {
	status      int
	contentType string
	headers     map[string]string
	body        string
}

func (a answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for k, v := range a.headers {
		w.Header().Set(k, v)
	}
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func overview(t *testing.T, change func(map[string]any)) string {
	t.Helper()
	now := time.Date(2026, 5, 17, 12, 0, 0, 123456000, time.UTC)
	md5 := "5eb63bbbe01eeed093cb22bb8f5acdc3"
	raw, err := json.Marshal(contract.FileTransferOverview{
		FileTransferState: contract.FileTransferState{
			FileTransferID: uuid.New(), ResourceID: "skattekort", FileName: "kort.zip",
			SendersFileTransferReference: "ref", Checksum: &md5, FileTransferSize: 12,
			FileTransferStatus: contract.FileTransferStatusPublished, FileTransferStatusText: "Ready for download",
			FileTransferStatusChanged: now, Created: now, ExpirationTime: now, Sender: "0192:991825827",
			Recipients: []contract.RecipientOverview{{
				Recipient:                                 "0192:986252932",
				CurrentRecipientFileTransferStatusCode:    contract.RecipientFileTransferStatusInitialized,
				CurrentRecipientFileTransferStatusText:    "Initialized",
				CurrentRecipientFileTransferStatusChanged: now,
			}},
			PropertyList: map[string]string{"period": "2026-05"},
		},
	})
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(raw, &fields))
	if change != nil {
		change(fields)
	}
	raw, err = json.Marshal(fields)
	require.NoError(t, err)
	return string(raw)
}

func problemBody(change string) string {
	return `{"type":"https://tools.ietf.org/html/rfc9110#section-15.5.5","title":"Not Found","status":404,` +
		`"detail":"The requested file transfer was not found","code":"BRO-00001","retryable":false` + change + `}`
}

// judged is an answer and what the contract says of it.
type judged struct {
	method, path string
	answer       answer
	want         string // part of the message; empty when allowed
}

func TestContract_AllowsWhatTheDescriptionSaysAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range answers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &verdict{TB: t}
			Validated(v, c.answer).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil))
			if c.want == "" {
				require.Empty(t, v.text)
				return
			}
			require.Contains(t, v.text, c.want)
			t.Log(v.text)
		})
	}
}

// answers are such as a server gives, good ones and bad ones.
func answers(t *testing.T) map[string]judged {
	t.Helper()
	const jsonType, problemType = "application/json; charset=utf-8", "application/problem+json"
	file := map[string]string{
		"Accept-Ranges": "bytes", "Content-Disposition": `attachment; filename="a"`, "ETag": `"x"`,
		"Repr-Digest": "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:", "Content-Length": "4",
	}
	withoutETag := map[string]string{
		"Accept-Ranges": "bytes", "Content-Disposition": `attachment; filename="a"`,
		"Repr-Digest": "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:",
	}
	retry := map[string]string{"Retry-After": "5"}
	return map[string]judged{
		"good overview":          {"GET", SomeTransfer, answer{200, jsonType, nil, overview(t, nil)}, ""},
		"wrong type":             {"GET", SomeTransfer, answer{200, jsonType, nil, overview(t, func(m map[string]any) { m["fileTransferSize"] = "12" })}, "fileTransferSize"},
		"unknown field":          {"GET", SomeTransfer, answer{200, jsonType, nil, overview(t, func(m map[string]any) { m["fileSize"] = 12 })}, "fileSize"},
		"unknown nested field":   {"GET", SomeTransfer, answer{200, jsonType, nil, overview(t, func(m map[string]any) { m["recipients"].([]any)[0].(map[string]any)["x"] = 1 })}, "'x'"},
		"missing field":          {"GET", SomeTransfer, answer{200, jsonType, nil, overview(t, func(m map[string]any) { delete(m, "published") })}, "published"},
		"missing common field":   {"GET", SomeTransfer, answer{200, jsonType, nil, overview(t, func(m map[string]any) { delete(m, "sender") })}, "sender"},
		"unknown status name":    {"GET", SomeTransfer, answer{200, jsonType, nil, overview(t, func(m map[string]any) { m["fileTransferStatus"] = "Lost" })}, "Published"},
		"bad time":               {"GET", SomeTransfer, answer{200, jsonType, nil, overview(t, func(m map[string]any) { m["created"] = "yesterday" })}, "created"},
		"bad nullable time":      {"GET", SomeTransfer, answer{200, jsonType, nil, overview(t, func(m map[string]any) { m["published"] = "yesterday" })}, "published"},
		"bad uuid":               {"GET", SomeTransfer, answer{200, jsonType, nil, overview(t, func(m map[string]any) { m["fileTransferId"] = "x" })}, "uuid"},
		"undocumented status":    {"GET", SomeTransfer, answer{418, problemType, nil, problemBody("")}, "does not list the status 418"},
		"undocumented 2xx":       {"GET", SomeTransfer, answer{201, jsonType, nil, overview(t, nil)}, "does not list the status 201"},
		"wrong content type":     {"GET", SomeTransfer, answer{200, "text/html", nil, overview(t, nil)}, "text/html"},
		"problem as plain JSON":  {"GET", SomeTransfer, answer{404, jsonType, nil, problemBody("")}, "application/json"},
		"no content type":        {"GET", SomeTransfer, answer{404, "", nil, ""}, "content type"},
		"good problem":           {"GET", SomeTransfer, answer{404, problemType, nil, problemBody("")}, ""},
		"problem with errors":    {"GET", SomeTransfer, answer{400, problemType, nil, problemBody(`,"errors":{"x":["y"]}`)}, ""},
		"problem, bad errors":    {"GET", SomeTransfer, answer{400, problemType, nil, problemBody(`,"errors":{"x":"y"}`)}, "errors"},
		"problem, unknown field": {"GET", SomeTransfer, answer{404, problemType, nil, problemBody(`,"msg":"y"`)}, "msg"},
		"503 with Retry-After":   {"GET", SomeTransfer, answer{503, problemType, retry, problemBody("")}, ""},
		"503 without":            {"GET", SomeTransfer, answer{503, problemType, nil, problemBody("")}, "Retry-After"},
		"404 off the map":        {"GET", "/nothing", answer{404, "", nil, ""}, ""},
		"200 off the map":        {"GET", "/nothing", answer{200, "", nil, ""}, "no such operation"},
		"405 on the map":         {"PATCH", SomeTransfer, answer{405, "", nil, ""}, ""},
		"204":                    {"POST", SomeTransfer + "/confirmdownload", answer{204, "", nil, ""}, ""},
		"body where none is":     {"POST", "/broker/api/v1/serviceowner", answer{200, jsonType, nil, "{}"}, "a body"},
		"bare array":             {"GET", "/broker/api/v1/filetransfer", answer{200, jsonType, nil, `["3fa85f64-5717-4562-b3fc-2c963f66afa6"]`}, ""},
		"array of other things":  {"GET", "/broker/api/v1/filetransfer", answer{200, jsonType, nil, `["a"]`}, "uuid"},
		"null array":             {"GET", "/broker/api/v1/filetransfer", answer{200, jsonType, nil, `null`}, "an empty body"},
		"null inside":            {"GET", SomeTransfer, answer{200, jsonType, nil, overview(t, func(m map[string]any) { m["recipients"] = nil })}, "recipients"},
		"empty JSON":             {"GET", SomeTransfer, answer{200, jsonType, nil, ""}, "an empty body"},
		"broken JSON":            {"GET", SomeTransfer, answer{200, jsonType, nil, "{"}, "EOF"},
		"406":                    {"GET", SomeTransfer, answer{406, "text/plain; charset=utf-8", nil, "no"}, ""},
		"good download":          {"GET", SomeTransfer + "/download", answer{200, "application/octet-stream", file, "data"}, ""},
		"download without ETag":  {"GET", SomeTransfer + "/download", answer{200, "application/octet-stream", withoutETag, "data"}, "ETag"},
		"206 without range":      {"GET", SomeTransfer + "/download", answer{206, "application/octet-stream", file, "data"}, "Content-Range"},
		"HEAD":                   {"HEAD", SomeTransfer + "/download", answer{200, "application/octet-stream", file, ""}, ""},
		"HEAD 404":               {"HEAD", SomeTransfer + "/download", answer{404, problemType, nil, ""}, ""},
		"organization in path":   {"DELETE", "/broker/api/v1/resource/r/grants/0192:991825827", answer{204, "", nil, ""}, ""},
		"organization urn":       {"DELETE", "/broker/api/v1/resource/r/grants/urn:altinn:organization:identifier-no:991825827", answer{204, "", nil, ""}, ""},
		"upload beside id":       {"POST", "/broker/api/v1/filetransfer/upload", answer{200, jsonType, nil, `{"fileTransferId":"3fa85f64-5717-4562-b3fc-2c963f66afa6","fileTransferStatus":"UploadProcessing"}`}, ""},
		"upload, other status":   {"POST", "/broker/api/v1/filetransfer/upload", answer{200, jsonType, nil, `{"fileTransferId":"3fa85f64-5717-4562-b3fc-2c963f66afa6","fileTransferStatus":"Purged"}`}, "UploadProcessing"},
		"health":                 {"GET", "/health", answer{200, "text/plain; charset=utf-8", nil, "Environment properly configured"}, ""},
		"time span":              {"GET", "/broker/api/v1/resource/r", answer{200, jsonType, nil, resourceBody("30.00:00:00")}, ""},
		"ISO time span":          {"GET", "/broker/api/v1/resource/r", answer{200, jsonType, nil, resourceBody("P30D")}, "pattern"},
	}
}

func resourceBody(ttl string) string {
	return `{"maxFileTransferSize":1,"fileTransferTimeToLive":"` + ttl + `","purgeFileTransferAfterAllRecipientsConfirmed":true,` +
		`"purgeFileTransferGracePeriod":"02:00:00","useManifestFileShim":false,"externalServiceCodeLegacy":null,` +
		`"externalServiceEditionCodeLegacy":null,"requiredParty":null,"resourceId":"r","owner":"0192:310000019","maxRecipients":0,"recipientsSeeEachOther":false,"loginMethods":[],"virusScan":"off","suppliers":"any","acceptedSuppliers":[],"confirmationReminders":[],"closed":null,"computeMd5":true,"created":"2026-11-24T12:00:00Z","updated":"2026-11-24T12:00:00Z"}`
}

func TestContract_ReadsNoFileThroughEitherDoor(t *testing.T) {
	t.Parallel()
	const size = 256 << 20
	chunk := make([]byte, 1<<20)
	big := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Accept-Ranges", "bytes")
		h.Set("Content-Disposition", "attachment")
		h.Set("ETag", `"x"`)
		h.Set("Repr-Digest", "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:")
		for range size / len(chunk) {
			_, _ = w.Write(chunk)
		}
	})
	mustChecker(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)

	sink := &countingWriter{header: http.Header{}}
	Validated(t, big).ServeHTTP(sink, httptest.NewRequestWithContext(t.Context(), http.MethodGet, SomeTransfer+"/download", nil))
	require.Equal(t, int64(size), int64(sink.n))

	srv := httptest.NewServer(big)
	defer srv.Close()
	client := &http.Client{Transport: ValidatedTransport(t, srv.Client().Transport)}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+SomeTransfer+"/download", nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	n, err := io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.EqualValues(t, size, n)

	runtime.ReadMemStats(&after)
	t.Logf("allocated in all: %d MiB", (after.TotalAlloc-before.TotalAlloc)>>20)
}

type countingWriter struct {
	header http.Header
	n      int
}

func (w *countingWriter) Header() http.Header         { return w.header }
func (w *countingWriter) WriteHeader(int)             {}
func (w *countingWriter) Write(p []byte) (int, error) { w.n += len(p); return len(p), nil }

func TestDescription_IsValidOpenAPI(t *testing.T) {
	t.Parallel()
	doc, err := libopenapi.NewDocument(api.OpenAPI())
	require.NoError(t, err)
	v, errs := validator.NewValidator(doc)
	require.Empty(t, errs)
	_, found := v.ValidateDocument()
	require.Empty(t, describe(found))
}

func BenchmarkContractBuild(b *testing.B) {
	for b.Loop() {
		_, err := newChecker(api.OpenAPI())
		require.NoError(b, err)
	}
}

func BenchmarkContractCheck(b *testing.B) {
	h := Validated(b, answer{404, "application/problem+json", nil, problemBody("")})
	r := httptest.NewRequest(http.MethodGet, SomeTransfer, nil)
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
