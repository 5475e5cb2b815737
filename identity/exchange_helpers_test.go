package identity

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/identity/testpki"
	"github.com/formidling/formidling/models"
)

// Who takes part in exchanges.
const (
	tokenIssuerName = "https://broker.example/"
	apiAudience     = "https://broker.example/broker"
	customer        = models.Party("0192:310000043")
	clientID        = "client-of-vendor"
)

// exchanging is a token endpoint with its fakes. vendor has a certificate and a registered key; customer
// has delegated to vendor.
type exchanging struct {
	clock        *manualClock
	issuer       *TokenIssuer
	exchange     *TokenExchange
	verifier     *Verifier
	certificates *fakeCertificates
	clients      fakeClients
	assertions   *fakeAssertions
	registry     *fakeRegistry
	key          crypto.Signer
	leaf         *x509.Certificate
}

func setupExchange(t testing.TB) *exchanging {
	t.Helper()
	b := &exchanging{
		clock: &manualClock{}, certificates: &fakeCertificates{}, assertions: &fakeAssertions{used: map[string]time.Time{}},
		registry: &fakeRegistry{delegated: map[models.Party]models.Party{customer: vendor}, locked: map[string]bool{}},
		key:      newEC(t, elliptic.P256()),
	}
	b.leaf = selfSigned(t, b.key)
	b.certificates.accept(b.leaf, vendor)
	b.clients = fakeClients{clientID: {
		ID: clientID, Organisation: vendor, Expires: noon.Add(time.Hour), Keys: clientKeys(t, map[string]crypto.Signer{"k": b.key}),
	}}
	keys, err := MakeTokenKeys(filepath.Join(t.TempDir(), "keys.json"))
	require.NoError(t, err)
	b.issuer, err = NewTokenIssuer(TokenIssuerOptions{Name: tokenIssuerName, Audience: apiAudience, MTLS: "https://mtls.broker.example", Keys: keys, Now: b.clock.now})
	require.NoError(t, err)
	b.exchange = &TokenExchange{
		Issuer: b.issuer, Audiences: []string{tokenIssuerName, "https://old.example/"}, Certificates: b.certificates,
		Clients: b.clients, Assertions: b.assertions, Registry: b.registry,
	}
	v, err := NewVerifier(b.clock.now, b.issuer.Issuer())
	require.NoError(t, err)
	b.verifier = v.WithCertificates(b.certificates)
	return b
}

// draft is an assertion before it is signed.
type draft struct {
	key            any
	header, claims map[string]any
}

// byCertificate drafts an assertion with x5c; byKey one with the kid of the registered key.
func (b *exchanging) byCertificate() draft {
	return draft{
		key: b.key, header: map[string]any{"alg": "ES256", "typ": "JWT", "x5c": x5c(b.leaf)},
		claims: map[string]any{
			"iss": vendor.Number(), "aud": tokenIssuerName, "iat": b.clock.now().Unix(), "exp": b.clock.now().Unix() + maxLife,
			"jti": rand.Text(), "scope": models.ScopeWrite + " " + models.ScopeRead,
		},
	}
}

func (b *exchanging) byKey() draft {
	d := b.byCertificate()
	delete(d.header, "x5c")
	d.header["kid"], d.claims["iss"] = "k", clientID
	return d
}

// byEnterprise drafts an assertion with a certificate of the test PKI.
func (b *exchanging) byEnterprise(t testing.TB, c testpki.Case) draft {
	t.Helper()
	algorithm, number := "ES256", c.Party.Number()
	if _, ok := c.Certificate.PrivateKey.(*rsa.PrivateKey); ok {
		algorithm = "RS256"
	}
	if number == "" {
		number = vendor.Number() // it will not be accepted anyway
	}
	d := b.byCertificate().with(map[string]any{"iss": number}).under(map[string]any{"alg": algorithm, "x5c": x5c(chainOf(t, c.Certificate)...)})
	d.key = c.Certificate.PrivateKey
	return d
}

func (d draft) sign(t testing.TB) string {
	t.Helper()
	return compact(t, d.key, d.header, d.claims)
}

// with returns a draft with other claims; nil removes one.
func (d draft) with(claims map[string]any) draft {
	d.claims = overlaid(d.claims, claims)
	return d
}

func (d draft) under(header map[string]any) draft {
	d.header = overlaid(d.header, header)
	return d
}

func overlaid(have, change map[string]any) map[string]any {
	out := maps.Clone(have)
	maps.Copy(out, change)
	maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
	return out
}

func (b *exchanging) ask(t testing.TB, assertion string, presented ...*x509.Certificate) (TokenAnswer, error) {
	t.Helper()
	return b.exchange.Exchange(t.Context(), TokenRequest{GrantType: GrantJWTBearer, Assertion: assertion, ClientCertificates: presented})
}

// caller buys a token and shows it to the API.
func (b *exchanging) caller(t testing.TB, d draft, presented ...*x509.Certificate) (models.Caller, error) {
	t.Helper()
	answer, err := b.ask(t, d.sign(t), presented...)
	require.NoError(t, err)
	return b.verifier.Authenticate(request("Bearer "+answer.AccessToken, presented...))
}

// requireDenied checks the answer's code; that its text is the same for every cause; that the log gets a
// reason and nothing of the assertion; and that no assertion was spent.
func (b *exchanging) requireDenied(t testing.TB, err error, code, assertion, name string) {
	t.Helper()
	var denied *TokenError
	require.ErrorAs(t, err, &denied, name)
	require.Equal(t, code, denied.Code, "%s: %s", name, denied.Reason)
	require.Equal(t, descriptions[code], denied.Description, name)
	_, isOurs := models.AsError(err)
	require.False(t, isOurs, "%s: it is no problem document", name)
	requireSilent(t, err, assertion)
	require.Empty(t, b.assertions.used, name)
}
