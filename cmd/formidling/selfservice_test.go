package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/identity/testpki"
	"github.com/formidling/formidling/internal/plainclient"
	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

// trusting is an installation that trusts a PKI, as production does, and the PKI.
type trusting struct {
	*installation
	pki    *testpki.PKI
	config config
}

func installTrusting(t *testing.T) *trusting {
	t.Helper()
	data := t.TempDir()
	c := config{Data: data}
	pki, err := testpki.Open(c.pkiDirectory(), time.Now())
	require.NoError(t, err)
	require.NoError(t, pki.KeepServer())
	_, err = identity.MakeTokenKeys(filepath.Join(data, "token-keys.json"))
	require.NoError(t, err)
	port, err := testenv.FreePort()
	require.NoError(t, err)
	server := filepath.Join(c.pkiDirectory(), "server.pem")
	i := installWith(t, "FORMIDLING_TRUST="+filepath.Join(c.pkiDirectory(), "trust.json"), "FORMIDLING_TOKEN_KEYS="+filepath.Join(data, "token-keys.json"),
		fmt.Sprintf("FORMIDLING_MTLS_LISTEN=127.0.0.1:%d", port), "FORMIDLING_MTLS_CERTIFICATE="+server)
	c.PublicURL, c.MTLSURL = i.url, fmt.Sprintf("https://127.0.0.1:%d", port)
	return &trusting{installation: i, pki: pki, config: c}
}

// file is where an organisation's certificate lies; the CA gives it one when it has none.
func (i *trusting) file(number string) string {
	i.t.Helper()
	_, err := i.pki.Enrol(number)
	require.NoError(i.t, err)
	return filepath.Join(i.config.pkiDirectory(), number+".pem")
}

// root is where the certificate lies that the broker's own is signed by.
func (i *trusting) root() string { return filepath.Join(i.config.pkiDirectory(), "root.pem") }

func (i *trusting) certified(number string) *plainclient.Client {
	i.t.Helper()
	c, err := plainclient.WithCertificate(i.config.MTLSURL, i.root(), i.file(number))
	require.NoError(i.t, err)
	return c
}

// fingerprint is of all that an operator could have changed: the files that configure the broker, and its processes.
func (i *trusting) fingerprint() map[string]string {
	i.t.Helper()
	out := map[string]string{"api": fmt.Sprint(i.api.Pid()), "worker": fmt.Sprint(i.worker.Pid())}
	root := os.DirFS(i.config.Data)
	require.NoError(i.t, fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(filepath.Base(path), "3") { // what the CA gives organisations is theirs
			return err
		}
		raw, err := fs.ReadFile(root, path)
		sum := sha256.Sum256(raw)
		out[path] = hex.EncodeToString(sum[:])
		return err
	}))
	return out
}

// operatorActions counts what an operator did since a fingerprint was taken: files changed, processes started anew,
// and changes of the registry that were not made by one of these organisations.
func (i *trusting) operatorActions(before map[string]string, organisations ...string) (actions int) {
	i.t.Helper()
	after := i.fingerprint()
	require.Len(i.t, after, len(before), "no configuration was added")
	for what, was := range before {
		if after[what] != was {
			actions++
		}
	}
	s, err := store.Open(i.postgres.URL("postgres"), store.Options{})
	require.NoError(i.t, err)
	defer func() { require.NoError(i.t, s.Close()) }()
	_, entries, err := s.VerifyAudit(i.t.Context())
	require.NoError(i.t, err)
	var theirs int64
	for _, number := range organisations {
		chain, _, err := s.AuditOf(i.t.Context(), models.Norwegian(number), models.AuditPage{Limit: 1000})
		require.NoError(i.t, err)
		for _, e := range chain {
			var text models.AuditText
			require.NoError(i.t, json.Unmarshal([]byte(e.Entry), &text))
			for _, by := range organisations {
				if text.Actor == models.Norwegian(by) && strings.HasPrefix(text.Credential, "certificate") {
					theirs++
				}
			}
		}
	}
	require.Positive(i.t, theirs)
	return actions + int(entries-theirs)
}

