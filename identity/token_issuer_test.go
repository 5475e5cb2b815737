package identity

import (
	"crypto/elliptic"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func keyFile(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "keys.json")
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	return file
}

func TestOpenTokenKeys_SignsWithTheFirstAndPublishesAll(t *testing.T) {
	t.Parallel()
	for want, first := range map[jose.SignatureAlgorithm]jose.JSONWebKey{
		jose.ES256: {Key: newEC(t, elliptic.P256()), KeyID: "now"},
		jose.ES384: {Key: newEC(t, elliptic.P384()), KeyID: "now"},
		jose.RS256: {Key: rsaKey(), KeyID: "now"},
		jose.PS256: {Key: rsaKey(), KeyID: "now", Algorithm: "PS256"},
	} {
		next, last := newEC(t, elliptic.P256()), newEC(t, elliptic.P256())
		keys, err := OpenTokenKeys(keyFile(t, first, jose.JSONWebKey{Key: next, KeyID: "next"}, jose.JSONWebKey{Key: last.Public(), KeyID: "last"}))
		require.NoError(t, err)
		i, err := NewTokenIssuer(TokenIssuerOptions{Name: "https://broker.example", Audience: "us", Keys: keys, Now: func() time.Time { return noon }})
		require.NoError(t, err)
		token, err := i.mint(sale{caller: models.Caller{Party: org, Credential: models.Credential{Method: models.LoginKeyToken}}})
		require.NoError(t, err)
		header, _ := claimsOf(t, token)
		require.Equal(t, map[string]any{"alg": string(want), "typ": "at+jwt", "kid": "now"}, header)
		v, err := NewVerifier(func() time.Time { return noon }, i.Issuer())
		require.NoError(t, err)
		_, err = v.Authenticate(request("Bearer " + token))
		require.NoError(t, err)

		published, err := json.Marshal(i.KeySet())
		require.NoError(t, err)
		for _, private := range []string{`"d"`, `"p"`, `"q"`, `"k"`} {
			require.NotContains(t, string(published), private)
		}
		var set jose.JSONWebKeySet
		require.NoError(t, json.Unmarshal(published, &set))
		require.Len(t, set.Keys, 3)
		require.Equal(t, string(want), set.Keys[0].Algorithm)
		require.Equal(t, "sig", set.Keys[2].Use)
		rotated, err := OpenTokenKeys(keyFile(t, jose.JSONWebKey{Key: next, KeyID: "next"}, first))
		require.NoError(t, err)
		i, err = NewTokenIssuer(TokenIssuerOptions{Name: "https://broker.example", Audience: "us", Keys: rotated, Now: func() time.Time { return noon }})
		require.NoError(t, err)
		v, err = NewVerifier(func() time.Time { return noon }, i.Issuer())
		require.NoError(t, err)
		_, err = v.Authenticate(request("Bearer " + token))
		require.NoError(t, err, "a token of before the rotation lives on")
	}
}

func TestOpenTokenKeys_RefusesSetsThatCannotSign(t *testing.T) {
	t.Parallel()
	good := jose.JSONWebKey{Key: newEC(t, elliptic.P256()), KeyID: "a"}
	noSet := filepath.Join(t.TempDir(), "none.json")
	require.NoError(t, os.WriteFile(noSet, []byte("x"), 0o600))
	for name, file := range map[string]string{
		"absent": filepath.Join(t.TempDir(), "none"), "no set": noSet, "empty": keyFile(t),
		"public":       keyFile(t, good.Public()),
		"no kid":       keyFile(t, jose.JSONWebKey{Key: good.Key}),
		"kid twice":    keyFile(t, good, good),
		"a small key":  keyFile(t, jose.JSONWebKey{Key: newRSA(1024), KeyID: "a"}),
		"a secret":     keyFile(t, jose.JSONWebKey{Key: []byte("secret"), KeyID: "a"}),
		"to encrypt":   keyFile(t, jose.JSONWebKey{Key: good.Key, KeyID: "a", Use: "enc"}),
		"another alg":  keyFile(t, jose.JSONWebKey{Key: good.Key, KeyID: "a", Algorithm: "ES384"}),
		"a bad second": keyFile(t, good, jose.JSONWebKey{Key: newEC(t, elliptic.P521()), KeyID: "b"}),
	} {
		_, err := OpenTokenKeys(file)
		require.Error(t, err, name)
	}
}

