package store

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	owner = models.Party("0192:310000019")
	alice = models.Party("0192:310000027")
	bob   = models.Party("0192:310000035")
	carol = models.Party("0192:310000043")
	svc   = "tax-files"
)

// always is the condition of tests that are not about conditions.
var always = models.Condition{Unconditional: true}

func as(p models.Party) models.Caller { return models.Caller{Party: p} }

// bundle is one database with a service in which alice may send and bob and carol may receive.
type bundle struct {
	*Store
	clock *clock
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// onBoth runs a test on both databases.
func onBoth(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	t.Parallel()
	for name, open := range map[string]func(testing.TB) string{
		"postgres": testenv.Postgres,
		"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t, open(t)))
		})
	}
}

func setup(t testing.TB, url string) *bundle {
	t.Helper()
	b := &bundle{clock: &clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}}
	s, err := Open(url, Options{Now: b.clock.read})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	b.Store = s
	return prepare(t, b)
}

var background = context.Background()

// prepare makes the service in an empty database.
func prepare(t testing.TB, b *bundle) *bundle {
	t.Helper()
	ctx, s := background, b.Store
	require.NoError(t, s.Migrate(ctx))
	require.NoError(t, s.InsertServiceOwner(ctx, models.Caller{Party: owner}, "The tax office"))
	_, err := s.PutResource(ctx, as(owner), svc, models.ResourcePatch{}, always)
	require.NoError(t, err)
	b.grant(t, alice, true, false)
	b.grant(t, bob, false, true)
	b.grant(t, carol, false, true)
	return b
}

func (b *bundle) grant(t testing.TB, p models.Party, send, receive bool) {
	t.Helper()
	g := models.Grant{ResourceID: svc, Organisation: p, Terms: models.Terms{Effect: models.EffectAllow, MaySend: send, MayReceive: receive}}
	_, _, err := b.PutGrant(context.Background(), as(owner), g, always)
	require.NoError(t, err)
}

func submission(recipients ...models.Party) models.Submission {
	s := models.Submission{
		ID: uuid.New(), ResourceID: svc, Sender: models.Addressee{Party: alice, AsGiven: string(alice)},
		FileName: "a.zip", SendersReference: "ref", RequestHash: "hash",
	}
	for _, r := range recipients {
		s.Recipients = append(s.Recipients, models.Addressee{Party: r, AsGiven: string(r)})
	}
	return s
}

func (b *bundle) accept(t testing.TB, recipients ...models.Party) uuid.UUID {
	t.Helper()
	s := submission(recipients...)
	_, err := b.AcceptTransfer(context.Background(), s, "run", 24*time.Hour)
	require.NoError(t, err)
	return s.ID
}

func (b *bundle) stage(t testing.TB, id uuid.UUID) uuid.UUID {
	t.Helper()
	attempt := uuid.New()
	require.NoError(t, b.BeginUpload(context.Background(), attemptOf(id, attempt, nil), time.Minute))
	require.NoError(t, b.StageContent(context.Background(), id, attempt, models.Content{Generation: 1, Size: 3, MD5: "m", SHA256: "s", CRC32C: 4_000_000_000}, as(alice)))
	return attempt
}

func (b *bundle) publish(t testing.TB, recipients ...models.Party) uuid.UUID {
	t.Helper()
	id := b.accept(t, recipients...)
	require.NoError(t, b.DeliverTransfer(context.Background(), id, b.stage(t, id), 0))
	return id
}

func (b *bundle) download(t testing.TB, id uuid.UUID, p models.Party) {
	t.Helper()
	access, err := b.BeginAccess(context.Background(), id, as(p), 0, 3)
	require.NoError(t, err)
	require.NoError(t, b.EndAccess(context.Background(), access, 3))
}

func (b *bundle) history(t testing.TB, id uuid.UUID) []string {
	t.Helper()
	v, err := b.TransferDetails(context.Background(), id, alice)
	require.NoError(t, err)
	var names []string
	for i, h := range v.History {
		require.Equal(t, i+1, h.Seq)
		names = append(names, h.Status.String())
	}
	return names
}

func (b *bundle) events(t testing.TB, p models.Party) []string {
	t.Helper()
	var rows []models.Event
	require.NoError(t, b.read.Order("seq").Find(&rows, "party = ?", p).Error)
	var names []string
	for i, e := range rows {
		require.Equal(t, int64(i+1), e.Seq, "the sequence of %s has no gap", p)
		names = append(names, string(e.Type))
	}
	return names
}

func attemptOf(transfer, attempt uuid.UUID, key *string) models.UploadAttempt {
	return models.UploadAttempt{ID: attempt, TransferID: &transfer, ObjectKey: models.AttemptKey(transfer, attempt), IdempotencyKey: key}
}
