package identity

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// attack is an assertion that must not buy anything.
type attack struct{ name, assertion string }

func (b *exchanging) requireAllDenied(t *testing.T, attacks []attack) {
	t.Helper()
	for _, a := range attacks {
		_, err := b.ask(t, a.assertion)
		b.requireDenied(t, err, codeInvalidGrant, a.assertion, a.name)
	}
}

func TestExchange_RefusesClaimsThatBreakARule(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	now := noon.Unix()
	var attacks []attack
	for name, change := range map[string]map[string]any{
		"expired":                        {"iat": now - 100, "exp": now - 1},
		"expired just now":               {"iat": now - 100, "exp": now},
		"issued in the future":           {"iat": now + 11, "exp": now + 100},
		"not yet valid":                  {"nbf": now + 11},
		"a life of 121 seconds":          {"exp": now + 121},
		"a long life, behind":            {"iat": now - 60, "exp": now + 61},
		"a life backwards":               {"iat": now + 9, "exp": now + 9},
		"times that overflow":            {"iat": -4e18, "exp": 4e18},
		"times beyond all":               {"exp": 1e300},
		"no exp":                         {"exp": nil},
		"no iat":                         {"iat": nil},
		"no jti":                         {"jti": nil},
		"an empty jti":                   {"jti": ""},
		"a jti of 256 letters":           {"jti": strings.Repeat("x", 256)},
		"a jti with NUL":                 {"jti": "a\x00b"},
		"a jti with a line end":          {"jti": "a\nb"},
		"a jti that is a number":         {"jti": 7},
		"no audience":                    {"aud": nil},
		"an empty audience":              {"aud": ""},
		"no audience in a list":          {"aud": []string{}},
		"two audiences":                  {"aud": []string{tokenIssuerName, "https://old.example/"}},
		"another audience":               {"aud": "https://other.example/"},
		"the audience without its slash": {"aud": strings.TrimSuffix(tokenIssuerName, "/")},
		"the API's audience":             {"aud": apiAudience},
		"the token endpoint":             {"aud": tokenIssuerName + "oauth2/token"},
		"an unknown claim":               {"pid": "x"},
		"another unknown claim":          {"consumer": consumer(org)},
		"a claim in other letters":       {"Scope": models.ScopeRead},
		"a binding of its own":           {"cnf": map[string]any{thumbprintS256: "x"}},
		"another subject":                {"sub": "x"},
		"scopes in a list":               {"scope": []string{models.ScopeRead}},
	} {
		attacks = append(attacks,
			attack{name + ", certificate", b.byCertificate().with(change).sign(t)}, attack{name + ", key", b.byKey().with(change).sign(t)})
	}
	b.requireAllDenied(t, attacks)
}

func TestExchange_RefusesHeadersThatNameTheirOwnKey(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	forged := newEC(t, elliptic.P256())
	jwk, err := json.Marshal(jose.JSONWebKey{Key: forged.Public(), KeyID: "k"})
	require.NoError(t, err)
	var attacks []attack
	for name, header := range map[string]map[string]any{
		"jku":                    {"jku": "https://evil.example/jwk"},
		"jwk":                    {"jwk": json.RawMessage(jwk)},
		"x5u":                    {"x5u": "https://evil.example/chain"},
		"crit":                   {"crit": []string{"x"}, "x": 1},
		"crit of nothing":        {"crit": []string{}},
		"unencoded payload":      {"crit": []string{"b64"}, "b64": false},
		"an access token's type": {"typ": "at+jwt"},
		"the same in full":       {"typ": "application/AT+JWT"},
		"a type of no shape":     {"typ": 7},
		"a receipt's type":       {"typ": "receipt+jws"},
		"no algorithm":           {"alg": nil},
	} {
		for kind, d := range map[string]draft{"x5c": b.byCertificate(), "kid": b.byKey()} {
			own := d.under(header)
			attacks = append(attacks, attack{name + ", " + kind, own.sign(t)})
			own.key = forged
			attacks = append(attacks, attack{name + ", forged, " + kind, own.sign(t)})
		}
	}
	tooMany := make([]*x509.Certificate, maxChain+1)
	for n := range tooMany {
		tooMany[n] = b.leaf
	}
	for name, header := range map[string]map[string]any{
		"neither x5c nor kid":  {"x5c": nil},
		"x5c and kid":          {"kid": "k"},
		"no certificate":       {"x5c": []string{}},
		"too many of them":     {"x5c": x5c(tooMany...)},
		"no base64":            {"x5c": []string{"*"}},
		"no certificate in it": {"x5c": []string{"AAAA"}},
		"a chain of no shape":  {"x5c": x5c(b.leaf)[0]},
	} {
		attacks = append(attacks, attack{name, b.byCertificate().under(header).sign(t)})
	}
	b.requireAllDenied(t, attacks)
}

