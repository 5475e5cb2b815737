package identity

import (
	"crypto"
	"crypto/elliptic"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestExchange_SellsATokenForACertificatesAssertion(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	answer, err := b.ask(t, b.byCertificate().sign(t))
	require.NoError(t, err)
	require.Equal(t, "Bearer", answer.TokenType)
	require.Equal(t, 300, answer.ExpiresIn)
	require.Equal(t, "altinn:broker.write altinn:broker.read", answer.Scope)
	header, claims := claimsOf(t, answer.AccessToken)
	require.Equal(t, map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": b.issuer.keys.signing.KeyID}, header)
	require.NotEmpty(t, claims["jti"])
	delete(claims, "jti")
	require.Equal(t, map[string]any{
		"iss": tokenIssuerName, "aud": apiAudience, "sub": string(vendor), "client_id": string(vendor), "client_amr": "virksomhetssertifikat",
		"scope": answer.Scope, "consumer": consumer(vendor), "iat": float64(noon.Unix()), "exp": float64(noon.Unix() + 300),
		"credential_thumbprint": Thumbprint(b.leaf),
	}, claims)
	caller, err := b.verifier.Authenticate(request("Bearer " + answer.AccessToken))
	require.NoError(t, err)
	want := models.Caller{
		Party: vendor, Scopes: []string{models.ScopeWrite, models.ScopeRead},
		Credential: models.Credential{Method: models.LoginCertificateToken, Issuer: tokenIssuerName, Thumbprint: Thumbprint(b.leaf)},
	}
	require.Equal(t, want, caller)
	require.Equal(t, want, b.registry.asked, "the registry is asked about the same caller that the API will see")
	require.Equal(t, 1, b.certificates.verified)
	b.clock.advance(TokenLife)
	_, err = b.verifier.Authenticate(request("Bearer " + answer.AccessToken))
	requireRefused(t, err, answer.AccessToken, "after five minutes")
}

func TestExchange_SellsATokenForARegisteredKeysAssertion(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	answer, err := b.ask(t, b.byKey().sign(t))
	require.NoError(t, err)
	_, claims := claimsOf(t, answer.AccessToken)
	require.Equal(t, "private_key_jwt", claims["client_amr"])
	require.Equal(t, clientID, claims["client_id"])
	require.Equal(t, clientID, claims["sub"])
	require.Equal(t, consumer(vendor), claims["consumer"])
	caller, err := b.verifier.Authenticate(request("Bearer " + answer.AccessToken))
	require.NoError(t, err)
	_, thumbprints, err := ParseClientKeys([]byte(b.clients[clientID].Keys))
	require.NoError(t, err)
	require.Equal(t, models.Credential{Method: models.LoginKeyToken, Issuer: tokenIssuerName, Thumbprint: thumbprints[0]}, caller.Credential)
	require.Zero(t, b.certificates.verified)
}

func TestExchange_AcceptsEveryAlgorithmOfBothKinds(t *testing.T) {
	t.Parallel()
	p256, p384 := newEC(t, elliptic.P256()), newEC(t, elliptic.P384())
	for algorithm, key := range map[string]crypto.Signer{
		"RS256": rsaKey(), "RS384": rsaKey(), "RS512": rsaKey(), "PS256": rsaKey(), "ES256": p256, "ES384": p384,
	} {
		b := setupExchange(t)
		leaf := selfSigned(t, key)
		b.certificates.accept(leaf, vendor)
		b.clients[clientID] = models.Client{
			ID: clientID, Organisation: vendor, Expires: noon.Add(time.Hour), Keys: clientKeys(t, map[string]crypto.Signer{"k": key}),
		}
		for kind, d := range map[string]draft{
			"x5c": b.byCertificate().under(map[string]any{"alg": algorithm, "x5c": x5c(leaf, b.leaf)}),
			"kid": b.byKey().under(map[string]any{"alg": algorithm}),
		} {
			d.key = key
			caller, err := b.caller(t, d)
			require.NoError(t, err, "%s %s", algorithm, kind)
			require.Equal(t, vendor, caller.Party)
		}
	}
}

func TestExchange_AcceptsWhatMaskinportensClientsSend(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	now := noon.Unix()
	for name, d := range map[string]draft{
		"the number with its scheme":       b.byCertificate().with(map[string]any{"iss": string(vendor)}),
		"a client id with its certificate": b.byCertificate().with(map[string]any{"iss": clientID}),
		"a subject":                        b.byKey().with(map[string]any{"sub": clientID}),
		"another configured audience":      b.byKey().with(map[string]any{"aud": "https://old.example/"}),
		"a list of one audience":           b.byKey().with(map[string]any{"aud": []string{tokenIssuerName}}),
		"a clock ten seconds ahead":        b.byKey().with(map[string]any{"iat": now + 10, "exp": now + 130, "nbf": now + 10}),
		"a clock behind":                   b.byKey().with(map[string]any{"iat": now - 100, "exp": now + 20}),
		"our resource":                     b.byKey().with(map[string]any{"resource": apiAudience}),
		"a list of our resource":           b.byKey().with(map[string]any{"resource": []string{apiAudience}}),
		"one scope":                        b.byKey().with(map[string]any{"scope": models.ScopeServiceOwner}),
		"a scope twice":                    b.byKey().with(map[string]any{"scope": models.ScopeRead + " " + models.ScopeRead}),
		"no type":                          b.byKey().under(map[string]any{"typ": nil}),
		"a thumbprint beside x5c":          b.byCertificate().under(map[string]any{"x5t": "x"}),
		"a jti of 255 letters":             b.byKey().with(map[string]any{"jti": strings.Repeat("ø", 255)}),
		"itself as consumer_org":           b.byKey().with(map[string]any{"consumer_org": vendor.Number()}),
	} {
		caller, err := b.caller(t, d)
		require.NoError(t, err, name)
		require.Equal(t, vendor, caller.Party, name)
		require.Empty(t, caller.Supplier, name)
	}
	_, claims := claimsOf(t, must(b.ask(t, b.byCertificate().with(map[string]any{"iss": clientID}).sign(t))).AccessToken)
	require.Equal(t, clientID, claims["client_id"])
	require.Equal(t, models.ScopeRead, must(b.ask(t, b.byKey().with(map[string]any{"scope": models.ScopeRead + " " + models.ScopeRead}).sign(t))).Scope)
}

func TestExchange_SpendsAnAssertionOnce(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	assertion := b.byKey().sign(t)
	var won, lost atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			answer, err := b.ask(t, assertion)
			if err == nil && answer.AccessToken != "" {
				won.Add(1)
				return
			}
			if denied, ok := err.(*TokenError); ok && denied.Code == codeInvalidGrant && denied.Description == descriptions[codeInvalidGrant] { //nolint:errorlint // it is returned as it is
				lost.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, won.Load())
	require.EqualValues(t, 99, lost.Load())
	for _, until := range b.assertions.used {
		require.True(t, until.After(noon.Add(maxLife*time.Second)), "it is remembered for longer than it is accepted")
	}
	one := b.byKey().with(map[string]any{"jti": "same"})
	_, err := b.ask(t, one.sign(t))
	require.NoError(t, err)
	_, err = b.ask(t, one.with(map[string]any{"scope": models.ScopeRead}).sign(t))
	require.ErrorContains(t, err, codeInvalidGrant, "the jti counts, not the assertion's text")
	b.certificates.accept(b.leaf, org)
	_, err = b.ask(t, b.byCertificate().with(map[string]any{"jti": "same", "iss": org.Number()}).sign(t))
	require.NoError(t, err, "jti of different organisations are different")
}

func TestExchange_BindsTheTokenToTheConnectionsCertificate(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	second, others := selfSigned(t, newEC(t, elliptic.P256())), selfSigned(t, newEC(t, elliptic.P256()))
	b.certificates.accept(second, vendor)
	b.certificates.accept(others, org)
	answer, err := b.ask(t, b.byKey().sign(t), second)
	require.NoError(t, err)
	_, claims := claimsOf(t, answer.AccessToken)
	require.Equal(t, map[string]any{thumbprintS256: Thumbprint(second)}, claims["cnf"])
	header := "Bearer " + answer.AccessToken
	caller, err := b.verifier.Authenticate(request(header, second))
	require.NoError(t, err)
	require.Equal(t, models.LoginKeyToken, caller.Credential.Method)
	_, err = b.verifier.Authenticate(request(header))
	requireRefused(t, err, header, "without")
	_, err = b.verifier.Authenticate(request(header, b.leaf))
	requireRefused(t, err, header, "with another")

	clear(b.assertions.used)
	assertion := b.byKey().sign(t)
	_, err = b.ask(t, assertion, others)
	b.requireDenied(t, err, codeInvalidGrant, assertion, "another organisation's connection")
	b.certificates.revoke(second)
	_, err = b.ask(t, assertion, second)
	b.requireDenied(t, err, codeInvalidGrant, assertion, "a revoked certificate's connection")
	b.exchange.Certificates = nil
	_, err = b.ask(t, assertion, second)
	b.requireDenied(t, err, codeInvalidGrant, assertion, "no certificate is known")
}

func TestExchange_LeavesOurTroubleOurs(t *testing.T) {
	t.Parallel()
	down := fmt.Errorf("ask database: %w", models.ErrUnavailable)
	for name, spoil := range map[string]func(b *exchanging){
		"registry":     func(b *exchanging) { b.registry.failure = down },
		"assertions":   func(b *exchanging) { b.assertions.failure = down },
		"certificates": func(b *exchanging) { b.certificates.failure = down },
	} {
		b := setupExchange(t)
		spoil(b)
		_, err := b.ask(t, b.byCertificate().sign(t))
		require.ErrorIs(t, err, models.ErrUnavailable, name)
		var denied *TokenError
		require.NotErrorAs(t, err, &denied, name)
	}
	b := setupExchange(t)
	c := b.clients[clientID]
	c.Keys = "damaged"
	b.clients[clientID] = c
	_, err := b.ask(t, b.byKey().sign(t))
	require.ErrorIs(t, err, models.ErrInternal, "a damaged row is not the client's fault")
}

func TestExchange_SellsForThoseCertificatesThatAreTrusted(t *testing.T) {
	t.Parallel()
	trust, b := trustAll(t, TrustOptions{SEID1: true}), setupExchange(t)
	b.exchange.Certificates = trust
	b.verifier = b.verifier.WithCertificates(trust)
	for _, c := range trust.pki.Cases() {
		assertion := b.byEnterprise(t, c).sign(t)
		presented := chainOf(t, c.Certificate)
		answer, err := b.ask(t, assertion, presented...)
		if !c.Accepted {
			b.requireDenied(t, err, codeInvalidGrant, assertion, c.Name)
			_, err = b.verifier.Authenticate(request("", presented...))
			require.ErrorIs(t, err, models.ErrUnauthenticated, c.Name)
			continue
		}
		require.NoError(t, err, c.Name)
		clear(b.assertions.used)
		caller, err := b.verifier.Authenticate(request("Bearer "+answer.AccessToken, presented...))
		require.NoError(t, err, c.Name)
		require.Equal(t, c.Party, caller.Party, c.Name)
		require.Equal(t, models.Credential{Method: models.LoginCertificateToken, Issuer: tokenIssuerName, Thumbprint: Thumbprint(presented[0])}, caller.Credential)
	}
}
