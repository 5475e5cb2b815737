package identity

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/identity/testpki"
)

// fetching is a trust whose only revocation list comes from a server.
type fetching struct {
	*trusting
	answer atomic.Pointer[http.HandlerFunc]
	good   []*x509.Certificate
}

func fetch(t *testing.T) *fetching {
	t.Helper()
	b := &fetching{trusting: trustAll(t, TrustOptions{})}
	b.good = chainOf(t, b.pki.Case("seid2-p256").Certificate)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*b.answer.Load())(w, r) }))
	t.Cleanup(server.Close)
	b.serves(b.pki.CRL())
	var err error
	b.Trust, err = NewTrust(true, []*x509.Certificate{b.pki.Root()}, []IssuingCA{
		{Name: "issuing", Certificate: b.pki.Issuing().Leaf, Policies: []string{testpki.Policy}, CRL: server.URL + "/issuing.crl"},
	}, TrustOptions{Now: b.clock.now})
	require.NoError(t, err)
	return b
}

func (b *fetching) answers(h http.HandlerFunc) { b.answer.Store(&h) }
func (b *fetching) serves(der []byte) {
	b.answers(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(der) })
}

// list signs a revocation list with the issuer's key, as nobody else can.
func (b *fetching) list(t *testing.T, change func(*x509.RevocationList)) []byte {
	t.Helper()
	l := &x509.RevocationList{
		Number: big.NewInt(1 << 40), ThisUpdate: b.clock.now(), NextUpdate: b.clock.now().Add(25 * time.Hour),
	}
	change(l)
	issuing := b.pki.Issuing()
	der, err := x509.CreateRevocationList(rand.Reader, l, issuing.Leaf, issuing.PrivateKey.(crypto.Signer))
	require.NoError(t, err)
	return der
}

// extended is a list with a critical extension.
func (b *fetching) extended(t *testing.T, oid asn1.ObjectIdentifier, value []byte) []byte {
	t.Helper()
	return b.list(t, func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: oid, Critical: true, Value: value}}
	})
}

func TestRefresh_FetchesFromThePinnedAddressOnly(t *testing.T) {
	t.Parallel()
	b := fetch(t)
	_, err := b.Verify(b.good)
	require.ErrorContains(t, err, "never loaded", "until the first list is there nobody is let in")
	require.NoError(t, b.Refresh(t.Context()))
	_, err = b.Verify(b.good)
	require.NoError(t, err)

	der := b.pki.CRL()
	b.answers(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/issuing.crl" {
			http.Redirect(w, r, "/moved.crl", http.StatusFound)
			return
		}
		_, _ = w.Write(der)
	})
	require.NoError(t, b.Refresh(t.Context()), "a redirect on the same server is followed")
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another server was asked") }))
	t.Cleanup(elsewhere.Close)
	b.answers(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) })
	require.ErrorContains(t, b.Refresh(t.Context()), "redirects elsewhere")
}

func TestRefresh_KeepsTheLastListWhenTheNextOneIsBad(t *testing.T) {
	t.Parallel()
	b := fetch(t)
	old := b.pki.CRL()
	c, err := b.pki.Organisation("310000027")
	require.NoError(t, err)
	require.NoError(t, b.pki.Revoke(c, false))
	b.serves(b.pki.CRL())
	require.NoError(t, b.Refresh(t.Context()))
	other, err := testpki.New(b.clock.now())
	require.NoError(t, err)
	forged := bytes.Clone(b.list(t, func(l *x509.RevocationList) { l.ThisUpdate = b.clock.now().Add(time.Second) }))
	forged[len(forged)-1] ^= 1 // of the signature

	for name, bad := range map[string]struct {
		body []byte
		says string
	}{
		"garbage":                {[]byte("<html>maintenance</html>"), "malformed"},
		"nothing":                {nil, "malformed"},
		"half a list":            {b.pki.CRL()[:100], "malformed"},
		"an older list":          {old, "older than the last one"},
		"a lower number":         {b.list(t, func(l *x509.RevocationList) { l.Number = big.NewInt(0) }), "older than the last one"},
		"an earlier list":        {b.list(t, func(l *x509.RevocationList) { l.ThisUpdate = b.clock.now().Add(-time.Hour) }), "older than the last one"},
		"a future list":          {b.list(t, func(l *x509.RevocationList) { l.ThisUpdate = b.clock.now().Add(time.Hour) }), "from the future"},
		"another CA's list":      {other.CRL(), "another issuer's"},
		"a forged list":          {forged, "verification"},
		"an endless list":        {bytes.Repeat([]byte{0x30}, maxList+1), "more than"},
		"a delta":                {b.extended(t, asn1.ObjectIdentifier{2, 5, 29, 27}, []byte{2, 1, 1}), "not understood"},
		"an indirect list":       {b.extended(t, oidIssuingDistributionPoint, []byte{0x30, 3, 0x84, 1, 0xff}), "not understood"},
		"a list of CAs":          {b.extended(t, oidIssuingDistributionPoint, []byte{0x30, 3, 0x82, 1, 0xff}), "not understood"},
		"a list of some reasons": {b.extended(t, oidIssuingDistributionPoint, []byte{0x30, 4, 0x83, 2, 6, 0x40}), "not understood"},
		"another's entry": {b.list(t, func(l *x509.RevocationList) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(1), RevocationTime: b.clock.now(), ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}}}}
		}), "entry's critical extension"},
	} {
		b.serves(bad.body)
		require.ErrorContains(t, b.Refresh(t.Context()), bad.says, name)
		_, err = b.Verify(chainOf(t, c))
		require.ErrorContains(t, err, "it is revoked", name)
		_, err = b.Verify(b.good)
		require.NoError(t, err, name)
	}
	b.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	require.ErrorContains(t, b.Refresh(t.Context()), "503")
	b.serves(b.list(t, func(*x509.RevocationList) {}))
	require.NoError(t, b.Refresh(t.Context()), "a sound list is taken again")
}

