package apitest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/objects"
	"github.com/formidling/formidling/store"
)

// Who acts in the tests, in the one service that Owner has. Alice may send, Bob receive, Carol both; Mallory may nothing.
const (
	Owner   = models.Party("0192:310000019")
	Alice   = models.Party("0192:310000027")
	Bob     = models.Party("0192:310000035")
	Carol   = models.Party("0192:310000043")
	Mallory = models.Party("0192:310000051")
	Service = "tax-files"
	Base    = "/broker/api/v1"

	// PublicURL is how clients reach the server, as it thinks.
	PublicURL = "https://broker.example.no"
)

// Bundle is a server over a real database and a real disk, and clients that check every answer against openapi.yaml.
type Bundle struct {
	T         testing.TB
	Store     *store.Store
	Objects   objects.Store
	Workflows *Workflows
	Server    *api.Server
	Issuer    *identity.DevIssuer
	URL       string
	Client    *http.Client // checks every answer against openapi.yaml
	Files     string       // where objects are stored
	Database  string       // its address

	config Config
}

// Config is what a server is made of, which a test may change.
type Config struct {
	api.Ports
	api.Settings
}

// Setup starts a server with a service and its grants. It ends with the test.
func Setup(t testing.TB, change ...func(*Config)) *Bundle {
	t.Helper()
	dir := t.TempDir()
	b := &Bundle{T: t, Files: filepath.Join(dir, "objects"), Database: "sqlite:" + filepath.Join(dir, "test.db")}
	var err error
	b.Store, err = store.Open(b.Database, store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Store.Close()) })
	require.NoError(t, b.Store.Migrate(t.Context()))
	b.Objects, err = objects.Connect(t.Context(), b.Files, objects.Options{})
	require.NoError(t, err)
	b.Issuer, err = identity.OpenDevIssuer(dir, time.Now)
	require.NoError(t, err)
	verifier, err := identity.NewVerifier(time.Now, b.Issuer.Issuer())
	require.NoError(t, err)
	b.Workflows = &Workflows{Store: b.Store, objs: b.Objects, acts: activities.New(b.Store, b.Store, b.Objects, time.Hour)}
	b.config = Config{Ports: api.Ports{
		Authenticator: Impersonating{verifier}, Transfers: b.Workflows, Views: b.Store, Uploads: b.Store, Resumables: b.Store, Drafts: b.Objects, Downloads: b.Store,
		Services: b.Store, Rights: b.Store, Registry: b.Store, Contents: b.Objects, Log: slog.New(slog.DiscardHandler),
		Feed: b.Store,
	}, Settings: api.Settings{MaxRecipients: 200, UploadSlots: 8, Environment: "test", PublicURL: PublicURL, EventListeners: 8}}
	b.Client = &http.Client{Transport: ValidatedTransport(t, http.DefaultTransport)}
	b.Restart(change...)

	b.OK(Owner, "POST", "/serviceowner", `{"name":"The tax office"}`)
	b.OK(Owner, "PUT", "/resource/"+Service, `{}`)
	b.OK(Owner, "PUT", "/resource/"+Service+"/grants/"+Alice.Number(), `{"send":true,"receive":false}`)
	b.OK(Owner, "PUT", "/resource/"+Service+"/grants/"+Bob.Number(), `{"send":false,"receive":true}`)
	b.OK(Owner, "PUT", "/resource/"+Service+"/grants/"+Carol.Number(), `{"send":true,"receive":true}`)
	return b
}

// Restart serves the same database and files by another process, so to say, whose configuration a test may change. The
// server before goes on with what it has begun.
func (b *Bundle) Restart(change ...func(*Config)) {
	b.T.Helper()
	for _, c := range change {
		c(&b.config)
	}
	b.Server = api.New(b.config.Ports, b.config.Settings)
	handler, err := b.Server.Handler()
	require.NoError(b.T, err)
	listening := httptest.NewServer(handler)
	b.T.Cleanup(listening.Close)
	b.URL = listening.URL
}

// Impersonating lets a test be any caller, of any credential, by a header that only it knows.
type Impersonating struct{ api.Authenticator }

// Impersonate is that header.
const Impersonate = "X-Test-Caller"

// Authenticate implements api.Authenticator.
func (a Impersonating) Authenticate(r *http.Request) (models.Caller, error) {
	given := r.Header.Get(Impersonate)
	if given == "" {
		return a.Authenticator.Authenticate(r)
	}
	var c models.Caller
	return c, json.Unmarshal([]byte(given), &c)
}

// Certified is an organisation with its certificate, which a test may change.
func Certified(p models.Party, change ...func(*models.Caller)) string {
	c := models.Caller{Party: p, Scopes: models.AllScopes(), Credential: models.Credential{Method: models.LoginCertificate, Thumbprint: Thumb(string(p))}}
	for _, f := range change {
		f(&c)
	}
	raw, _ := json.Marshal(c) // it is made of strings
	return string(raw)
}

// Through has a supplier act for the organisation.
func Through(supplier models.Party) func(*models.Caller) {
	return func(c *models.Caller) { c.Supplier = supplier }
}

// Thumb is the thumbprint of a certificate of this name.
func Thumb(of string) string {
	sum := sha256.Sum256([]byte(of))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
