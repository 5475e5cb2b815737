package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/identity/testpki"
	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
)

func TestTestpki_WritesOrganisationsThatItsBundleTrusts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pki")
	written := func(args ...string) []string {
		r := testenv.Run(t, "formidling", nil, append([]string{"testpki", dir}, args...)...)
		require.Zero(t, r.Wait())
		return strings.Fields(r.Out.String())
	}
	files := written()
	require.Len(t, files, len(testpki.Organisations))
	root, err := os.ReadFile(filepath.Join(dir, "root.pem"))
	require.NoError(t, err)

	more := written("--org", "310000078", "--host", "broker.internal")
	require.Equal(t, []string{filepath.Join(dir, "310000078.pem")}, more)
	require.Equal(t, files, written(), "what is there is kept")
	again, err := os.ReadFile(filepath.Join(dir, "root.pem"))
	require.NoError(t, err)
	require.Equal(t, root, again)

	trust, err := identity.LoadTrust(filepath.Join(dir, "trust.json"), identity.TrustOptions{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.True(t, trust.Development())
	for _, file := range append(files, more...) {
		c, err := tls.LoadX509KeyPair(file, file)
		require.NoError(t, err)
		party, err := trust.Verify([]*x509.Certificate{c.Leaf})
		require.NoError(t, err)
		require.Equal(t, models.Norwegian(strings.TrimSuffix(filepath.Base(file), ".pem")), party)
	}
	server, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.pem"))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(root))
	for _, host := range []string{"localhost", "broker.internal"} {
		_, err = server.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: time.Now()})
		require.NoError(t, err)
	}
}

func TestTestpki_AtOnceWritesOnePKI(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := testenv.Run(t, "formidling", nil, "testpki", dir, "--org", "310000019")
	two := testenv.Run(t, "formidling", nil, "testpki", dir, "--org", "310000027")
	require.Zero(t, one.Wait())
	require.Zero(t, two.Wait())
	trust, err := identity.LoadTrust(filepath.Join(dir, "trust.json"), identity.TrustOptions{})
	require.NoError(t, err)
	for _, number := range []string{"310000019", "310000027"} {
		c, err := tls.LoadX509KeyPair(filepath.Join(dir, number+".pem"), filepath.Join(dir, number+".pem"))
		require.NoError(t, err)
		_, err = trust.Verify([]*x509.Certificate{c.Leaf})
		require.NoError(t, err)
	}
}

func TestTestpki_RefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	taken := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(taken, "thesis.txt"), nil, 0o600))
	fresh := t.TempDir()
	for says, args := range map[string][]string{
		"accepts 1 arg":           {"testpki"},
		"a check digit":           {"testpki", fresh, "--org", "310000018"},
		"not empty":               {"testpki", taken},
		`--org "0192:310000019":`: {"testpki", fresh, "--org", "0192:310000019"},
	} {
		r := testenv.Run(t, "formidling", nil, args...)
		require.Equal(t, 1, r.Wait(), says)
		require.Contains(t, r.Out.String(), says)
	}
	left, err := os.ReadDir(fresh)
	require.NoError(t, err)
	require.Empty(t, left)
}

// A test PKI's keys lie in a file: whoever has it is any organisation. What the bundle says of itself does not count.
func TestAPI_ServesNoTestPKIInPublic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := testenv.Run(t, "formidling", nil, "testpki", dir, "--org", "310000027")
	require.Zero(t, r.Wait(), r.Out.String())
	bundle, err := os.ReadFile(filepath.Join(dir, "trust.json"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "disguised.json"), bytes.Replace(bundle, []byte(`"development": true`), []byte(`"development": false`), 1), 0o600))
	for _, file := range []string{"trust.json", "disguised.json"} {
		for _, public := range []string{"FORMIDLING_MTLS_LISTEN=0.0.0.0:0", "FORMIDLING_MTLS_URL=https://broker.example", "FORMIDLING_LISTEN=0.0.0.0:0"} {
			env := []string{
				"FORMIDLING_DATA=" + t.TempDir(), "DATABASE_URL=sqlite:" + t.TempDir() + "/f.db", "OBJECTS=" + t.TempDir(),
				"FORMIDLING_PAYLOAD_KEYS=k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "FORMIDLING_TRUST=" + filepath.Join(dir, file),
				"FORMIDLING_LISTEN=127.0.0.1:0", "FORMIDLING_MTLS_LISTEN=127.0.0.1:0", "FORMIDLING_MTLS_CERTIFICATE=" + filepath.Join(dir, "server.pem"), public,
			}
			r := testenv.Run(t, "formidling", env, "api")
			require.Equal(t, 1, r.Wait(), "%s %s", file, public)
			require.Contains(t, r.Out.String(), "loopback only", "%s %s", file, public)
		}
	}
}