// The mission: nobody at the operator lifts a finger for a new service or user. From a running broker that has heard
// of nobody, to a file that is delivered, confirmed, and delivered again through a supplier.
func TestSelfService_NeedsNoOperator(t *testing.T) {
	t.Parallel()
	i := installTrusting(t)
	const owner, sender, recipient, supplier = "310000019", "310000027", "310000035", "310000094"
	before := i.fingerprint()
	ctx := t.Context()

	o := i.certified(owner)
	require.NoError(t, o.Post(ctx, "/serviceowner", map[string]any{"name": "New office"}, nil))
	require.NoError(t, o.Put(ctx, "/resource/new-service", map[string]any{}))
	require.NoError(t, o.Put(ctx, "/resource/new-service/grants/"+recipient, map[string]any{"receive": true}))
	s := i.certified(sender)
	var request struct{ ID string }
	require.NoError(t, s.Post(ctx, "/resource/new-service/access-requests", map[string]any{"send": true, "text": "we are new here"}, &request))
	approve(ctx, t, o, request.ID)

	token, err := plainclient.BuyToken(ctx, i.url, i.file(sender), "", models.AllScopes())
	require.NoError(t, err)
	c := plainclient.WithToken(i.url, token)
	id := deliverOne(ctx, t, c, i.certified(recipient), sender, recipient)
	require.NotEmpty(t, id)

	r := i.certified(recipient)
	delegate := *r
	delegate.Base = i.config.MTLSURL + "/identity/api/v1"
	require.NoError(t, delegate.Put(ctx, "/delegations/"+supplier, map[string]any{"receive": true}))
	through, err := i.actingFor(ctx, supplier, recipient)
	require.NoError(t, err)
	deliverOne(ctx, t, c, through, sender, recipient)

	require.Zero(t, i.operatorActions(before, owner, sender, recipient, supplier))
	require.Zero(t, testenv.Run(t, "formidling", i.env, "audit", "verify").Wait())
}

// actingFor buys a token with which a supplier acts for an organisation.
func (i *trusting) actingFor(ctx context.Context, supplier, principal string) (*plainclient.Client, error) {
	token, err := plainclient.BuyToken(ctx, i.url, i.file(supplier), principal, []string{models.ScopeRead, models.ScopeWrite})
	return plainclient.WithToken(i.url, token), err
}

func approve(ctx context.Context, t *testing.T, o *plainclient.Client, id string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.Base+"/access-requests/"+id+"/approve", strings.NewReader(`{}`))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("If-Match", "*")
	response, err := o.HTTP.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}

func deliverOne(ctx context.Context, t *testing.T, from, to *plainclient.Client, sender, recipient string) string {
	t.Helper()
	content := bytes.Repeat([]byte("content "), 1000)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	var made struct{ FileTransferID string }
	require.NoError(t, from.Post(ctx, "/filetransfer", map[string]any{
		"resourceId": "new-service", "fileName": "f", "sendersFileTransferReference": "r",
		"sender": models.Norwegian(sender), "recipients": []models.Party{models.Norwegian(recipient)},
	}, &made))
	sum, _, err := from.Upload(ctx, made.FileTransferID, file)
	require.NoError(t, err)
	got, _, err := to.Download(ctx, made.FileTransferID)
	require.NoError(t, err)
	require.Equal(t, sum, got)
	require.NoError(t, to.Post(ctx, "/filetransfer/"+made.FileTransferID+"/confirmdownload", nil, nil))
	return made.FileTransferID
}

func TestCertificates_AreWhatTheListenerAsksFor(t *testing.T) {
	t.Parallel()
	i := installTrusting(t)
	ctx := t.Context()
	me := func(c *plainclient.Client) (string, error) {
		asked := *c
		asked.Base = strings.Replace(c.Base, "/broker/api/v1", "/identity/api/v1", 1)
		var out struct{ Organization string }
		err := asked.Get(ctx, "/me", &out)
		return out.Organization, err
	}
	c := i.certified("310000027")
	who, err := me(c)
	require.NoError(t, err)
	require.Equal(t, "0192:310000027", who)

	// a token is no certificate, and whoever has neither is nobody
	plain := plainclient.WithToken(i.url, "")
	_, err = me(plain)
	requireStatus(t, err, http.StatusUnauthorized)
	issuer, err := identity.OpenDevIssuer(t.TempDir(), time.Now)
	require.NoError(t, err)
	developer, err := issuer.Token(testSender, models.AllScopes(), time.Hour)
	require.NoError(t, err)
	plain.Token = developer
	_, err = me(plain)
	requireStatus(t, err, http.StatusUnauthorized)

	// what every case of the PKI gets at the real listener
	for _, k := range i.pki.Cases() {
		file := filepath.Join(i.config.pkiDirectory(), "cases", k.Name+".pem")
		one, err := plainclient.WithCertificate(i.config.MTLSURL, i.root(), file)
		require.NoError(t, err, k.Name)
		who, err := me(one)
		if k.Accepted && !k.SEID1 {
			require.NoError(t, err, k.Name)
			require.Equal(t, string(k.Party), who, k.Name)
		} else {
			require.Error(t, err, k.Name)
		}
	}

	// restarted and killed, the broker knows everybody as before
	i.api.Kill()
	i.startAPI()
	require.Eventually(t, func() bool { _, err := me(c); return err == nil }, 10*time.Second, 50*time.Millisecond)
}

func requireStatus(t *testing.T, err error, status int) {
	t.Helper()
	var refused *plainclient.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, status, refused.Status)
}
