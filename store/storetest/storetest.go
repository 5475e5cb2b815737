// Package storetest is what the tests of the store's rooms share: a database with a service in which alice may send and
// bob and carol may receive, a clock that steps at each reading, and the steps of a life in one line each.
//
// OnBoth runs a test on both databases, PostgreSQL and SQLite. Nothing here may be used outside of tests.
package storetest

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

// Who is there, and the service.
const (
	Owner   = models.Party("0192:310000019")
	Alice   = models.Party("0192:310000027")
	Bob     = models.Party("0192:310000035")
	Carol   = models.Party("0192:310000043")
	Service = "tax-files"
)

// Always is the condition of tests that are not about conditions.
var Always = models.Condition{Unconditional: true}

// As is an organisation that acts for itself.
func As(p models.Party) models.Caller { return models.Caller{Party: p} }

// By is an organisation that acts with a certificate.
func By(p models.Party, thumbprint string) models.Caller {
	return models.Caller{Party: p, Credential: models.Credential{Method: models.LoginCertificate, Thumbprint: thumbprint}}
}

// Bundle is one database with the service in it.
type Bundle struct {
	*store.Store
	Clock *Clock
}

// Clock steps by a millisecond at each reading.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Read is the time, which no other reading gets.
func (c *Clock) Read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

// Advance lets time pass; a negative duration sets the clock back.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// OnBoth runs a test on both databases.
func OnBoth(t *testing.T, test func(t *testing.T, b *Bundle)) {
	t.Helper()
	t.Parallel()
	for name, open := range map[string]func(testing.TB) string{
		"postgres": testenv.Postgres,
		"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, Setup(t, open(t)))
		})
	}
}

// Setup makes the service in an empty database.
func Setup(t testing.TB, url string) *Bundle {
	t.Helper()
	clock := &Clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	s, err := store.Open(url, store.Options{Now: clock.Read})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return Prepare(t, &Bundle{Store: s, Clock: clock})
}

// Reopen has the test go on with a store of other options on the same database.
func (b *Bundle) Reopen(t testing.TB, o store.Options) {
	t.Helper()
	o.Now = b.Clock.Read
	s, err := store.Open(b.DB().URL(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	b.Store = s
}

// Quota has the test go on under other quotas.
func (b *Bundle) Quota(t testing.TB, change func(*models.Quotas)) {
	t.Helper()
	q := models.DefaultQuotas()
	change(&q)
	b.Reopen(t, store.Options{Quotas: &q})
}

// Prepare makes the service in the empty database of a store that was opened with other options.
func Prepare(t testing.TB, b *Bundle) *Bundle {
	t.Helper()
	ctx := t.Context()
	require.NoError(t, b.Migrate(ctx))
	require.NoError(t, b.InsertServiceOwner(ctx, As(Owner), "The tax office"))
	_, err := b.PutResource(ctx, As(Owner), Service, models.ResourcePatch{}, Always)
	require.NoError(t, err)
	b.Grant(t, Alice, true, false)
	b.Grant(t, Bob, false, true)
	b.Grant(t, Carol, false, true)
	return b
}

// Grant lets an organisation send, receive, or both.
func (b *Bundle) Grant(t testing.TB, p models.Party, send, receive bool) {
	t.Helper()
	g := models.Grant{ResourceID: Service, Organisation: p, Terms: models.Terms{Effect: models.EffectAllow, MaySend: send, MayReceive: receive}}
	_, _, err := b.PutGrant(t.Context(), As(Owner), g, Always)
	require.NoError(t, err)
}
