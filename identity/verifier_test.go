package identity

import (
	"context"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

const (
	org    = models.Party("0192:310000027")
	vendor = models.Party("0192:310000035")
)

// bundle is a verifier of one external issuer, and that issuer.
type bundle struct {
	issuer   *DevIssuer
	verifier *Verifier
}

func setup(t testing.TB) *bundle {
	t.Helper()
	clock := func() time.Time { return noon }
	b := &bundle{}
	var err error
	b.issuer, err = OpenDevIssuer(t.TempDir(), clock)
	require.NoError(t, err)
	b.verifier, err = NewVerifier(clock, b.issuer.Issuer())
	require.NoError(t, err)
	return b
}

// request carries a header Authorization, if any, over a connection with these client certificates.
func request(header string, presented ...*x509.Certificate) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	if len(presented) > 0 {
		r.TLS = &tls.ConnectionState{PeerCertificates: presented}
	}
	return r
}

func (b *bundle) authenticate(header string) (models.Caller, error) {
	return b.verifier.Authenticate(request(header))
}

func (b *bundle) token(t testing.TB) string {
	t.Helper()
	token, err := b.issuer.Token(org, []string{models.ScopeRead, models.ScopeWrite}, time.Minute)
	require.NoError(t, err)
	return token
}

// sign makes a token of the issuer, changed.
func (b *bundle) sign(t testing.TB, change func(header, claims map[string]any)) string {
	t.Helper()
	header := map[string]any{"alg": "ES256", "kid": b.issuer.key.KeyID, "typ": "at+jwt"}
	claims := map[string]any{
		"iss": DevIssuerName, "aud": DevAudience, "iat": noon.Unix(), "exp": noon.Unix() + 60, "scope": models.ScopeRead,
		"consumer": consumer(org),
	}
	if change != nil {
		change(header, claims)
	}
	return compact(t, b.issuer.key.Key, header, claims)
}

func consumer(p models.Party) map[string]any {
	return map[string]any{"authority": authority, "ID": string(p)}
}

// requireRefused checks that the caller learns nothing from a refusal, and the log a reason but no token.
func requireRefused(t testing.TB, err error, token, name string) {
	t.Helper()
	require.ErrorIs(t, err, models.ErrUnauthenticated, name)
	shown, _ := models.AsError(err)
	require.Equal(t, models.ErrUnauthenticated, shown, name)
	requireSilent(t, err, token)
}

func TestVerifier_TakesTheOrganisationFromTheToken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	caller, err := b.authenticate("Bearer " + b.token(t))
	require.NoError(t, err)
	require.Equal(t, models.Caller{
		Party: org, Scopes: []string{models.ScopeRead, models.ScopeWrite},
		Credential: models.Credential{Method: models.LoginExternalToken, Issuer: DevIssuerName},
	}, caller)
	_, err = b.authenticate("bearer " + b.token(t))
	require.NoError(t, err, "the scheme counts in any case")
}

func TestVerifier_TakesNothingFromIdentityHeaders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	certificate := x5c(selfSigned(t, newEC(t, elliptic.P256())))[0]
	spoof := func(r *http.Request) *http.Request {
		for _, name := range []string{
			"X-Org", "X-Organization", "X-Consumer", "X-SSL-Client-Cert", "X-SSL-Client-S-DN", "X-SSL-Client-Verify", "SSL-Client-Cert",
			"Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Forwarded-Client-Cert", "X-ARR-ClientCert", "X-Forwarded-User",
			"X-Authenticated-Userid", "Proxy-Authorization", "X-Altinn-Party", "Forwarded", "Cookie",
		} {
			r.Header.Set(name, string(vendor))
			r.Header.Add(name, ":"+certificate+":")
		}
		return r
	}
	v := b.verifier.WithCertificates(&fakeCertificates{})
	_, err := v.Authenticate(spoof(request("")))
	requireRefused(t, err, "", "headers alone")
	with, err := v.Authenticate(spoof(request("Bearer " + b.token(t))))
	require.NoError(t, err)
	without, err := b.authenticate("Bearer " + b.token(t))
	require.NoError(t, err)
	require.Equal(t, without, with)
}

