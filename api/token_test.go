package api_test

import (
	"crypto/rand"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/identity/testpki"
	"github.com/formidling/formidling/models"
)

// tokens is a broker with its own token endpoint, and the certificates that it trusts.
type tokens struct {
	*apitest.Bundle
	pki *testpki.PKI
}

const brokerName = "http://127.0.0.1:1"

func withTokens(t *testing.T) *tokens {
	t.Helper()
	x := &tokens{}
	dir := t.TempDir()
	var err error
	x.pki, err = testpki.Open(dir, time.Now())
	require.NoError(t, err)
	trust, err := identity.LoadTrust(dir+"/trust.json", identity.TrustOptions{})
	require.NoError(t, err)
	keys, err := identity.MakeTokenKeys(dir + "/token-keys.json")
	require.NoError(t, err)
	issuer, err := identity.NewTokenIssuer(identity.TokenIssuerOptions{Name: brokerName, Audience: brokerName, Keys: keys, Now: time.Now})
	require.NoError(t, err)
	x.Bundle = apitest.Setup(t)
	verifier, err := identity.NewVerifier(time.Now, issuer.Issuer(), x.Issuer.Issuer())
	require.NoError(t, err)
	x.Restart(func(s *apitest.Config) {
		s.Authenticator = apitest.Impersonating{Authenticator: verifier.WithCertificates(trust)}
		s.Tokens = &identity.TokenExchange{
			Issuer: issuer, Audiences: []string{brokerName}, Certificates: trust, Clients: x.Store, Assertions: x.Store, Registry: x.Store,
		}
	})
	return x
}

func (x *tokens) certificate(p models.Party) tls.Certificate {
	x.T.Helper()
	c, err := x.pki.Enrol(p.Number())
	require.NoError(x.T, err)
	return c
}

// assertion signs claims with a certificate, which a test may spoil.
func (x *tokens) assertion(c tls.Certificate, change map[string]any) string {
	x.T.Helper()
	who, err := identity.Organisation(c.Leaf)
	require.NoError(x.T, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: c.PrivateKey}, (&jose.SignerOptions{}).WithHeader("x5c", c.Certificate))
	require.NoError(x.T, err)
	now := time.Now().Unix()
	claims := map[string]any{"iss": who, "aud": brokerName, "scope": strings.Join(models.AllScopes()[:2], " "), "jti": rand.Text(), "iat": now, "exp": now + 60}
	for k, v := range change {
		claims[k] = v
	}
	out, err := jwt.Signed(signer).Claims(claims).Serialize()
	require.NoError(x.T, err)
	return out
}

