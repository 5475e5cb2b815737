package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

const org = models.Party("0192:310000027")

// bundle is a verifier of one issuer, and that issuer.
type bundle struct {
	issuer   *DevIssuer
	verifier *Verifier
	now      time.Time
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return b.now }
	var err error
	b.issuer, err = OpenDevIssuer(t.TempDir(), clock)
	require.NoError(t, err)
	b.verifier, err = NewVerifier(clock, b.issuer.Issuer())
	require.NoError(t, err)
	return b
}

func (b *bundle) authenticate(header string) (models.Caller, error) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	return b.verifier.Authenticate(r)
}

func (b *bundle) token(t *testing.T) string {
	t.Helper()
	token, err := b.issuer.Token(org, []string{models.ScopeRead, models.ScopeWrite}, time.Minute)
	require.NoError(t, err)
	return token
}

// sign makes a token of any claims with any key.
func sign(t *testing.T, key jose.JSONWebKey, algorithm jose.SignatureAlgorithm, change func(map[string]any), headers ...string) string {
	t.Helper()
	o := &jose.SignerOptions{}
	for i := 0; i < len(headers); i += 2 {
		o.WithHeader(jose.HeaderKey(headers[i]), headers[i+1])
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, o)
	require.NoError(t, err)
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Unix()
	c := map[string]any{
		"iss": DevIssuerName, "aud": DevAudience, "iat": at, "exp": at + 60, "scope": models.ScopeRead,
		"consumer": map[string]string{"authority": authority, "ID": string(org)},
	}
	if change != nil {
		change(c)
	}
	out, err := jwt.Signed(signer).Claims(c).Serialize()
	require.NoError(t, err)
	return out
}

func TestVerifier_TakesTheOrganisationFromTheToken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	caller, err := b.authenticate("Bearer " + b.token(t))
	require.NoError(t, err)
	require.Equal(t, org, caller.Party)
	require.True(t, caller.Has(models.ScopeRead))
	require.False(t, caller.Has(models.ScopeServiceOwner))
	require.False(t, caller.Has())
	_, err = b.authenticate("bearer " + b.token(t))
	require.NoError(t, err, "the scheme counts in any case")
}

func TestVerifier_RefusesClaimsThatAreNotRight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := b.now.Unix()
	for name, change := range map[string]func(map[string]any){
		"expired":                func(c map[string]any) { c["exp"] = at - 1 },
		"no expiry":              func(c map[string]any) { delete(c, "exp") },
		"issued in the future":   func(c map[string]any) { c["iat"] = at + 60 },
		"not yet valid":          func(c map[string]any) { c["nbf"] = at + 60 },
		"another audience":       func(c map[string]any) { c["aud"] = "other" },
		"no audience":            func(c map[string]any) { delete(c, "aud") },
		"another issuer":         func(c map[string]any) { c["iss"] = "https://other/" },
		"a look-alike issuer":    func(c map[string]any) { c["iss"] = strings.TrimSuffix(DevIssuerName, "/") },
		"no organisation":        func(c map[string]any) { delete(c, "consumer") },
		"a bad organisation":     func(c map[string]any) { c["consumer"] = map[string]string{"authority": authority, "ID": "310000027"} },
		"another authority":      func(c map[string]any) { c["consumer"] = map[string]string{"authority": "x", "ID": string(org)} },
		"a consumer of no shape": func(c map[string]any) { c["consumer"] = string(org) },
	} {
		_, err := b.authenticate("Bearer " + sign(t, b.issuer.key, jose.ES256, change))
		require.ErrorIs(t, err, models.ErrUnauthenticated, name)
	}
	_, err := b.authenticate("Bearer " + sign(t, b.issuer.key, jose.ES256, func(c map[string]any) { c["aud"] = []string{"x", DevAudience} }))
	require.NoError(t, err, "one of several audiences")
}