func TestVerifier_RefusesClaimsThatAreNotRight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := noon.Unix()
	for name, change := range map[string]func(c map[string]any){
		"expired":                  func(c map[string]any) { c["exp"] = at - 1 },
		"expired just now":         func(c map[string]any) { c["exp"] = at },
		"no expiry":                func(c map[string]any) { delete(c, "exp") },
		"expiry of no shape":       func(c map[string]any) { c["exp"] = "never" },
		"issued in the future":     func(c map[string]any) { c["iat"] = at + 11 },
		"not yet valid":            func(c map[string]any) { c["nbf"] = at + 11 },
		"beyond all time":          func(c map[string]any) { c["exp"] = 1e300 },
		"another audience":         func(c map[string]any) { c["aud"] = "other" },
		"Maskinporten's audience":  func(c map[string]any) { c["aud"] = "unspecified" },
		"a prefix of the audience": func(c map[string]any) { c["aud"] = DevAudience[:4] },
		"no audience":              func(c map[string]any) { delete(c, "aud") },
		"another issuer":           func(c map[string]any) { c["iss"] = "https://other/" },
		"no issuer":                func(c map[string]any) { delete(c, "iss") },
		"a look-alike issuer":      func(c map[string]any) { c["iss"] = strings.TrimSuffix(DevIssuerName, "/") },
		"an issuer in capitals":    func(c map[string]any) { c["iss"] = strings.ToUpper(DevIssuerName) },
		"two issuers":              func(c map[string]any) { c["iss"] = []string{DevIssuerName, "x"} },
		"no organisation":          func(c map[string]any) { delete(c, "consumer") },
		"a bad organisation":       func(c map[string]any) { c["consumer"] = consumer("310000027") },
		"another authority": func(c map[string]any) {
			c["consumer"] = map[string]any{"authority": "etsi-en-319-412", "ID": string(org)}
		},
		"a consumer of no shape":   func(c map[string]any) { c["consumer"] = string(org) },
		"members in other letters": func(c map[string]any) { delete(c, "consumer"); c["Consumer"] = consumer(org) },
		"a binding to a DPoP key":  func(c map[string]any) { c["cnf"] = map[string]any{"jkt": "x"} },
		"a binding to nothing":     func(c map[string]any) { c["cnf"] = map[string]any{} },
		"a binding of no shape":    func(c map[string]any) { c["cnf"] = "x" },
		"a binding to a number":    func(c map[string]any) { c["cnf"] = map[string]any{thumbprintS256: 7} },
		"two bindings":             func(c map[string]any) { c["cnf"] = map[string]any{thumbprintS256: "x", "jkt": "y"} },
	} {
		token := b.sign(t, func(_, c map[string]any) { change(c) })
		_, err := b.authenticate("Bearer " + token)
		requireRefused(t, err, token, name)
	}
	for name, change := range map[string]func(c map[string]any){
		"one of several audiences": func(c map[string]any) { c["aud"] = []string{"x", DevAudience} },
		"a clock that is ahead":    func(c map[string]any) { c["iat"], c["nbf"] = at+10, at+10 },
		"no time of issue":         func(c map[string]any) { delete(c, "iat") },
		"claims that nobody reads": func(c map[string]any) { c["pid"] = "x" },
	} {
		_, err := b.authenticate("Bearer " + b.sign(t, func(_, c map[string]any) { change(c) }))
		require.NoError(t, err, name)
	}
}

func TestVerifier_UnderstandsOnlyWholeScopes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for claim, want := range map[string][]string{
		"altinn:broker.read":                           {models.ScopeRead},
		"altinn:broker altinn:broker. altinn:":         nil,
		"altinn:broker.readx xaltinn:broker.read":      nil,
		"ALTINN:BROKER.READ altinn:broker.write,x":     nil,
		" altinn:broker.write  altinn:broker.write x ": {models.ScopeWrite},
		"": nil,
	} {
		caller, err := b.authenticate("Bearer " + b.sign(t, func(_, c map[string]any) { c["scope"] = claim }))
		require.NoError(t, err)
		require.Equal(t, want, caller.Scopes, claim)
	}
}