func TestMakeTokenKeys_KeepsOneKeyForAllWhoStartAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sub", "keys.json")
	var all sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]bool{}
	for range 8 {
		all.Go(func() {
			k, err := MakeTokenKeys(file)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			ids[k.signing.KeyID] = true
		})
	}
	all.Wait()
	require.Len(t, ids, 1)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	left, err := filepath.Glob(file + ".*")
	require.NoError(t, err)
	require.Empty(t, left, "no drafts are left")
	_, err = MakeTokenKeys(filepath.Join(file, "below-a-file"))
	require.Error(t, err)
}

func TestTokenIssuer_DescribesItself(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	raw, err := json.Marshal(b.issuer.Metadata())
	require.NoError(t, err)
	require.JSONEq(t, `{
		"issuer": "https://broker.example/",
		"token_endpoint": "https://broker.example/oauth2/token",
		"jwks_uri": "https://broker.example/.well-known/jwks.json",
		"grant_types_supported": ["urn:ietf:params:oauth:grant-type:jwt-bearer"],
		"token_endpoint_auth_methods_supported": ["private_key_jwt"],
		"token_endpoint_auth_signing_alg_values_supported": ["RS256","RS384","RS512","PS256","ES256","ES384"],
		"scopes_supported": ["altinn:broker.write","altinn:broker.read","altinn:serviceowner","altinn:events.subscribe"],
		"response_types_supported": [],
		"authorization_details_types_supported": ["urn:altinn:systemuser"],
		"tls_client_certificate_bound_access_tokens": true,
		"mtls_endpoint_aliases": {"token_endpoint": "https://mtls.broker.example/oauth2/token"}
	}`, string(raw))
	b.issuer.mtls = ""
	require.False(t, b.issuer.Metadata().CertificateBoundTokens)
	require.Nil(t, b.issuer.Metadata().MTLSAliases)
}

func TestNewTokenIssuer_RefusesWhatClientsCouldNotUse(t *testing.T) {
	t.Parallel()
	keys := setupExchange(t).issuer.keys
	good := TokenIssuerOptions{Name: "http://localhost:8080", Audience: "us", Keys: keys, Now: time.Now}
	_, err := NewTokenIssuer(good)
	require.NoError(t, err)
	for _, spoil := range []func(*TokenIssuerOptions){
		func(o *TokenIssuerOptions) { o.Name = "" }, func(o *TokenIssuerOptions) { o.Name = "http://broker.example" },
		func(o *TokenIssuerOptions) { o.Name = "https://broker.example/path" }, func(o *TokenIssuerOptions) { o.Name = "https://broker.example?x" },
		func(o *TokenIssuerOptions) { o.MTLS = "mtls.broker.example" }, func(o *TokenIssuerOptions) { o.Audience = "" },
		func(o *TokenIssuerOptions) { o.Keys = TokenKeys{} },
	} {
		bad := good
		spoil(&bad)
		_, err := NewTokenIssuer(bad)
		require.Error(t, err)
	}
}

// ownToken makes a token with our own key, changed.
func ownToken(t *testing.T, b *exchanging, change func(header, claims map[string]any)) string {
	t.Helper()
	header := map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": b.issuer.keys.signing.KeyID}
	claims := map[string]any{
		"iss": tokenIssuerName, "aud": apiAudience, "iat": noon.Unix(), "exp": noon.Unix() + 60,
		"consumer": consumer(vendor), "client_amr": amrKey, "credential_thumbprint": "x", "scope": models.ScopeRead,
	}
	change(header, claims)
	return compact(t, b.issuer.keys.signing.Key, header, claims)
}

func TestVerifier_WantsOurOwnTokensToBeAccessTokens(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	_, err := b.verifier.Authenticate(request("Bearer " + ownToken(t, b, func(_, _ map[string]any) {})))
	require.NoError(t, err)
	for name, change := range map[string]func(h, c map[string]any){
		"no type":                 func(h, _ map[string]any) { delete(h, "typ") },
		"JWT":                     func(h, _ map[string]any) { h["typ"] = "JWT" },
		"a receipt":               func(h, _ map[string]any) { h["typ"] = "receipt+jws" },
		"no way of logging in":    func(_, c map[string]any) { delete(c, "client_amr") },
		"an unknown way":          func(_, c map[string]any) { c["client_amr"] = "CForESeal" },
		"the endpoint's audience": func(_, c map[string]any) { c["aud"] = tokenIssuerName },
	} {
		token := ownToken(t, b, change)
		_, err := b.verifier.Authenticate(request("Bearer " + token))
		requireRefused(t, err, token, name)
	}
}