func TestExchange_RefusesWhatTheHolderDidNotSign(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	forged := newEC(t, elliptic.P256())
	public := b.key.Public()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	asJSON, err := json.Marshal(jose.JSONWebKey{Key: public, KeyID: "k"})
	require.NoError(t, err)
	unknown, attacker := selfSigned(t, forged), selfSigned(t, forged)
	b.certificates.accept(attacker, org)
	var attacks []attack
	for kind, d := range map[string]draft{"x5c": b.byCertificate(), "kid": b.byKey()} {
		good := d.sign(t)
		parts := strings.Split(good, ".")
		change := func(algorithm string, key any) string {
			d := d.under(map[string]any{"alg": algorithm})
			d.key = key
			return d.sign(t)
		}
		attacks = append(attacks, []attack{
			{"the holder's name, another key", change("ES256", forged)},
			{"HMAC with the public key", change("HS256", der)},
			{"HMAC with its JSON", change("HS256", asJSON)},
			{"alg none", change("none", nil)},
			{"alg None", change("None", nil)},
			{"no signature", parts[0] + "." + parts[1] + "."},
			{"another hash", change("ES384", b.key)},
			{"another kind", change("RS256", rsaOther())},
			{"an algorithm that is not listed", change("PS512", rsaOther())},
			{"another payload", parts[0] + "." + strings.Split(d.with(map[string]any{"jti": "x"}).sign(t), ".")[1] + "." + parts[2]},
			{"another header", strings.Split(d.under(map[string]any{"x": 1}).sign(t), ".")[0] + "." + parts[1] + "." + parts[2]},
			{"17 KB", d.with(map[string]any{"scope": strings.Repeat(models.ScopeRead+" ", 1000)}).sign(t)},
			{"a claim twice", compactRaw(t, "ES256", b.key, must(json.Marshal(d.header)), []byte(strings.Replace(string(must(json.Marshal(d.claims))), "{", `{"scope":"altinn:serviceowner",`, 1)))},
			{"no object", compactRaw(t, "ES256", b.key, must(json.Marshal(d.header)), []byte(`"x"`))},
			{"JSON serialization", `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`},
		}...)
		for n := range attacks[len(attacks)-15:] {
			attacks[len(attacks)-15+n].name += ", " + kind
		}
	}
	mine := b.byCertificate().under(map[string]any{"x5c": x5c(unknown)})
	mine.key = forged
	behind := b.byCertificate().under(map[string]any{"x5c": x5c(b.leaf, attacker)})
	behind.key = forged
	impostor := b.byCertificate().under(map[string]any{"x5c": x5c(attacker)})
	impostor.key = forged
	b.requireAllDenied(t, append(attacks, []attack{
		{"a certificate that nobody knows", mine.sign(t)},
		{"the victim's certificate before one's own", behind.sign(t)},
		{"one's own certificate, the victim's number", impostor.sign(t)},
		{"one's own certificate, the victim's client id", impostor.with(map[string]any{"iss": clientID}).sign(t)},
		{"one's own certificate, no issuer", impostor.with(map[string]any{"iss": nil}).sign(t)},
		{"10,000 dots", strings.Repeat(".", 10_000)},
		{"dots in it", "a.b.c.d"},
		{"17 KB of nothing", strings.Repeat("x", 17<<10)},
		{"no JWS", "x"},
		{"a broken header", "e30.e30.e30"},
		{"a header twice", compactRaw(t, "ES256", b.key, []byte(`{"alg":"ES256","alg":"none","kid":"k"}`), must(json.Marshal(b.byKey().claims)))},
	}...))
}

func TestExchange_RefusesKeysThatAreNotTheClients(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	second := newEC(t, elliptic.P256())
	b.clients["other"] = models.Client{ID: "other", Organisation: org, Expires: noon.Add(time.Hour), Keys: clientKeys(t, map[string]crypto.Signer{"k": second, "only-here": second})}
	b.clients["ended"] = models.Client{ID: "ended", Organisation: vendor, Expires: noon, Keys: clientKeys(t, map[string]crypto.Signer{"k": b.key})}
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: rsaKey().Public(), KeyID: "k", Algorithm: "RS256"}}})
	require.NoError(t, err)
	b.clients["rsa"] = models.Client{ID: "rsa", Organisation: vendor, Expires: noon.Add(time.Hour), Keys: string(raw)}
	otherAlgorithm := b.byKey().with(map[string]any{"iss": "rsa"}).under(map[string]any{"alg": "PS256"})
	otherAlgorithm.key = rsaKey()
	small := newRSA(1024)
	weak := selfSigned(t, small)
	b.certificates.accept(weak, vendor)
	weakly := b.byCertificate().under(map[string]any{"alg": "RS256", "x5c": x5c(weak)})
	weakly.key = small
	foreign := b.byKey()
	foreign.key = second
	attacks := []attack{
		{"another client's key of the same kid", foreign.sign(t)},
		{"the key's algorithm is another", otherAlgorithm.sign(t)},
		{"a certificate of a small key", weakly.sign(t)},
		{"another client's kid", foreign.under(map[string]any{"kid": "only-here"}).sign(t)},
		{"an unknown kid", b.byKey().under(map[string]any{"kid": "x"}).sign(t)},
		{"an empty kid", b.byKey().under(map[string]any{"kid": ""}).sign(t)},
		{"a kid of no shape", b.byKey().under(map[string]any{"kid": 7}).sign(t)},
		{"another organisation's client id", b.byKey().with(map[string]any{"iss": "other"}).sign(t)},
		{"another organisation's client id with one's certificate", b.byCertificate().with(map[string]any{"iss": "other"}).sign(t)},
		{"another organisation's number with one's certificate", b.byCertificate().with(map[string]any{"iss": string(org)}).sign(t)},
		{"a client that has ended", b.byKey().with(map[string]any{"iss": "ended"}).sign(t)},
		{"a client that has ended, with one's certificate", b.byCertificate().with(map[string]any{"iss": "ended"}).sign(t)},
		{"a number without a certificate", b.byKey().with(map[string]any{"iss": vendor.Number()}).sign(t)},
		{"no client id", b.byKey().with(map[string]any{"iss": nil}).sign(t)},
		{"a client id with NUL", b.byKey().with(map[string]any{"iss": "client\x00"}).sign(t)},
		{"a client id of 256 letters", b.byKey().with(map[string]any{"iss": strings.Repeat("x", 256)}).sign(t)},
		{"a look-alike client id", b.byKey().with(map[string]any{"iss": clientID + " "}).sign(t)},
	}
	b.requireAllDenied(t, attacks)
	b.clock.advance(time.Hour)
	assertion := b.byKey().sign(t)
	_, err = b.ask(t, assertion)
	b.requireDenied(t, err, codeInvalidGrant, assertion, "keys that have ended")
	b.exchange.Certificates = nil
	assertion = b.byCertificate().sign(t)
	_, err = b.ask(t, assertion)
	b.requireDenied(t, err, codeInvalidGrant, assertion, "no certificate is known")
}

