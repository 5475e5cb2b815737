package identity

import (
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/identity/testpki"
	"github.com/formidling/formidling/models"
)

// trusting is a trust in a test PKI, and its clock.
type trusting struct {
	*Trust
	pki   *testpki.PKI
	dir   string
	clock *testClock
}

type testClock struct{ at atomic.Int64 }

func (c *testClock) now() time.Time          { return time.Unix(c.at.Load(), 0).UTC() }
func (c *testClock) advance(d time.Duration) { c.at.Add(int64(d / time.Second)) }
func newTestClock() *testClock {
	c := &testClock{}
	c.at.Store(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Unix())
	return c
}

// trustAll trusts the CAs of all cases.
func trustAll(t testing.TB, o TrustOptions) *trusting {
	t.Helper()
	b := &trusting{dir: t.TempDir(), clock: newTestClock()}
	o.Now = b.clock.now
	var err error
	b.pki, err = testpki.New(b.clock.now())
	require.NoError(t, err)
	require.NoError(t, b.pki.Write(b.dir))
	b.Trust, err = LoadTrust(filepath.Join(b.dir, "cases", "trust.json"), o)
	require.NoError(t, err)
	return b
}

// chainOf is what a client with this certificate presents.
func chainOf(t testing.TB, c tls.Certificate) []*x509.Certificate {
	t.Helper()
	var chain []*x509.Certificate
	for _, der := range c.Certificate {
		parsed, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		chain = append(chain, parsed)
	}
	return chain
}

// reasons is why each case is refused; the log says it, the answer does not.
var reasons = map[string]string{
	"expired":                         "certificate has expired or is not yet valid",
	"not-yet-valid":                   "certificate has expired or is not yet valid",
	"revoked":                         "it is revoked, with reason 1",
	"on-hold":                         "it is on hold",
	"other-ca-same-dn":                "certificate signed by unknown authority",
	"issued-by-root":                  "none of the trusted CAs",
	"self-signed":                     "none of the trusted CAs",
	"leaf-as-ca":                      "none of the trusted CAs",
	"crl-missing":                     "was never loaded",
	"crl-stale":                       "is out of date since",
	"issuer-expired":                  "certificate has expired or is not yet valid",
	"issuer-not-yet-valid":            "certificate has expired or is not yet valid",
	"person-policy":                   "no policy that is accepted",
	"person-subject":                  "its subject is a person",
	"employee":                        "its subject is a person",
	"no-organisation-number":          "names no organisation",
	"wrong-organisation-number":       "no Norwegian organisation number",
	"seid1-wrong-organisation-number": "names no organisation",
	"two-identifiers":                 "an attribute twice",
	"two-serial-numbers":              "an attribute twice",
	"disagreeing-serial-number":       "disagree",
	"ntrse":                           "no Norwegian organisation number",
	"vat-number":                      "no Norwegian organisation number",
	"server-auth-only":                "incompatible key usage",
	"non-repudiation-only":            "lacks digitalSignature",
	"no-key-usage":                    "lacks digitalSignature",
	"wrong-policy":                    "no policy that is accepted",
	"look-alike-policy":               "no policy that is accepted",
	"missing-policy":                  "no policy that is accepted",
	"any-policy":                      "no policy that is accepted",
	"is-ca":                           "it is a CA's certificate",
	"unknown-critical-extension":      "unhandled critical extension",
}

func TestVerify_JudgesEveryCaseForItsOwnReason(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{SEID1: true})
	refused := 0
	for _, c := range b.pki.Cases() {
		for name, check := range map[string]func([]*x509.Certificate) (models.Party, error){"verify": b.Verify, "recheck": b.Recheck} {
			party, err := check(chainOf(t, c.Certificate))
			require.Equal(t, c.Party, party, "%s %s", name, c.Name)
			if c.Accepted {
				require.NoError(t, err, "%s %s", name, c.Name)
				continue
			}
			require.ErrorIs(t, err, models.ErrUnauthenticated, c.Name)
			require.Contains(t, reasons, c.Name)
			require.ErrorContains(t, err, reasons[c.Name], "%s %s", name, c.Name)
		}
		if !c.Accepted {
			refused++
		}
	}
	require.Len(t, reasons, refused)
	for _, check := range []func([]*x509.Certificate) (models.Party, error){b.Verify, b.Recheck} {
		_, err := check(nil)
		require.ErrorContains(t, err, "there is no certificate")
	}
}