func (x *tokens) post(form url.Values) apitest.Reply {
	x.T.Helper()
	r, err := http.NewRequestWithContext(x.T.Context(), http.MethodPost, x.URL+"/oauth2/token", strings.NewReader(form.Encode()))
	require.NoError(x.T, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return x.Do(r)
}

func grantForm(assertion string) url.Values {
	return url.Values{"grant_type": {identity.GrantJWTBearer}, "assertion": {assertion}}
}

func (x *tokens) buy(c tls.Certificate, change map[string]any) string {
	x.T.Helper()
	var out contract.TokenAnswer
	x.post(grantForm(x.assertion(c, change))).Is(http.StatusOK, "").JSON(&out)
	require.Equal(x.T, "Bearer", out.TokenType)
	return "Bearer " + out.AccessToken
}

func TestToken_BoughtWithACertificateIsItsOrganisation(t *testing.T) {
	t.Parallel()
	x := withTokens(t)
	token := x.buy(x.certificate(alice), nil)
	var me contract.Me
	x.Call("", "GET", apitest.IdentityPath+"/me", "", "Authorization", token).Is(http.StatusOK, "").JSON(&me)
	require.Equal(t, string(alice), me.Organization)
	require.Equal(t, contract.MeCredentialMethod("certificate-token"), me.Credential.Method)
	require.Equal(t, models.AllScopes()[:2], me.Scopes)
	x.Call("", "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft()), "Authorization", token).Is(http.StatusOK, "")
	x.Call("", "PUT", "/resource/x", "{}", "Authorization", token).Is(http.StatusForbidden, "FMD-00009")
	a := x.Call("", "GET", "/authentication/api/v1/exchange/maskinporten", "", "Authorization", token).Is(http.StatusOK, "")
	var exchanged string
	a.JSON(&exchanged)
	require.Equal(t, strings.TrimPrefix(token, "Bearer "), exchanged)
	x.Call("", "GET", "/authentication/api/v1/exchange/maskinporten", "", apitest.Impersonate, apitest.Certified(alice)).Is(http.StatusUnauthorized, "FMD-00008")
}

func TestToken_OfASupplierEndsWithItsDelegation(t *testing.T) {
	t.Parallel()
	x := withTokens(t)
	id := x.Publish(content)
	supplier := x.certificate(mallory)
	asked := map[string]any{"consumer_org": bob.Number()}
	require.Equal(t, http.StatusBadRequest, x.post(grantForm(x.assertion(supplier, asked))).StatusCode)
	x.Call("", "PUT", apitest.IdentityPath+"/delegations/"+mallory.Number(), `{"receive":true}`, apitest.Impersonate, apitest.Certified(bob)).Is(http.StatusCreated, "")
	token := x.buy(supplier, asked)
	var me contract.Me
	x.Call("", "GET", apitest.IdentityPath+"/me", "", "Authorization", token).Is(http.StatusOK, "").JSON(&me)
	require.Equal(t, string(bob), me.Organization)
	require.Equal(t, string(mallory), *me.Supplier)
	x.Call("", "GET", "/filetransfer/"+id+"/download", "", "Authorization", token).Is(http.StatusOK, "")
	x.Call("", "DELETE", apitest.IdentityPath+"/delegations/"+mallory.Number(), "", apitest.Impersonate, apitest.Certified(bob), "If-Match", "*").Is(http.StatusNoContent, "")
	x.Call("", "GET", "/filetransfer/"+id+"/download", "", "Authorization", token).Is(http.StatusUnauthorized, "FMD-00008")
	asked["scope"] = models.ScopeServiceOwner
	require.Equal(t, http.StatusBadRequest, x.post(grantForm(x.assertion(supplier, asked))).StatusCode)
}

func TestAssertion_ReplayedByManyBuysOneToken(t *testing.T) {
	t.Parallel()
	x := withTokens(t)
	form := grantForm(x.assertion(x.certificate(alice), nil)).Encode()
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			response, err := http.Post(x.URL+"/token", "application/x-www-form-urlencoded", strings.NewReader(form))
			if err != nil {
				t.Errorf("post: %v", err)
				return
			}
			defer func() { _ = response.Body.Close() }()
			switch response.StatusCode {
			case http.StatusOK:
				won.Add(1)
			case http.StatusBadRequest:
				lost.Add(1)
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(1), won.Load())
	require.Equal(t, int64(99), lost.Load())
}

func TestTokenEndpoint_SaysOneThingForEveryBadAssertion(t *testing.T) {
	t.Parallel()
	x := withTokens(t)
	good := x.certificate(alice)
	revoked := x.pki.Case("revoked").Certificate
	forged := x.assertion(good, nil)
	answers := map[string]string{}
	for name, assertion := range map[string]string{
		"revoked": x.assertion(revoked, nil), "another audience": x.assertion(good, map[string]any{"aud": "https://other"}),
		"expired": x.assertion(good, map[string]any{"exp": 1}), "another organisation": x.assertion(good, map[string]any{"iss": bob}),
		"a broken signature": forged[:len(forged)-8] + "AAAAAAAA", "no token": "x", "17 KB": strings.Repeat("x", 17<<10), "dots": strings.Repeat(".", 10_000),
		"an access token": strings.TrimPrefix(x.buy(good, nil), "Bearer "),
	} {
		a := x.post(grantForm(assertion))
		require.Equal(t, http.StatusBadRequest, a.StatusCode, name)
		answers[string(a.Raw)] = name
	}
	require.Len(t, answers, 1)
	x.Call("", "GET", apitest.IdentityPath+"/me", "", "Authorization", "Bearer "+x.assertion(good, nil)).Is(http.StatusUnauthorized, "FMD-00008") // an assertion is no token
}

func TestTokenEndpoint_ReadsFormsStrictly(t *testing.T) {
	t.Parallel()
	x := withTokens(t)
	form := grantForm(x.assertion(x.certificate(alice), nil))
	said := func(a apitest.Reply) (e contract.TokenError) { a.JSON(&e); return e }
	for name, c := range map[string]struct {
		form url.Values
		code string
	}{
		"nothing": {url.Values{}, "invalid_request"}, "another grant": {url.Values{"grant_type": {"password"}, "assertion": {"x"}}, "unsupported_grant_type"},
		"an assertion twice": {url.Values{"grant_type": form["grant_type"], "assertion": {"a", "b"}}, "invalid_request"},
		"another resource":   {url.Values{"grant_type": form["grant_type"], "assertion": form["assertion"], "resource": {"https://other"}}, "invalid_target"},
	} {
		a := x.post(c.form)
		require.Equal(t, http.StatusBadRequest, a.StatusCode, name)
		require.Equal(t, c.code, said(a).Error, name)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, x.URL+"/oauth2/token", strings.NewReader("{}"))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	x.Do(r).Is(http.StatusUnsupportedMediaType, "FMD-00021")
	x.post(url.Values{"assertion": {strings.Repeat("x", 70<<10)}}).Is(http.StatusRequestEntityTooLarge, "FMD-00020")
	response, err := http.Post(x.URL+"/oauth2/token", "application/x-www-form-urlencoded", strings.NewReader("a=%zz"))
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, response.Body)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusBadRequest, response.StatusCode)
}