func TestExchange_RefusesALockedCredential(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	b.registry.locked[Thumbprint(b.leaf)] = true
	assertion := b.byCertificate().sign(t)
	_, err := b.ask(t, assertion)
	b.requireDenied(t, err, codeInvalidGrant, assertion, "the lock leaves the certificate out")
	_, err = b.ask(t, b.byKey().sign(t))
	require.NoError(t, err)
}

func TestExchange_TellsWhatIsWrongWithTheRequest(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	good := b.byKey().sign(t)
	for code, requests := range map[string][]TokenRequest{
		codeInvalidRequest: {{}, {GrantType: GrantJWTBearer}, {Assertion: good}},
		codeGrantType:      {{GrantType: "client_credentials", Assertion: good}, {GrantType: strings.ToUpper(GrantJWTBearer), Assertion: good}},
		codeInvalidTarget:  {{GrantType: GrantJWTBearer, Assertion: good, Resource: "https://other.example/"}, {GrantType: GrantJWTBearer, Assertion: b.byKey().with(map[string]any{"resource": []string{apiAudience, "x"}}).sign(t)}, {GrantType: GrantJWTBearer, Assertion: b.byKey().with(map[string]any{"resource": ""}).sign(t)}},
	} {
		for n, r := range requests {
			_, err := b.exchange.Exchange(t.Context(), r)
			b.requireDenied(t, err, code, r.Assertion, fmt.Sprint(code, n))
		}
	}
	for _, scope := range []any{nil, "", "  ", "altinn:broker", "altinn:broker.writer", models.ScopeRead + " x", models.ScopeRead + "," + models.ScopeWrite, "ALTINN:BROKER.READ"} {
		assertion := b.byKey().with(map[string]any{"scope": scope}).sign(t)
		_, err := b.ask(t, assertion)
		b.requireDenied(t, err, codeInvalidScope, assertion, fmt.Sprint("scope ", scope))
	}
	_, err := b.exchange.Exchange(t.Context(), TokenRequest{GrantType: GrantJWTBearer, Assertion: good, Resource: apiAudience})
	require.NoError(t, err)
}

func TestExchange_NoTokenPassesForAnotherKindOfToken(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	for kind, d := range map[string]draft{"x5c": b.byCertificate(), "kid": b.byKey()} {
		assertion := d.sign(t)
		_, err := b.verifier.Authenticate(request("Bearer " + assertion))
		requireRefused(t, err, assertion, "an assertion is no access token: "+kind)
		assertion = d.with(map[string]any{"iss": tokenIssuerName, "aud": apiAudience, "consumer": consumer(vendor), "client_amr": amrKey}).under(map[string]any{"typ": "at+jwt"}).sign(t)
		_, err = b.verifier.Authenticate(request("Bearer " + assertion))
		requireRefused(t, err, assertion, "nor is one that says so: "+kind)
	}
	answer, err := b.ask(t, b.byKey().sign(t))
	require.NoError(t, err)
	clear(b.assertions.used)
	_, err = b.ask(t, answer.AccessToken)
	b.requireDenied(t, err, codeInvalidGrant, answer.AccessToken, "an access token is no assertion")
	other := setupExchange(t)
	_, err = other.verifier.Authenticate(request("Bearer " + answer.AccessToken))
	requireRefused(t, err, answer.AccessToken, "a broker of the same name with other keys")
}