func TestVerifier_ReadsTheHeaderForNothingButItsPurpose(t *testing.T) {
	t.Parallel()
	b := setup(t)
	forged := newEC(t, elliptic.P256())
	jwk, err := json.Marshal(jose.JSONWebKey{Key: forged.Public(), KeyID: b.issuer.key.KeyID})
	require.NoError(t, err)
	fetched := newKeyServer(t, httptest.NewServer, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: forged.Public(), KeyID: b.issuer.key.KeyID}}})
	for name, change := range map[string]func(h map[string]any){
		"jwk": func(h map[string]any) { h["jwk"] = json.RawMessage(jwk) },
		"jku": func(h map[string]any) { h["jku"] = fetched.URL },
		"x5u": func(h map[string]any) { h["x5u"] = fetched.URL },
		"x5c": func(h map[string]any) { h["x5c"] = x5c(selfSigned(t, forged)) },
	} {
		token := b.sign(t, func(h, _ map[string]any) { change(h) })
		_, err := b.authenticate("Bearer " + token)
		require.NoError(t, err, "%s changes nothing", name)
		input := token[:strings.LastIndex(token, ".")]
		forgery := input + "." + encode(rawSignature(t, "ES256", forged, input))
		_, err = b.authenticate("Bearer " + forgery)
		requireRefused(t, err, forgery, name)
	}
	require.Zero(t, fetched.fetches.Load())
	for name, change := range map[string]func(h map[string]any){
		"an unknown critical header": func(h map[string]any) { h["crit"] = []string{"x"}; h["x"] = 1 },
		"unencoded payload":          func(h map[string]any) { h["crit"] = []string{"b64"}; h["b64"] = true },
		"critical of no shape":       func(h map[string]any) { h["crit"] = "x" },
		"nothing critical":           func(h map[string]any) { h["crit"] = []string{} },
		"an assertion's type":        func(h map[string]any) { h["typ"] = "private-key-jwt+jwt" },
		"a receipt's type":           func(h map[string]any) { h["typ"] = "receipt+jws" },
		"a type of no shape":         func(h map[string]any) { h["typ"] = 7 },
		"no type, but named":         func(h map[string]any) { h["typ"] = "" },
		"no key id":                  func(h map[string]any) { delete(h, "kid") },
		"another key id":             func(h map[string]any) { h["kid"] = "other" },
	} {
		token := b.sign(t, func(h, _ map[string]any) { change(h) })
		_, err := b.authenticate("Bearer " + token)
		requireRefused(t, err, token, name)
	}
	for _, typ := range []any{nil, "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"} {
		_, err := b.authenticate("Bearer " + b.sign(t, func(h, _ map[string]any) {
			if h["typ"] = typ; typ == nil {
				delete(h, "typ")
			}
		}))
		require.NoError(t, err, typ)
	}
}