func TestRevocations_OfAnIssuerThatStopsCountingAreOlder(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	counted, uncounted := &revocations{number: big.NewInt(1), thisUpdate: at}, &revocations{thisUpdate: at}
	require.True(t, uncounted.olderThan(counted))
	require.False(t, counted.olderThan(uncounted))
	require.False(t, uncounted.olderThan(uncounted))
	require.False(t, counted.olderThan(counted), "the same list again is all right")
}

func TestRefresh_UnderstandsAListThatSaysWhereItIs(t *testing.T) {
	t.Parallel()
	b := fetch(t)
	// distributionPoint with a URI, onlyContainsUserCerts
	b.serves(b.extended(t, oidIssuingDistributionPoint, []byte{0x30, 12, 0xa0, 7, 0xa0, 5, 0x86, 3, 'c', 'r', 'l', 0x81, 1, 0xff}))
	require.NoError(t, b.Refresh(t.Context()))
}

func TestRefresh_LiftsHoldsButNotRevocations(t *testing.T) {
	t.Parallel()
	b := fetch(t)
	entry := func(serial int64, reason int) x509.RevocationListEntry {
		return x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: b.clock.now(), ReasonCode: reason}
	}
	r, err := readRevocations(b.list(t, func(l *x509.RevocationList) {
		l.RevokedCertificateEntries = []x509.RevocationListEntry{
			entry(1, reasonHold), entry(1, reasonRemoveFromCRL), entry(2, 1), entry(2, reasonRemoveFromCRL),
			entry(3, reasonRemoveFromCRL), entry(4, reasonHold), entry(5, reasonHold), entry(5, 4), entry(6, 1), entry(6, reasonHold), entry(7, 0),
		}
	}), b.pki.Issuing().Leaf)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"\x02": 1, "\x04": reasonHold, "\x05": 4, "\x06": 1, "\x07": 0}, r.reasons)
}

func TestCheck_FailsClosedAfterGrace(t *testing.T) {
	t.Parallel()
	b := fetch(t)
	b.issuers[0].revoked.grace = time.Hour
	b.serves(b.list(t, func(*x509.RevocationList) {}))
	require.NoError(t, b.Refresh(t.Context()))
	for _, step := range []struct {
		after   time.Duration
		refused bool
	}{{25 * time.Hour, false}, {59 * time.Minute, false}, {2 * time.Minute, true}} {
		b.clock.advance(step.after)
		_, err := b.Recheck(b.good)
		require.Equal(t, step.refused, err != nil, step.after)
	}
	require.ErrorContains(t, b.Refresh(t.Context()), "out of date", "to get the same list again is no success")
	b.serves(b.list(t, func(*x509.RevocationList) {}))
	require.NoError(t, b.Refresh(t.Context()))
	_, err := b.Recheck(b.good)
	require.NoError(t, err)
}

func TestRefresh_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := fetch(t)
	asked := make(chan struct{})
	b.answers(func(_ http.ResponseWriter, r *http.Request) { close(asked); <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	require.ErrorIs(t, b.Refresh(ctx), context.Canceled)
}

func TestRun_RefreshesHourlyAndSoonerAfterAFailure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		pki, err := testpki.New(time.Now())
		require.NoError(t, err)
		require.NoError(t, pki.Write(dir))
		var logged output
		trust, err := LoadTrust(filepath.Join(dir, "trust.json"), TrustOptions{Log: slog.New(slog.NewTextHandler(&logged, nil))})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go trust.Run(ctx)
		defer func() { cancel(); synctest.Wait() }()
		c, err := pki.Organisation("310000027")
		require.NoError(t, err)
		accepted := func() bool { _, err := trust.Recheck(chainOf(t, c)); return err == nil }

		time.Sleep(time.Second)
		require.NoError(t, pki.Revoke(c, true))
		time.Sleep(59 * time.Minute)
		require.True(t, accepted(), "the last list is less than an hour old")
		time.Sleep(2 * time.Minute)
		require.False(t, accepted())

		list := filepath.Join(dir, "crl", "issuing.crl")
		require.NoError(t, os.Remove(list))
		time.Sleep(time.Hour)
		require.Contains(t, logged.String(), "the last one still holds")
		require.NoError(t, pki.Lift(c))
		time.Sleep(time.Minute)
		require.True(t, accepted(), "a failure is not left for an hour")
	})
}

// output is what was logged.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) { o.mu.Lock(); defer o.mu.Unlock(); return o.b.Write(p) }

func (o *output) String() string { o.mu.Lock(); defer o.mu.Unlock(); return o.b.String() }
