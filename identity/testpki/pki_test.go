package testpki

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func setup(t *testing.T) *PKI {
	t.Helper()
	p, err := New(now)
	require.NoError(t, err)
	return p
}

// onList tells why a certificate is on the list of the organisations' CA; zero when it is not.
func onList(t *testing.T, der []byte, c *x509.Certificate) int {
	t.Helper()
	list, err := x509.ParseRevocationList(der)
	require.NoError(t, err)
	for _, e := range list.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(c.SerialNumber) == 0 {
			return e.ReasonCode
		}
	}
	return 0
}

func TestOrganisation_IsOfBothProfiles(t *testing.T) {
	t.Parallel()
	p := setup(t)
	c, err := p.Organisation("310000027")
	require.NoError(t, err)
	require.IsType(t, &ecdsa.PublicKey{}, c.Leaf.PublicKey)
	require.Contains(t, c.Leaf.Subject.String(), "2.5.4.97=")
	require.Empty(t, c.Leaf.Subject.SerialNumber)
	require.Equal(t, Policy, c.Leaf.Policies[0].String())
	require.NoError(t, c.Leaf.CheckSignatureFrom(p.Issuing().Leaf))
	require.Len(t, c.Certificate, 2)

	c, err = p.Organisation("310000027", p.RSA())
	require.NoError(t, err)
	require.Equal(t, 3072, c.Leaf.PublicKey.(*rsa.PublicKey).N.BitLen())

	c, err = p.Organisation("310000027", p.SEID1())
	require.NoError(t, err)
	require.Equal(t, 2048, c.Leaf.PublicKey.(*rsa.PublicKey).N.BitLen())
	require.Equal(t, "310000027", c.Leaf.Subject.SerialNumber)
	require.NotContains(t, c.Leaf.Subject.String(), "2.5.4.97=")

	for _, number := range []string{"310000018", "31000001", "0192:310000019", "../../310000019", ""} {
		_, err = p.Organisation(number)
		require.ErrorContains(t, err, "no organisation number")
		_, err = p.Enrol(number)
		require.ErrorContains(t, err, "no organisation number")
	}
}

func TestCases_AreAllDifferentAndSayWhatIsSpecial(t *testing.T) {
	t.Parallel()
	p := setup(t)
	names, serials := map[string]bool{}, map[string]bool{}
	for _, c := range p.Cases() {
		require.False(t, names[c.Name], c.Name)
		require.False(t, serials[c.Certificate.Leaf.SerialNumber.String()], c.Name)
		names[c.Name], serials[c.Certificate.Leaf.SerialNumber.String()] = true, true
		require.NotEmpty(t, c.What)
		require.Equal(t, c.Accepted, c.Party == models.Norwegian(caseNumber), c.Name)
		require.Equal(t, c, p.Case(c.Name))
	}
	require.Panics(t, func() { p.Case("absent") })
	require.Equal(t, reasonKeyCompromise, onList(t, p.CRL(), p.Case("revoked").Certificate.Leaf))
	require.Equal(t, reasonHold, onList(t, p.CRL(), p.Case("on-hold").Certificate.Leaf))
	require.Zero(t, onList(t, p.CRL(), p.Case("seid2-p256").Certificate.Leaf))
}

func TestRevoke_IssuesTheListAnew(t *testing.T) {
	t.Parallel()
	p := setup(t)
	c, err := p.Organisation("310000027")
	require.NoError(t, err)
	before, err := x509.ParseRevocationList(p.CRL())
	require.NoError(t, err)
	require.NoError(t, p.Revoke(c, true))
	require.Equal(t, reasonHold, onList(t, p.CRL(), c.Leaf))
	require.NoError(t, p.Revoke(c, false))
	require.Equal(t, reasonKeyCompromise, onList(t, p.CRL(), c.Leaf))
	require.NoError(t, p.Lift(c))
	require.Zero(t, onList(t, p.CRL(), c.Leaf))
	after, err := x509.ParseRevocationList(p.CRL())
	require.NoError(t, err)
	require.Equal(t, 1, after.Number.Cmp(before.Number))
	require.Len(t, after.RevokedCertificateEntries, len(before.RevokedCertificateEntries))
	require.ErrorContains(t, p.Revoke(p.Case("issued-by-root").Certificate, false), "no revocation list")
}

func TestServer_IsForItsHosts(t *testing.T) {
	t.Parallel()
	p := setup(t)
	roots := x509.NewCertPool()
	roots.AddCert(p.Root())
	local, err := p.Server()
	require.NoError(t, err)
	other, err := p.Server("broker.example")
	require.NoError(t, err)
	for host, c := range map[string]*x509.Certificate{"localhost": local.Leaf, "127.0.0.1": local.Leaf, "::1": local.Leaf, "broker.example": other.Leaf} {
		_, err = c.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now})
		require.NoError(t, err, host)
	}
	require.Error(t, other.Leaf.VerifyHostname("localhost"))
}