func TestVerifier_RefusesSignaturesThatAreNotItsIssuers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	other := jose.JSONWebKey{Key: private, KeyID: b.issuer.key.KeyID}
	public, err := json.Marshal(b.issuer.key.Public())
	require.NoError(t, err)
	good := b.token(t)
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	for name, token := range map[string]string{
		"another key of the same name":   sign(t, other, jose.ES256, nil),
		"HMAC with the public key":       sign(t, jose.JSONWebKey{Key: public, KeyID: b.issuer.key.KeyID}, jose.HS256, nil),
		"no algorithm":                   none + "." + parts[1] + ".",
		"no signature":                   parts[0] + "." + parts[1] + ".",
		"a changed payload":              parts[0] + "." + parts[1][:len(parts[1])-4] + "AAAA." + parts[2],
		"two parts":                      parts[0] + "." + parts[1],
		"many dots":                      strings.Repeat(".", 10_000),
		"too long":                       strings.Repeat("x", 17<<10),
		"nothing":                        "",
		"an unknown critical header":     sign(t, b.issuer.key, jose.ES256, nil, "crit", "x"),
		"a key of its own in the header": sign(t, other, jose.ES256, nil, "jku", "https://evil/"),
	} {
		_, err := b.authenticate("Bearer " + token)
		require.ErrorIs(t, err, models.ErrUnauthenticated, name)
	}
	for _, header := range []string{"", "Bearer", "Basic " + good, good} {
		_, err := b.authenticate(header)
		require.ErrorIs(t, err, models.ErrUnauthenticated, header)
	}
}

func TestVerifier_KeepsIssuersApart(t *testing.T) {
	t.Parallel()
	one, two := setup(t), setup(t)
	second := two.issuer.Issuer()
	second.Name = "https://second/"
	v, err := NewVerifier(func() time.Time { return one.now }, one.issuer.Issuer(), second)
	require.NoError(t, err)
	one.verifier = v
	_, err = one.authenticate("Bearer " + sign(t, two.issuer.key, jose.ES256, func(c map[string]any) { c["iss"] = "https://second/" }))
	require.NoError(t, err)
	_, err = one.authenticate("Bearer " + sign(t, two.issuer.key, jose.ES256, nil))
	require.ErrorIs(t, err, models.ErrUnauthenticated, "a key never speaks for another issuer")
}

func TestNewVerifier_RefusesIssuersWithoutWhatItTakes(t *testing.T) {
	t.Parallel()
	good := setup(t).issuer.Issuer()
	for _, spoil := range []func(*Issuer){
		func(i *Issuer) { i.Name = "" }, func(i *Issuer) { i.Audience = "" }, func(i *Issuer) { i.Algorithms = nil },
		func(i *Issuer) { i.Keys.Keys = nil }, func(i *Issuer) { i.Keys.Keys = []jose.JSONWebKey{{}} },
	} {
		bad := good
		spoil(&bad)
		_, err := NewVerifier(time.Now, bad)
		require.Error(t, err)
	}
}

func TestDevIssuer_KeepsOneKeyAndLoopback(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := make(chan string, 8)
	for range cap(keys) {
		go func() {
			i, err := OpenDevIssuer(dir, time.Now)
			if err != nil {
				keys <- err.Error()
				return
			}
			keys <- i.key.KeyID
		}()
	}
	first := <-keys
	for range cap(keys) - 1 {
		require.Equal(t, first, <-keys)
	}
	require.NoError(t, RequireLoopback("127.0.0.1:8080", "http://localhost:8080"))
	require.NoError(t, RequireLoopback("[::1]:0", "http://[::1]:1"))
	for _, listen := range []string{"0.0.0.0:1", ":8080", "10.0.0.1:1", "broker:1", "127.0.0.1"} {
		require.Error(t, RequireLoopback(listen, "http://localhost"), listen)
	}
	require.Error(t, RequireLoopback("127.0.0.1:1", "https://broker.example"))
}

func BenchmarkVerifier(b *testing.B) {
	issuer, err := OpenDevIssuer(b.TempDir(), time.Now)
	require.NoError(b, err)
	v, err := NewVerifier(time.Now, issuer.Issuer())
	require.NoError(b, err)
	token, err := issuer.Token(org, []string{models.ScopeRead}, time.Hour)
	require.NoError(b, err)
	for b.Loop() {
		if _, err := v.verify(token); err != nil {
			b.Fatal(err)
		}
	}
}
