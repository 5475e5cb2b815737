package apitest

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// Reply is a response that was read.
type Reply struct {
	*http.Response
	Raw []byte
	T   testing.TB
}

// JSON reads the body into a value.
func (a Reply) JSON(into any) {
	a.T.Helper()
	require.NoError(a.T, json.Unmarshal(a.Raw, into), string(a.Raw))
}

// Is checks the status and, for problems, the code.
func (a Reply) Is(status int, code string) Reply {
	a.T.Helper()
	require.Equal(a.T, status, a.StatusCode, string(a.Raw))
	if code != "" {
		require.Equal(a.T, code, a.Problem().Code, string(a.Raw))
	}
	return a
}

// Problem reads the body as a problem document.
func (a Reply) Problem() contract.Problem {
	a.T.Helper()
	var p contract.Problem
	a.JSON(&p)
	return p
}

// Token is a token of an organisation; without scopes it carries all but the one for events.
func (b *Bundle) Token(p models.Party, scopes ...string) string {
	b.T.Helper()
	if len(scopes) == 0 {
		scopes = []string{models.ScopeRead, models.ScopeWrite, models.ScopeServiceOwner}
	}
	token, err := b.Issuer.Token(p, scopes, time.Hour)
	require.NoError(b.T, err)
	return token
}

// Request makes a request by an organisation; headers come in pairs.
func (b *Bundle) Request(by models.Party, method, path string, body io.Reader, headers ...string) *http.Request {
	b.T.Helper()
	if !strings.HasPrefix(path, "/identity/") && !strings.HasPrefix(path, "/resourceregistry/") && !strings.HasPrefix(path, "/authentication/") && !strings.HasPrefix(path, "/events/") {
		path = Base + path
	}
	r, err := http.NewRequestWithContext(b.T.Context(), method, b.URL+path, body)
	require.NoError(b.T, err)
	if by != "" {
		r.Header.Set("Authorization", "Bearer "+b.Token(by))
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// Do makes a request and reads the answer.
func (b *Bundle) Do(r *http.Request) Reply {
	b.T.Helper()
	response, err := b.Client.Do(r)
	require.NoError(b.T, err)
	defer func() { require.NoError(b.T, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(b.T, err)
	return Reply{Response: response, Raw: body, T: b.T}
}

// Call makes a request by an organisation, with a body of JSON if it is not empty; headers come in pairs.
func (b *Bundle) Call(by models.Party, method, path, body string, headers ...string) Reply {
	b.T.Helper()
	var sent io.Reader
	if body != "" {
		sent = strings.NewReader(body)
	}
	return b.Do(b.Request(by, method, path, sent, headers...))
}

// OK is Call that must succeed.
func (b *Bundle) OK(by models.Party, method, path, body string) Reply {
	b.T.Helper()
	a := b.Call(by, method, path, body)
	require.Less(b.T, a.StatusCode, 300, "%s %s: %s", method, path, a.Raw)
	return a
}

// Policy changes the service's policy, whatever it is now.
func (b *Bundle) Policy(body string) {
	b.T.Helper()
	b.Call(Owner, "PUT", "/resource/"+Service, body, "If-Match", "*").Is(http.StatusNoContent, "")
}

// Draft is a correct request to initialize, which a test may spoil.
func Draft() map[string]any {
	return map[string]any{
		"fileName": "a.zip", "resourceId": Service, "sendersFileTransferReference": "ref-1",
		"sender": Alice, "recipients": []any{Bob, Carol}, "propertyList": map[string]any{"k": "v"},
	}
}

// ToJSON writes a value.
func ToJSON(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

// Initialize initializes a transfer from Alice to Bob and Carol and returns its id.
func (b *Bundle) Initialize(change ...func(map[string]any)) string {
	b.T.Helper()
	d := Draft()
	for _, c := range change {
		c(d)
	}
	var out contract.FileTransferInitialized
	b.Call(Alice, "POST", "/filetransfer", ToJSON(b.T, d)).Is(http.StatusOK, "").JSON(&out)
	return out.FileTransferID.String()
}

// Upload sends the content of a transfer.
func (b *Bundle) Upload(id string, content []byte, headers ...string) Reply {
	b.T.Helper()
	headers = append([]string{"Content-Type", "application/octet-stream"}, headers...)
	return b.Do(b.Request(Alice, "POST", "/filetransfer/"+id+"/upload", bytes.NewReader(content), headers...))
}

// Publish initializes a transfer, sends its content and returns its id.
func (b *Bundle) Publish(content string) string {
	b.T.Helper()
	id := b.Initialize()
	b.Upload(id, []byte(content)).Is(http.StatusOK, "")
	return id
}

// Overview reads the state of a transfer.
func (b *Bundle) Overview(by models.Party, id string) contract.FileTransferOverview {
	b.T.Helper()
	var out contract.FileTransferOverview
	b.Call(by, "GET", "/filetransfer/"+id, "").Is(http.StatusOK, "").JSON(&out)
	return out
}

// Stored lists the files that object storage holds.
func (b *Bundle) Stored() []string {
	b.T.Helper()
	var found []string
	require.NoError(b.T, filepath.WalkDir(b.Files, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	}))
	return found
}

// MustUUID reads an id.
func MustUUID(t testing.TB, s string) uuid.UUID {
	t.Helper()
	id, err := uuid.Parse(s)
	require.NoError(t, err)
	return id
}

// Ended tells whether a party's download is over, as the store knows.
func (b *Bundle) Ended(id string, p models.Party) bool {
	b.T.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(b.Database, "sqlite:")+"?_pragma=busy_timeout(10000)")
	require.NoError(b.T, err)
	defer func() { require.NoError(b.T, db.Close()) }()
	var n int
	require.NoError(b.T, db.QueryRowContext(b.T.Context(), "SELECT count(*) FROM content_accesses WHERE transfer_id = ? AND party = ? AND ended IS NOT NULL AND NOT complete", id, p).Scan(&n))
	return n > 0
}
