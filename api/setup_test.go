package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/objects"
	"github.com/formidling/formidling/store"
)

const (
	owner   = models.Party("0192:310000019")
	alice   = models.Party("0192:310000027")
	bob     = models.Party("0192:310000035")
	carol   = models.Party("0192:310000043")
	mallory = models.Party("0192:310000051")
	svc     = "tax-files"
	base    = "/broker/api/v1"

	publicURL = "https://broker.example.no"
)

// door stands for the workflows: it runs the same activities, in the same order, at once.
type door struct {
	*store.Store
	acts *activities.Activities
	objs objects.Store

	mu     sync.Mutex
	down   error // what every call answers while it is set
	silent bool  // content-received is left with Temporal, as when no worker answers
	forgot bool  // the workflow knows of no publication, until it is offered content again
}

func (d *door) failing() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.down
}

func (d *door) set(down error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

func (d *door) Ready(context.Context) error { return d.failing() }

func (d *door) Initialize(ctx context.Context, s models.Submission) (bool, error) {
	if err := d.failing(); err != nil {
		return false, err
	}
	a, err := d.AcceptTransfer(ctx, s, uuid.NewString(), 24*time.Hour)
	return a.Duplicate, err
}

func (d *door) ContentReceived(ctx context.Context, transfer, attempt uuid.UUID) (models.TransferStatus, error) {
	if err := d.failing(); err != nil {
		return 0, err
	}
	if d.silent {
		return models.TransferUploadProcessing, nil
	}
	d.forgot = false
	v, err := d.acts.VerifyContent(ctx, activities.VerifyContentInput{Transfer: transfer, Attempt: attempt})
	if err != nil {
		return 0, err
	}
	if v.Fault != "" {
		err := errors.Join(d.FailTransfer(ctx, transfer, v.Fault), d.objs.DeleteAll(ctx, models.TransferPrefix(transfer)))
		if err == nil {
			err = models.ErrChecksumMismatch
		}
		return 0, err
	}
	return models.TransferPublished, d.DeliverTransfer(ctx, transfer, attempt, 0)
}

func (d *door) Confirm(ctx context.Context, transfer uuid.UUID, _ int, p models.Party) error {
	if err := d.failing(); err != nil {
		return err
	}
	if d.forgot {
		return models.ErrNotPublished
	}
	_, err := d.ConfirmDelivery(ctx, transfer, p)
	return err
}

func (d *door) Cancel(ctx context.Context, transfer uuid.UUID) error {
	if err := d.failing(); err != nil {
		return err
	}
	return d.CancelTransfer(ctx, transfer)
}

// bundle is a server over a real database and a real disk, and clients that check every answer against openapi.yaml.
type bundle struct {
	t       testing.TB
	store   *store.Store
	objects objects.Store
	door    *door
	server  *Server
	issuer  *identity.DevIssuer
	url     string
	client  *http.Client
	files   string

	database string
}

func setup(t testing.TB, change ...func(*Server)) *bundle {
	t.Helper()
	dir := t.TempDir()
	b := &bundle{t: t, files: filepath.Join(dir, "objects"), database: "sqlite:" + filepath.Join(dir, "test.db")}
	var err error
	b.store, err = store.Open(b.database, store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.store.Close()) })
	require.NoError(t, b.store.Migrate(t.Context()))
	b.objects, err = objects.Connect(t.Context(), b.files, objects.Options{})
	require.NoError(t, err)
	b.issuer, err = identity.OpenDevIssuer(dir, time.Now)
	require.NoError(t, err)
	verifier, err := identity.NewVerifier(time.Now, b.issuer.Issuer())
	require.NoError(t, err)
	b.door = &door{Store: b.store, objs: b.objects, acts: activities.New(b.store, b.store, b.objects, time.Hour)}
	b.server = New(Ports{
		Authenticator: impersonating{verifier}, Transfers: b.door, Views: b.store, Uploads: b.store, Resumables: b.store, Drafts: b.objects, Downloads: b.store,
		Services: b.store, Rights: b.store, Registry: b.store, Contents: b.objects, Log: slog.New(slog.DiscardHandler),
		Feed: b.store,
	}, Settings{MaxRecipients: 200, UploadSlots: 8, Environment: "test", PublicURL: publicURL, EventListeners: 8})
	for _, c := range change {
		c(b.server)
	}
	handler, err := b.server.Handler()
	require.NoError(t, err)
	listening := httptest.NewServer(handler)
	t.Cleanup(listening.Close)
	b.url = listening.URL
	b.client = &http.Client{Transport: validatedTransport(t, http.DefaultTransport)}

	b.ok(owner, "POST", "/serviceowner", `{"name":"The tax office"}`)
	b.ok(owner, "PUT", "/resource/"+svc, `{}`)
	b.ok(owner, "PUT", "/resource/"+svc+"/grants/"+alice.Number(), `{"send":true,"receive":false}`)
	b.ok(owner, "PUT", "/resource/"+svc+"/grants/"+bob.Number(), `{"send":false,"receive":true}`)
	b.ok(owner, "PUT", "/resource/"+svc+"/grants/"+carol.Number(), `{"send":true,"receive":true}`)
	return b
}

// impersonating lets a test be any caller, of any credential, by a header that only it knows.
type impersonating struct{ Authenticator }

const impersonate = "X-Test-Caller"

func (a impersonating) Authenticate(r *http.Request) (models.Caller, error) {
	given := r.Header.Get(impersonate)
	if given == "" {
		return a.Authenticator.Authenticate(r)
	}
	var c models.Caller
	return c, json.Unmarshal([]byte(given), &c)
}

