package identity

import (
	"crypto/elliptic"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestVerifier_TakesTheOrganisationFromTheCertificate(t *testing.T) {
	t.Parallel()
	b, certificates := setup(t), &fakeCertificates{}
	v := b.verifier.WithCertificates(certificates)
	leaf := selfSigned(t, newEC(t, elliptic.P256()))
	certificates.accept(leaf, org)
	caller, err := v.Authenticate(request("", leaf))
	require.NoError(t, err)
	require.Equal(t, models.Caller{
		Party: org, Scopes: models.AllScopes(), Credential: models.Credential{Method: models.LoginCertificate, Thumbprint: Thumbprint(leaf)},
	}, caller)
	require.Equal(t, 1, certificates.checked, "the cheap check is enough: the handshake did the full one")
	require.Zero(t, certificates.verified)
	certificates.revoke(leaf)
	_, err = v.Authenticate(request("", leaf))
	requireRefused(t, err, "", "the connection lives longer than the certificate")
	_, err = b.verifier.Authenticate(request("", leaf))
	requireRefused(t, err, "", "no certificate is known at all")
}

func TestVerifier_WantsTheCertificateOfTheTokensHolder(t *testing.T) {
	t.Parallel()
	b, certificates := setup(t), &fakeCertificates{}
	v := b.verifier.WithCertificates(certificates)
	own, others, unknown := selfSigned(t, newEC(t, elliptic.P256())), selfSigned(t, newEC(t, elliptic.P256())), selfSigned(t, newEC(t, elliptic.P256()))
	certificates.accept(own, org)
	certificates.accept(others, vendor)
	header := "Bearer " + b.token(t)
	caller, err := v.Authenticate(request(header, own))
	require.NoError(t, err)
	require.Equal(t, models.LoginExternalToken, caller.Credential.Method, "the token decides")
	require.NotContains(t, caller.Scopes, models.ScopeServiceOwner)
	_, err = v.Authenticate(request(header, others))
	requireRefused(t, err, header, "another organisation's certificate")
	_, err = v.Authenticate(request(header, unknown))
	requireRefused(t, err, header, "a certificate of nobody")
	_, err = b.verifier.Authenticate(request(header, own))
	requireRefused(t, err, header, "no certificate is known at all")
	for _, broken := range []string{"Bearer x", "Bearer", "Basic eA=="} {
		_, err = v.Authenticate(request(broken, own))
		requireRefused(t, err, "", "a certificate does not mend a token")
	}
	certificates.failure = fmt.Errorf("read list: %w", models.ErrUnavailable)
	_, err = v.Authenticate(request(header, own))
	require.ErrorIs(t, err, models.ErrUnavailable)
}

func TestVerifier_HoldsATokenToItsCertificate(t *testing.T) {
	t.Parallel()
	b, certificates := setup(t), &fakeCertificates{}
	v := b.verifier.WithCertificates(certificates)
	own, second := selfSigned(t, newEC(t, elliptic.P256())), selfSigned(t, newEC(t, elliptic.P256()))
	certificates.accept(own, org)
	certificates.accept(second, org)
	bound := "Bearer " + b.sign(t, func(_, c map[string]any) { c["cnf"] = map[string]any{thumbprintS256: Thumbprint(own)} })
	_, err := v.Authenticate(request(bound, own))
	require.NoError(t, err)
	_, err = v.Authenticate(request(bound))
	requireRefused(t, err, bound, "no certificate")
	_, err = v.Authenticate(request(bound, second))
	requireRefused(t, err, bound, "another certificate, of the same organisation")
	_, err = v.Authenticate(request(bound, second, own))
	requireRefused(t, err, bound, "only the leaf proves a key")
	twice := "Bearer " + b.sign(t, func(_, c map[string]any) { c["cnf"] = map[string]any{thumbprintS256: Thumbprint(own), "jkt": "x"} })
	_, err = v.Authenticate(request(twice, own))
	requireRefused(t, err, twice, "half of two bindings")
	r := request(bound)
	r.Header.Set("Client-Cert", ":"+x5c(own)[0]+":")
	_, err = v.Authenticate(r)
	requireRefused(t, err, bound, "a header is no certificate")
}

// details is authorization_details with a system user of an organisation.
func details(p models.Party) []any {
	return []any{map[string]any{"type": typeSystemUser, "systemuser_id": []string{"x"}, "systemuser_org": consumer(p), "system_id": "y"}}
}

func TestVerifier_ReadsForWhomTheHolderActs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	trusted := b.issuer.Issuer()
	trusted.MayStateDelegation = true
	for name, c := range map[string]struct {
		claims          map[string]any
		party, supplier models.Party
	}{
		"itself":                         {nil, org, ""},
		"a supplier":                     {map[string]any{"supplier": consumer(vendor), "delegation_source": "x"}, org, vendor},
		"a system user":                  {map[string]any{"consumer": consumer(vendor), "authorization_details": details(org)}, org, vendor},
		"its own supplier":               {map[string]any{"supplier": consumer(org)}, org, ""},
		"a system user of its own":       {map[string]any{"authorization_details": details(org)}, org, ""},
		"details of another type":        {map[string]any{"authorization_details": []any{map[string]any{"type": "x", "systemuser_org": 7}}}, org, ""},
		"a supplier in the older scheme": {map[string]any{"supplier": consumer("9908:310000027")}, org, ""},
		"no supplier, but named":         {map[string]any{"supplier": nil, "authorization_details": nil}, org, ""},
	} {
		token := "Bearer " + b.sign(t, func(_, have map[string]any) {
			for k, v := range c.claims {
				have[k] = v
			}
		})
		v, err := NewVerifier(b.verifier.now, trusted)
		require.NoError(t, err)
		caller, err := v.Authenticate(request(token))
		require.NoError(t, err, name)
		require.Equal(t, c.party, caller.Party, name)
		require.Equal(t, c.supplier, caller.Supplier, name)
		require.Equal(t, c.supplier != "", caller.DelegationStated, name)
		_, err = b.authenticate(token)
		if c.supplier == "" {
			require.NoError(t, err, name)
			continue
		}
		requireRefused(t, err, token, name+", of an issuer that may not say so")
	}
}

