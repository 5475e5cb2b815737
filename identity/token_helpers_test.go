package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// noon is when the tests take place.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// manualClock is moved by hand, also while others read it.
type manualClock struct{ since atomic.Int64 }

func (c *manualClock) now() time.Time          { return noon.Add(time.Duration(c.since.Load())) }
func (c *manualClock) advance(d time.Duration) { c.since.Add(int64(d)) }

// Keys are made once: an RSA key takes longer than all that the tests do with it.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	rsaOther = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
)

func newRSA(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

func newEC(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return k
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func n2kid(n int) string { return fmt.Sprintf("stranger-%d", n) }

// selfSigned is a certificate of a key; whom it identifies is for the fake to say.
func selfSigned(t testing.TB, key crypto.Signer) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	form := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "an organisation"},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	require.NoError(t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return c
}

func x5c(chain ...*x509.Certificate) []string {
	var out []string
	for _, c := range chain {
		out = append(out, base64.StdEncoding.EncodeToString(c.Raw))
	}
	return out
}

// compact writes a JWS by hand, so that a test can write what no library would.
func compact(t testing.TB, key any, header, claims map[string]any) string {
	t.Helper()
	h, err := json.Marshal(header)
	require.NoError(t, err)
	c, err := json.Marshal(claims)
	require.NoError(t, err)
	return compactRaw(t, fmt.Sprint(header["alg"]), key, h, c)
}

func compactRaw(t testing.TB, algorithm string, key any, header, claims []byte) string {
	t.Helper()
	input := encode(header) + "." + encode(claims)
	return input + "." + encode(rawSignature(t, algorithm, key, input))
}

func rawSignature(t testing.TB, algorithm string, key any, input string) []byte {
	t.Helper()
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[algorithm[max(0, len(algorithm)-3):]]
	if hash == 0 {
		return nil // alg none
	}
	digest := hash.New()
	digest.Write([]byte(input))
	switch k := key.(type) {
	case []byte:
		mac := hmac.New(hash.New, k)
		mac.Write([]byte(input))
		return mac.Sum(nil)
	case *rsa.PrivateKey:
		var options crypto.SignerOpts = hash
		if strings.HasPrefix(algorithm, "PS") {
			options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
		}
		out, err := k.Sign(rand.Reader, digest.Sum(nil), options)
		require.NoError(t, err)
		return out
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, digest.Sum(nil))
		require.NoError(t, err)
		size := (k.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}
	require.FailNow(t, "no way to sign", "%T", key)
	return nil
}

// fakeCertificates knows certificates by thumbprint.
type fakeCertificates struct {
	mu       sync.Mutex
	known    map[string]models.Party
	failure  error
	verified int
	checked  int
}

func (f *fakeCertificates) accept(c *x509.Certificate, p models.Party) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		f.known = map[string]models.Party{}
	}
	f.known[Thumbprint(c)] = p
}

func (f *fakeCertificates) revoke(c *x509.Certificate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.known, Thumbprint(c))
}

func (f *fakeCertificates) look(presented []*x509.Certificate, count *int) (models.Party, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*count++
	if f.failure != nil {
		return "", f.failure
	}
	p, known := f.known[Thumbprint(presented[0])]
	if !known {
		return "", refuse("certificate-unknown")
	}
	return p, nil
}

func (f *fakeCertificates) Verify(presented []*x509.Certificate) (models.Party, error) {
	return f.look(presented, &f.verified)
}

func (f *fakeCertificates) Recheck(presented []*x509.Certificate) (models.Party, error) {
	return f.look(presented, &f.checked)
}

// fakeAssertions is one memory for all who ask.
type fakeAssertions struct {
	mu      sync.Mutex
	used    map[string]time.Time
	failure error
}

func (f *fakeAssertions) UseAssertion(_ context.Context, holder models.Party, jti string, until time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return f.failure
	}
	key := string(holder) + " " + jti
	if _, used := f.used[key]; used {
		return models.ErrAssertionUsed
	}
	f.used[key] = until
	return nil
}

// fakeClients knows clients by id.
type fakeClients map[string]models.Client

func (f fakeClients) ClientByID(_ context.Context, id string) (models.Client, error) {
	if c, known := f[id]; known {
		return c, nil
	}
	return models.Client{}, fmt.Errorf("read client: %w", models.ErrClientNotFound)
}

// fakeRegistry refuses locked thumbprints, and suppliers without a delegation.
type fakeRegistry struct {
	delegated map[models.Party]models.Party // principal to supplier
	locked    map[string]bool
	failure   error
	mu        sync.Mutex
	asked     models.Caller
}

func (f *fakeRegistry) CheckCaller(_ context.Context, c models.Caller) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = c
	switch {
	case f.failure != nil:
		return f.failure
	case f.locked[c.Credential.Thumbprint]:
		return fmt.Errorf("%w (locked)", models.ErrUnauthenticated)
	case c.Supplier != "" && f.delegated[c.Party] != c.Supplier:
		return fmt.Errorf("%w (not delegated)", models.ErrUnauthenticated)
	}
	return nil
}

// clientKeys is a key set as an organisation registers it.
func clientKeys(t testing.TB, keys map[string]crypto.Signer) string {
	t.Helper()
	var set jose.JSONWebKeySet
	for kid, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Public(), KeyID: kid})
	}
	raw, err := json.Marshal(set)
	require.NoError(t, err)
	return string(raw)
}

// requireSilent checks what an error tells the log about a credential: nothing of it.
func requireSilent(t testing.TB, err error, credential string) {
	t.Helper()
	for part := range strings.SplitSeq(credential, ".") {
		if len(part) > 10 {
			require.NotContains(t, err.Error(), part)
		}
	}
	require.NotEmpty(t, Reason(err))
	require.Less(t, len(err.Error()), 300)
}

// claimsOf reads a token without verifying it.
func claimsOf(t testing.TB, token string) (header, claims map[string]any) {
	t.Helper()
	for n, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[n])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, into))
	}
	return header, claims
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
