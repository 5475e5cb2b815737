package identity

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/identity/testpki"
)

func TestLoadTrust_TakesWhatTestpkiWrites(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	var logged bytes.Buffer
	trust, err := LoadTrust(filepath.Join(b.dir, "trust.json"), TrustOptions{Now: b.clock.now, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	require.NoError(t, err)
	require.True(t, trust.Development())
	require.NoError(t, trust.Refresh(t.Context()))
	require.NotContains(t, logged.String(), "not loaded")
	_, err = trust.Verify(chainOf(t, b.pki.Case("seid2-rsa").Certificate))
	require.NoError(t, err)
	require.Equal(t, testpki.Name, developmentOrganisation)
}

func TestLoadTrust_ServesOnWithoutARevocationListAndSaysSo(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	var logged bytes.Buffer
	trust, err := LoadTrust(filepath.Join(b.dir, "cases", "trust.json"), TrustOptions{Now: b.clock.now, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	require.NoError(t, err)
	require.Contains(t, logged.String(), `level=ERROR msg="revocation list not loaded, the issuer's certificates are refused" issuer="Formidling Test CA without List"`)
	_, err = trust.Verify(chainOf(t, b.pki.Case("seid2-p256").Certificate))
	require.NoError(t, err, "the other issuers' organisations are let in")
}

func TestLoadTrust_TakesCAsAsTheyArePublished(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "root.pem"), b.pki.Root().Raw, 0o600)) // DER
	trust, err := LoadTrust(b.bundle(t, func(m *trustBundle) { m.Development = false }), TrustOptions{Now: b.clock.now})
	require.NoError(t, err)
	require.True(t, trust.Development(), "whatever the bundle says, its CAs are a test PKI's")
}

// bundle writes another bundle beside the sound one.
func (b *trusting) bundle(t *testing.T, change func(*trustBundle)) string {
	t.Helper()
	m, err := readBundle(filepath.Join(b.dir, "trust.json"))
	require.NoError(t, err)
	change(&m)
	raw, err := json.Marshal(m)
	require.NoError(t, err)
	file := filepath.Join(b.dir, "changed.json")
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	return file
}

func TestLoadTrust_NamesTheEntryThatIsWrong(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.pki.Case("seid2-p256").Certificate.Certificate[0]})
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "leaf.pem"), leaf, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "two.pem"), append(leaf, leaf...), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "junk.pem"), []byte("junk"), 0o600))
	for says, change := range map[string]func(*trustBundle){
		"at least one root":                       func(m *trustBundle) { m.Roots = nil },
		"at least one root and one issuer":        func(m *trustBundle) { m.Issuers = nil },
		"roots[0]: open ":                         func(m *trustBundle) { m.Roots[0] = "absent.pem" },
		"junk.pem: x509":                          func(m *trustBundle) { m.Roots[0] = "junk.pem" },
		"two.pem: it must hold one certificate":   func(m *trustBundle) { m.Roots[0] = "two.pem" },
		"roots[0]: it is not a CA's":              func(m *trustBundle) { m.Roots[0] = "leaf.pem" },
		`issuers[0] "Formidling Test Issuing CA"`: func(m *trustBundle) { m.Issuers[0].Certificate = "leaf.pem" },
		"none of the roots issued it":             func(m *trustBundle) { m.Issuers[1].Certificate = "cases/ca-other-ca-same-dn.pem" },
		"name and crl are required":               func(m *trustBundle) { m.Issuers[0].CRL = "" },
		`issuers[1] "": name and crl`:             func(m *trustBundle) { m.Issuers[1].Name = "" },
		"policies is empty":                       func(m *trustBundle) { m.Issuers[0].Policies = nil },
		`policy "2.16.*" is no OID`:               func(m *trustBundle) { m.Issuers[0].Policies = []string{"2.16.*"} },
		`has the name or the key of`:              func(m *trustBundle) { m.Issuers[1].Certificate = m.Issuers[0].Certificate },
		`crl "ldap://ldap.example/crl"`:           func(m *trustBundle) { m.Issuers[0].CRL = "ldap://ldap.example/crl" },
		`crl "https://"`:                          func(m *trustBundle) { m.Issuers[0].CRL = "https://" },
	} {
		_, err := LoadTrust(b.bundle(t, change), TrustOptions{Now: b.clock.now})
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, "changed.json")
	}
}

func TestLoadTrust_IsStrictAboutTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "trust.json")
	for content, says := range map[string]string{
		`{"devel": true}`:                      `unknown field "devel"`,
		`{"issuers": [{"crls": "x"}]}`:         `unknown field "crls"`,
		`{} {}`:                                "something follows",
		`{"roots": "root.pem"}`:                "cannot unmarshal",
		``:                                     "EOF",
		`{"development": "yes", "roots": [1]}`: "cannot unmarshal",
	} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := LoadTrust(file, TrustOptions{})
		require.ErrorContains(t, err, says)
	}
	_, err := LoadTrust(file+".absent", TrustOptions{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestNewTrust_RefusesARealCAInADevelopmentBundle(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	production := *b.pki.Issuing().Leaf
	production.Subject.Organization = []string{"Buypass AS-983163327"}
	issuer := IssuingCA{Name: "real", Certificate: &production, Policies: []string{testpki.Policy}, CRL: "x.crl"}
	_, err := NewTrust(true, b.roots, []IssuingCA{issuer}, TrustOptions{})
	require.ErrorContains(t, err, "takes only CAs of a test PKI")
	_, err = NewTrust(false, b.roots, []IssuingCA{issuer}, TrustOptions{})
	require.NoError(t, err)
}