func TestVerifier_RefusesDelegationsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	trusted := b.issuer.Issuer()
	trusted.MayStateDelegation = true
	v, err := NewVerifier(b.verifier.now, trusted)
	require.NoError(t, err)
	foreign := map[string]any{"authority": "x", "ID": string(vendor)}
	for name, claims := range map[string]map[string]any{
		"a supplier of no shape":                {"supplier": string(vendor)},
		"a supplier of another authority":       {"supplier": foreign},
		"a supplier without a number":           {"supplier": map[string]any{}},
		"details that are no list":              {"authorization_details": map[string]any{}},
		"a detail that is no object":            {"authorization_details": []any{"x"}},
		"two system users":                      {"authorization_details": append(details(org), details(vendor)...)},
		"a system user and a supplier":          {"authorization_details": details(vendor), "supplier": consumer(vendor)},
		"a system user without an organisation": {"authorization_details": []any{map[string]any{"type": typeSystemUser}}},
		"a system user of another authority":    {"authorization_details": []any{map[string]any{"type": typeSystemUser, "systemuser_org": foreign}}},
		"a system user's organisation as text":  {"authorization_details": []any{map[string]any{"type": typeSystemUser, "systemuser_org": string(vendor)}}},
	} {
		token := b.sign(t, func(_, have map[string]any) {
			for k, v := range claims {
				have[k] = v
			}
		})
		_, err := v.Authenticate(request("Bearer " + token))
		requireRefused(t, err, token, name)
	}
}

func TestVerifier_TranslatesAnExternalIssuersScopes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	issuer := b.issuer.Issuer()
	issuer.Scopes = map[string]string{"their:send": models.ScopeWrite}
	v, err := NewVerifier(b.verifier.now, issuer)
	require.NoError(t, err)
	caller, err := v.Authenticate(request("Bearer " + b.sign(t, func(_, c map[string]any) {
		c["scope"] = strings.Join([]string{"their:send", "their:send.more", models.ScopeRead}, " ")
	})))
	require.NoError(t, err)
	require.Equal(t, []string{models.ScopeWrite}, caller.Scopes)
}

func TestVerifier_HoldsAKeyToItsOwnAlgorithm(t *testing.T) {
	t.Parallel()
	issuer := Issuer{
		Name: DevIssuerName, Audience: DevAudience, Algorithms: Algorithms(),
		Keys: newKeyMap([]jose.JSONWebKey{{Key: rsaKey().Public(), KeyID: "k", Algorithm: "RS256"}}),
	}
	b := setup(t)
	v, err := NewVerifier(b.verifier.now, issuer)
	require.NoError(t, err)
	for _, algorithm := range Algorithms() {
		if strings.HasPrefix(string(algorithm), "ES") {
			continue
		}
		token := b.sign(t, nil)
		_, claims := claimsOf(t, token)
		token = compact(t, rsaKey(), map[string]any{"alg": algorithm, "kid": "k"}, claims)
		_, err := v.Authenticate(request("Bearer " + token))
		if algorithm == "RS256" {
			require.NoError(t, err)
			continue
		}
		requireRefused(t, err, token, string(algorithm))
	}
}

func TestVerifier_HoldsAnIssuerToItsOwnAlgorithms(t *testing.T) {
	t.Parallel()
	one := Issuer{
		Name: DevIssuerName, Audience: DevAudience, Algorithms: []jose.SignatureAlgorithm{jose.RS256},
		Keys: newKeyMap([]jose.JSONWebKey{{Key: rsaKey().Public(), KeyID: "k"}}),
	}
	other := one
	other.Name, other.Algorithms = "https://other/", Algorithms()
	b := setup(t)
	v, err := NewVerifier(b.verifier.now, one, other)
	require.NoError(t, err)
	_, claims := claimsOf(t, b.sign(t, nil))
	_, err = v.Authenticate(request("Bearer " + compact(t, rsaKey(), map[string]any{"alg": "RS256", "kid": "k"}, claims)))
	require.NoError(t, err)
	token := compact(t, rsaKey(), map[string]any{"alg": "RS512", "kid": "k"}, claims)
	_, err = v.Authenticate(request("Bearer " + token))
	requireRefused(t, err, token, "the other issuer's algorithm")
	claims["iss"] = other.Name
	_, err = v.Authenticate(request("Bearer " + compact(t, rsaKey(), map[string]any{"alg": "RS512", "kid": "k"}, claims)))
	require.NoError(t, err)
}