func TestWrite_PutsDownWhatOpenReads(t *testing.T) {
	t.Parallel()
	p, dir := setup(t), t.TempDir()
	enrolled, err := p.Enrol("310000027")
	require.NoError(t, err)
	require.NoError(t, p.Write(dir))
	require.ErrorIs(t, setup(t).Write(dir), os.ErrExist)
	require.NoError(t, p.Revoke(enrolled, false))

	later := now.Add(time.Hour)
	again, err := Open(dir, later)
	require.NoError(t, err)
	require.Equal(t, p.Root().Raw, again.Root().Raw)
	require.Equal(t, reasonKeyCompromise, onList(t, again.CRL(), enrolled.Leaf))
	list, err := x509.ParseRevocationList(again.CRL())
	require.NoError(t, err)
	require.Equal(t, later.Add(-time.Minute), list.ThisUpdate)
	same, err := again.Enrol("310000027")
	require.NoError(t, err)
	require.Equal(t, enrolled.Leaf.Raw, same.Leaf.Raw)
	for _, c := range p.Cases() {
		require.Equal(t, c.Certificate.Leaf.Raw, again.Case(c.Name).Certificate.Leaf.Raw, c.Name)
	}
}

func TestOpen_RenewsWhatIsAboutToExpire(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := Open(dir, now)
	require.NoError(t, err)
	old, err := p.Enrol("310000027")
	require.NoError(t, err)
	server, err := os.ReadFile(filepath.Join(dir, "server.pem"))
	require.NoError(t, err)

	later := now.Add(leafLife)
	p, err = Open(dir, later)
	require.NoError(t, err)
	renewed, err := p.Enrol("310000027")
	require.NoError(t, err)
	require.NotEqual(t, old.Leaf.Raw, renewed.Leaf.Raw)
	onDisk, err := read(filepath.Join(dir, "310000027.pem"))
	require.NoError(t, err)
	require.Equal(t, renewed.Leaf.Raw, onDisk.Leaf.Raw)
	require.True(t, later.Before(onDisk.Leaf.NotAfter))
	newServer, err := os.ReadFile(filepath.Join(dir, "server.pem"))
	require.NoError(t, err)
	require.NotEqual(t, server, newServer)
}

func TestOpen_LetsOnlyTheOwnerRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Open(dir, now)
	require.NoError(t, err)
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		if d.Type().IsRegular() {
			info, err := d.Info()
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
			require.NotEqual(t, byte('.'), d.Name()[0], "a draft was left: "+path)
			files++
		}
		return nil
	}))
	require.Greater(t, files, 50)
}

func TestOpen_AtOnceGivesOnePKI(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	opened := make([]*PKI, 8)
	var all sync.WaitGroup
	for i := range opened {
		all.Go(func() {
			p, err := Open(dir, now)
			if err == nil {
				_, err = p.Enrol("310000027")
			}
			if err != nil {
				t.Errorf("open %d: %v", i, err)
			}
			opened[i] = p
		})
	}
	all.Wait()
	for _, p := range opened[1:] {
		require.Equal(t, opened[0].Root().Raw, p.Root().Raw)
		require.Equal(t, opened[0].Case("revoked").Certificate.Leaf.Raw, p.Case("revoked").Certificate.Leaf.Raw)
		require.Equal(t, opened[0].enrolled["310000027"].Leaf.Raw, p.enrolled["310000027"].Leaf.Raw)
	}
	der, err := os.ReadFile(filepath.Join(dir, "crl", "issuing.crl"))
	require.NoError(t, err)
	require.NotZero(t, onList(t, der, opened[0].Case("revoked").Certificate.Leaf))
}

func TestOpen_CompletesWhatWasInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := Open(dir, now)
	require.NoError(t, err)
	for _, gone := range []string{"crl", "cases", "server.pem", "trust.json", "root.pem"} {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, gone)))
	}
	again, err := Open(dir, now)
	require.NoError(t, err)
	require.Equal(t, p.Root().Raw, again.Root().Raw)
	require.NotZero(t, onList(t, again.CRL(), again.Case("on-hold").Certificate.Leaf))
	require.FileExists(t, filepath.Join(dir, "cases", "trust.json"))
}

func TestOpen_RefusesWhatIsNoPKI(t *testing.T) {
	t.Parallel()
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "thesis.txt"), []byte("x"), 0o600))
	_, err := Open(other, now)
	require.ErrorContains(t, err, "it has thesis.txt")

	broken := t.TempDir()
	_, err = Open(broken, now)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(broken, "crl", "issuing.crl"), []byte("x"), 0o600))
	_, err = Open(broken, now)
	require.ErrorContains(t, err, "read revocation list")
	require.NoError(t, os.WriteFile(filepath.Join(broken, "ca", "issuing.pem"), []byte("x"), 0o600))
	_, err = Open(broken, now)
	require.ErrorContains(t, err, "issuing.pem")
	_, err = Open(filepath.Join(other, "thesis.txt"), now)
	require.Error(t, err)
}

func TestKeepServer_AddsHosts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := Open(dir, now)
	require.NoError(t, err)
	require.NoError(t, p.KeepServer("broker.example"))
	c, err := read(filepath.Join(dir, "server.pem"))
	require.NoError(t, err)
	require.NoError(t, c.Leaf.VerifyHostname("broker.example"))
	require.NoError(t, c.Leaf.VerifyHostname("localhost"))
	_, err = Open(dir, now)
	require.NoError(t, err)
	kept, err := read(filepath.Join(dir, "server.pem"))
	require.NoError(t, err)
	require.Equal(t, c.Leaf.Raw, kept.Leaf.Raw)
}
