package receipts_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/objects"
	"github.com/formidling/formidling/receipts"
	"github.com/formidling/formidling/store"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	owner = models.Party("0192:310000019")
	alice = models.Party("0192:310000027")
	bob   = models.Party("0192:310000035")
	carol = models.Party("0192:310000043")
	svc   = "tax-files"
	name  = "https://broker.example.no"
)

// bundle is a real database, a real disk, keys in a file, and an issuer and a log that sign with them.
type bundle struct {
	*store.Store
	t        testing.TB
	objects  objects.Store
	file     string
	keys     *receipts.Keys
	issuer   *receipts.Issuer
	log      *receipts.Log
	evidence *receipts.Evidence
}

// onBoth runs a test on both databases.
func onBoth(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	t.Parallel()
	for name, url := range map[string]func(testing.TB) string{"postgres": testenv.Postgres, "sqlite": sqlite} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t, url(t)))
		})
	}
}

func sqlite(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") }

func setup(t testing.TB, url string) *bundle {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	s, err := store.Open(url, store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Migrate(ctx))
	b := &bundle{Store: s, t: t, file: filepath.Join(dir, "keys.json")}
	b.objects, err = objects.Connect(ctx, filepath.Join(dir, "objects"), objects.Options{})
	require.NoError(t, err)
	keys, err := receipts.MakeKeys(b.file)
	require.NoError(t, err)
	b.use(keys)
	by := models.Caller{Party: owner}
	require.NoError(t, s.InsertServiceOwner(ctx, by, "The tax office"))
	always := models.Condition{Unconditional: true}
	_, err = s.PutResource(ctx, by, svc, models.ResourcePatch{}, always)
	require.NoError(t, err)
	for _, p := range []models.Party{alice, bob, carol} {
		g := models.Grant{ResourceID: svc, Organisation: p, Terms: models.Terms{Effect: models.EffectAllow, MaySend: true, MayReceive: true}}
		_, _, err := s.PutGrant(ctx, by, g, always)
		require.NoError(t, err)
	}
	return b
}

// use makes issuer and log sign with these keys from now on.
func (b *bundle) use(keys *receipts.Keys) {
	b.keys = keys
	b.issuer = &receipts.Issuer{Chains: b.Store, Keys: keys, Name: name, Log: slog.New(slog.DiscardHandler)}
	b.log = &receipts.Log{Leaves: b.Store, Tiles: b.objects, Keys: keys, Name: name}
	b.evidence = &receipts.Evidence{
		Bundler: receipts.Bundler{Archive: b.Store, Log: b.log, Keys: keys, Name: name, Now: time.Now}, Finder: b.Store,
	}
}

// live brings a transfer to bob and carol to the confirmation by bob, and signs its receipts.
func (b *bundle) live() uuid.UUID {
	b.t.Helper()
	ctx := context.Background()
	id, attempt := uuid.New(), uuid.New()
	sub := models.Submission{
		ID: id, ResourceID: svc, Sender: models.Addressee{Party: alice, AsGiven: string(alice)}, FileName: "a.zip", SendersReference: "ref", RequestHash: "hash",
		Recipients: []models.Addressee{{Party: bob, AsGiven: string(bob)}, {Party: carol, AsGiven: string(carol)}},
		By:         models.Caller{Credential: models.Credential{Method: models.LoginCertificate, Thumbprint: "print"}},
	}
	_, err := b.AcceptTransfer(ctx, sub, "run", time.Hour)
	require.NoError(b.t, err)
	a := models.UploadAttempt{ID: attempt, TransferID: &id, ObjectKey: models.AttemptKey(id, attempt)}
	require.NoError(b.t, b.BeginUpload(ctx, a, time.Minute))
	content := models.Content{Generation: 1, Size: 3, MD5: "m", SHA256: fmt.Sprintf("%064x", 7)}
	require.NoError(b.t, b.StageContent(ctx, id, attempt, content, models.Caller{Party: alice}))
	require.NoError(b.t, b.DeliverTransfer(ctx, id, attempt, 0))
	access, err := b.BeginAccess(ctx, id, models.Caller{Party: bob}, 0, 3)
	require.NoError(b.t, err)
	require.NoError(b.t, b.EndAccess(ctx, access, 3))
	_, err = b.ConfirmTransfer(ctx, id, bob)
	require.NoError(b.t, err)
	require.NoError(b.t, b.issuer.Issue(ctx, id))
	return id
}

func (b *bundle) seal() {
	b.t.Helper()
	for {
		more, err := b.log.Seal(context.Background())
		require.NoError(b.t, err)
		if !more {
			return
		}
	}
}