func TestVerify_ReadsSEID1OnlyWhenTold(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	for _, c := range b.pki.Cases() {
		_, err := b.Verify(chainOf(t, c.Certificate))
		require.Equal(t, c.Accepted && !c.SEID1, err == nil, c.Name)
	}
}

func TestVerify_TrustsNothingThatIsPresentedBesideTheLeaf(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	good := chainOf(t, b.pki.Case("seid2-p256").Certificate)
	for _, name := range []string{"other-ca-same-dn", "leaf-as-ca", "issued-by-root"} {
		bad := chainOf(t, b.pki.Case(name).Certificate)
		_, err := b.Verify(append(append(bad, good...), b.pki.Root()))
		require.Error(t, err, name)
	}
	party, err := b.Verify(good[:1])
	require.NoError(t, err, "the intermediate need not be presented")
	require.Equal(t, models.Party("0192:310000019"), party)
}

func TestVerify_RefusesEverybodyElsesPKI(t *testing.T) {
	t.Parallel()
	b, other := trustAll(t, TrustOptions{SEID1: true}), trustAll(t, TrustOptions{SEID1: true})
	for _, c := range other.pki.Cases() {
		_, err := b.Verify(chainOf(t, c.Certificate))
		require.Error(t, err, c.Name)
	}
}

func TestVerify_TellsCAsOfOneNameApartByTheirKeys(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	impostor := chainOf(t, b.pki.Case("other-ca-same-dn").Certificate)
	issuing := b.pki.Issuing().Leaf
	issuer := func(name string, c *x509.Certificate) IssuingCA {
		return IssuingCA{Name: name, Certificate: c, Policies: []string{testpki.Policy}, CRL: filepath.Join(b.dir, "crl", "issuing.crl")}
	}
	both, err := NewTrust(true, []*x509.Certificate{b.pki.Root(), impostor[1]},
		[]IssuingCA{issuer("impostor", impostor[1]), issuer("issuing", issuing)}, TrustOptions{Now: b.clock.now})
	require.NoError(t, err)
	require.ErrorContains(t, both.Refresh(t.Context()), "impostor", "another CA's list does not count")
	_, err = both.Verify(chainOf(t, b.pki.Case("seid2-p256").Certificate))
	require.NoError(t, err)
	_, err = both.Verify(impostor)
	require.ErrorContains(t, err, "never loaded")
}

func TestRecheck_FollowsTheClock(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{Grace: 20 * 365 * 24 * time.Hour})
	good := chainOf(t, b.pki.Case("seid2-p256").Certificate)
	_, err := b.Recheck(good)
	require.NoError(t, err)
	b.clock.advance(3*365*24*time.Hour - time.Second)
	_, err = b.Recheck(good)
	require.NoError(t, err)
	b.clock.advance(2 * time.Second)
	_, err = b.Recheck(good)
	require.ErrorContains(t, err, "expired")
	b.clock.advance(-5 * 365 * 24 * time.Hour)
	_, err = b.Recheck(good)
	require.ErrorContains(t, err, "not yet valid")
}

func TestRecheck_AcceptsAnExpiredIssuerNoLongerThanVerify(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{Grace: 20 * 365 * 24 * time.Hour})
	end := b.pki.Issuing().Leaf.NotAfter
	long, err := b.pki.Organisation("310000027", testpki.Change(func(c *x509.Certificate) { c.NotAfter = end.AddDate(5, 0, 0) }))
	require.NoError(t, err)
	_, err = b.Recheck(chainOf(t, long))
	require.NoError(t, err)
	b.clock.at.Store(end.Unix() + 1)
	_, err = b.Recheck(chainOf(t, long))
	require.ErrorContains(t, err, "expired")
}

func TestRecheck_RemembersABoundedNumber(t *testing.T) {
	t.Parallel()
	var l verifiedLeaves
	for i := range maxVerified + 100 {
		l.put([32]byte{byte(i), byte(i >> 8)}, verifiedLeaf{party: models.Norwegian("310000019")})
	}
	require.Len(t, l.m, maxVerified)
	_, is := l.get([32]byte{byte((maxVerified + 99) & 255), byte((maxVerified + 99) >> 8)})
	require.True(t, is, "the newest one stays")
}

func TestThumbprint_IsTheOneOfRFC8705(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	one := Thumbprint(b.pki.Case("seid1").Certificate.Leaf)
	require.Regexp(t, `^[A-Za-z0-9_-]{43}$`, one)
	require.NotEqual(t, one, Thumbprint(b.pki.Case("sub-unit").Certificate.Leaf))
	require.Equal(t, "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", Thumbprint(&x509.Certificate{}))
}