func TestTokenEndpoint_IsDescribed(t *testing.T) {
	t.Parallel()
	x := withTokens(t)
	for path, holds := range map[string]string{"/.well-known/jwks.json": `"kty":"EC"`, "/.well-known/oauth-authorization-server": `"token_endpoint":"` + brokerName + `/oauth2/token"`} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, x.URL+path, nil)
		require.NoError(t, err)
		a := x.Do(r).Is(http.StatusOK, "")
		require.Contains(t, string(a.Raw), holds)
		require.NotContains(t, string(a.Raw), `"d":`)
	}
	plain := apitest.Setup(t)
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server"} {
		response, err := http.Get(plain.URL + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusNotFound, response.StatusCode)
	}
}

func TestRefusals_LeaveAReasonInTheLogAndNeverTheToken(t *testing.T) {
	t.Parallel()
	x := withTokens(t)
	var log safeBuffer
	x.Restart(func(s *apitest.Config) { s.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	good := x.certificate(alice)
	assertion := x.assertion(good, map[string]any{"aud": "https://other"})
	require.Equal(t, http.StatusBadRequest, x.post(grantForm(assertion)).StatusCode)
	require.Contains(t, log.String(), "invalid_grant (")
	token := x.buy(good, nil)
	x.Call("", "GET", apitest.IdentityPath+"/me", "", "Authorization", token[:len(token)-8]+"AAAAAAAA").Is(http.StatusUnauthorized, "FMD-00008")
	require.Contains(t, log.String(), "FMD-00008: A valid bearer token or enterprise certificate is required. (")
	for _, secret := range []string{assertion, strings.Split(assertion, ".")[2], strings.Split(token, ".")[1]} {
		require.NotContains(t, log.String(), secret)
	}
}

// safeBuffer may be written while it is read.
type safeBuffer struct {
	mu sync.Mutex
	strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.String()
}