// certified is an organisation with its certificate, which a test may change.
func certified(p models.Party, change ...func(*models.Caller)) string {
	c := models.Caller{Party: p, Scopes: models.AllScopes(), Credential: models.Credential{Method: models.LoginCertificate, Thumbprint: thumb(string(p))}}
	for _, f := range change {
		f(&c)
	}
	raw, _ := json.Marshal(c) // it is made of strings
	return string(raw)
}

func through(supplier models.Party) func(*models.Caller) {
	return func(c *models.Caller) { c.Supplier = supplier }
}

func thumb(of string) string {
	sum := sha256.Sum256([]byte(of))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// reply is a response that was read.
type reply struct {
	*http.Response
	body []byte
	t    testing.TB
}

func (a reply) json(into any) {
	a.t.Helper()
	require.NoError(a.t, json.Unmarshal(a.body, into), string(a.body))
}

// is checks the status and, for problems, the code.
func (a reply) is(status int, code string) reply {
	a.t.Helper()
	require.Equal(a.t, status, a.StatusCode, string(a.body))
	if code != "" {
		require.Equal(a.t, code, a.problem().Code, string(a.body))
	}
	return a
}

func (a reply) problem() contract.Problem {
	a.t.Helper()
	var p contract.Problem
	a.json(&p)
	return p
}

func (b *bundle) token(p models.Party, scopes ...string) string {
	b.t.Helper()
	if len(scopes) == 0 {
		scopes = []string{models.ScopeRead, models.ScopeWrite, models.ScopeServiceOwner}
	}
	token, err := b.issuer.Token(p, scopes, time.Hour)
	require.NoError(b.t, err)
	return token
}

// request makes a request by an organisation; headers come in pairs.
func (b *bundle) request(by models.Party, method, path string, body io.Reader, headers ...string) *http.Request {
	b.t.Helper()
	if !strings.HasPrefix(path, "/identity/") && !strings.HasPrefix(path, "/resourceregistry/") && !strings.HasPrefix(path, "/authentication/") && !strings.HasPrefix(path, "/events/") {
		path = base + path
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, body)
	require.NoError(b.t, err)
	if by != "" {
		r.Header.Set("Authorization", "Bearer "+b.token(by))
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func (b *bundle) do(r *http.Request) reply {
	b.t.Helper()
	response, err := b.client.Do(r)
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	return reply{Response: response, body: body, t: b.t}
}

func (b *bundle) call(by models.Party, method, path, body string, headers ...string) reply {
	b.t.Helper()
	var sent io.Reader
	if body != "" {
		sent = strings.NewReader(body)
	}
	return b.do(b.request(by, method, path, sent, headers...))
}

func (b *bundle) ok(by models.Party, method, path, body string) reply {
	b.t.Helper()
	a := b.call(by, method, path, body)
	require.Less(b.t, a.StatusCode, 300, "%s %s: %s", method, path, a.body)
	return a
}

// policy changes the service's policy, whatever it is now.
func (b *bundle) policy(body string) {
	b.t.Helper()
	b.call(owner, "PUT", "/resource/"+svc, body, "If-Match", "*").is(http.StatusNoContent, "")
}

// draft is a correct request to initialize, which a test may spoil.
func draft() map[string]any {
	return map[string]any{
		"fileName": "a.zip", "resourceId": svc, "sendersFileTransferReference": "ref-1",
		"sender": alice, "recipients": []any{bob, carol}, "propertyList": map[string]any{"k": "v"},
	}
}

func toJSON(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

func (b *bundle) initialize(change ...func(map[string]any)) string {
	b.t.Helper()
	d := draft()
	for _, c := range change {
		c(d)
	}
	var out contract.FileTransferInitialized
	b.call(alice, "POST", "/filetransfer", toJSON(b.t, d)).is(http.StatusOK, "").json(&out)
	return out.FileTransferID.String()
}

func (b *bundle) upload(id string, content []byte, headers ...string) reply {
	b.t.Helper()
	headers = append([]string{"Content-Type", "application/octet-stream"}, headers...)
	return b.do(b.request(alice, "POST", "/filetransfer/"+id+"/upload", bytes.NewReader(content), headers...))
}

func (b *bundle) publish(content string) string {
	b.t.Helper()
	id := b.initialize()
	b.upload(id, []byte(content)).is(http.StatusOK, "")
	return id
}

func (b *bundle) overview(by models.Party, id string) contract.FileTransferOverview {
	b.t.Helper()
	var out contract.FileTransferOverview
	b.call(by, "GET", "/filetransfer/"+id, "").is(http.StatusOK, "").json(&out)
	return out
}

// stored lists the files that object storage holds.
func (b *bundle) stored() []string {
	b.t.Helper()
	var found []string
	require.NoError(b.t, filepath.WalkDir(b.files, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	}))
	return found
}

func mustUUID(t testing.TB, s string) uuid.UUID {
	t.Helper()
	id, err := uuid.Parse(s)
	require.NoError(t, err)
	return id
}

// ended tells whether a party's download is over, as the store knows.
func (b *bundle) ended(id string, p models.Party) bool {
	b.t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(b.database, "sqlite:")+"?_pragma=busy_timeout(10000)")
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, db.Close()) }()
	var n int
	require.NoError(b.t, db.QueryRowContext(b.t.Context(), "SELECT count(*) FROM content_accesses WHERE transfer_id = ? AND party = ? AND ended IS NOT NULL AND NOT complete", id, p).Scan(&n))
	return n > 0
}