func TestVerifier_RefusesSignaturesThatAreNotItsIssuers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := newEC(t, elliptic.P256())
	public := b.issuer.key.Public()
	asJSON, err := json.Marshal(public)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(public.Key)
	require.NoError(t, err)
	good := b.token(t)
	parts := strings.Split(good, ".")
	with := func(key any, algorithm string) string {
		token := b.sign(t, func(h, _ map[string]any) { h["alg"] = algorithm })
		input := token[:strings.LastIndex(token, ".")]
		return input + "." + encode(rawSignature(t, algorithm, key, input))
	}
	for name, token := range map[string]string{
		"another key of the same name": with(other, "ES256"),
		"HMAC with the public key":     with(asJSON, "HS256"),
		"HMAC with its DER":            with(der, "HS256"),
		"another algorithm":            with(newEC(t, elliptic.P384()), "ES384"),
		"an RSA signature":             with(rsaKey(), "RS256"),
		"the key with another hash":    with(b.issuer.key.Key, "ES384"),
		"no algorithm":                 with(nil, "none"),
		"None":                         with(nil, "None"),
		"no signature":                 parts[0] + "." + parts[1] + ".",
		"a changed payload":            parts[0] + "." + parts[1][:len(parts[1])-4] + "AAAA." + parts[2],
		"another token's payload":      parts[0] + "." + strings.Split(b.sign(t, nil), ".")[1] + "." + parts[2],
		"two parts":                    parts[0] + "." + parts[1],
		"four parts":                   good + "." + parts[2],
		"five parts":                   good + ".a.b",
		"many dots":                    strings.Repeat(".", 10_000),
		"too long":                     strings.Repeat("x", 17<<10),
		"too long, but signed":         b.sign(t, func(_, c map[string]any) { c["x"] = strings.Repeat("x", 17<<10) }),
		"JSON":                         `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"claims twice":                 compactRaw(t, "ES256", b.issuer.key.Key, []byte(`{"alg":"ES256","kid":"`+b.issuer.key.KeyID+`"}`), []byte(`{"iss":"`+DevIssuerName+`","iss":"x"}`)),
		"no object":                    compactRaw(t, "ES256", b.issuer.key.Key, []byte(`{"alg":"ES256","kid":"`+b.issuer.key.KeyID+`"}`), []byte(`[]`)),
	} {
		_, err := b.authenticate("Bearer " + token)
		requireRefused(t, err, token, name)
	}
	for _, header := range []string{"", "Bearer", "Bearer ", "Basic " + good, good, "Bearer" + good, "Bearer " + good + " " + good, "Bearer " + good + "," + good, "DPoP " + good} {
		_, err := b.authenticate(header)
		requireRefused(t, err, good, header)
	}
	for _, second := range []string{"Bearer " + good, "", "Basic x"} {
		r := request("Bearer " + good)
		r.Header.Add("Authorization", second)
		_, err = b.verifier.Authenticate(r)
		requireRefused(t, err, good, "two credentials")
	}
}

func TestVerifier_KeepsIssuersApart(t *testing.T) {
	t.Parallel()
	one, two := setup(t), setup(t)
	two.issuer.key.KeyID = one.issuer.key.KeyID
	second := two.issuer.Issuer()
	second.Name = "https://second/"
	v, err := NewVerifier(func() time.Time { return noon }, one.issuer.Issuer(), second)
	require.NoError(t, err)
	one.verifier = v
	_, err = one.authenticate("Bearer " + two.sign(t, func(_, c map[string]any) { c["iss"] = "https://second/" }))
	require.NoError(t, err)
	for _, token := range []string{two.sign(t, nil), one.sign(t, func(_, c map[string]any) { c["iss"] = "https://second/" })} {
		_, err = one.authenticate("Bearer " + token)
		requireRefused(t, err, token, "a key never speaks for another issuer")
	}
}

func TestVerifier_FetchesKeysOnceForAFloodOfTokens(t *testing.T) {
	t.Parallel()
	b := setup(t)
	server := newKeyServer(t, httptest.NewServer, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{b.issuer.key.Public()}})
	issuer := b.issuer.Issuer()
	var err error
	issuer.Keys, err = NewRemoteKeys(server.URL, issuer.Algorithms, func() time.Time { return noon }, nil)
	require.NoError(t, err)
	b.verifier, err = NewVerifier(func() time.Time { return noon }, issuer)
	require.NoError(t, err)
	for n := range 500 {
		_, err := b.authenticate("Bearer " + b.sign(t, func(h, _ map[string]any) { h["kid"] = n2kid(n) }))
		require.ErrorIs(t, err, models.ErrUnauthenticated)
	}
	_, err = b.authenticate("Bearer " + b.token(t))
	require.NoError(t, err)
	require.EqualValues(t, 1, server.fetches.Load())
}

func TestVerifier_IsUnavailableWhileAnIssuersKeysWereNeverSeen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	issuer := b.issuer.Issuer()
	var err error
	issuer.Keys, err = NewRemoteKeys("http://127.0.0.1:1/", issuer.Algorithms, func() time.Time { return noon }, nil)
	require.NoError(t, err)
	b.verifier, err = NewVerifier(func() time.Time { return noon }, issuer)
	require.NoError(t, err)
	_, err = b.authenticate("Bearer " + b.token(t))
	require.ErrorIs(t, err, models.ErrUnavailable)
	require.NotErrorIs(t, err, models.ErrUnauthenticated)
	require.NotErrorIs(t, err, context.Canceled)
}

func TestNewVerifier_RefusesIssuersWithoutWhatItTakes(t *testing.T) {
	t.Parallel()
	good := setup(t).issuer.Issuer()
	for _, spoil := range []func(*Issuer){
		func(i *Issuer) { i.Name = "" }, func(i *Issuer) { i.Audience = "" }, func(i *Issuer) { i.Algorithms = nil },
		func(i *Issuer) { i.Keys = nil }, func(i *Issuer) { i.Algorithms = []jose.SignatureAlgorithm{jose.HS256} },
	} {
		bad := good
		spoil(&bad)
		_, err := NewVerifier(time.Now, bad)
		require.Error(t, err)
	}
	_, err := NewVerifier(time.Now, good, good)
	require.Error(t, err, "one name, one issuer")
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
