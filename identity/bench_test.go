package identity

import (
	"crypto/elliptic"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func BenchmarkVerifier(b *testing.B) {
	for name, key := range map[string]any{"ES256": newEC(b, elliptic.P256()), "RS256": rsaKey()} {
		b.Run(name, func(b *testing.B) {
			keys, err := OpenTokenKeys(benchKeys(b, key))
			require.NoError(b, err)
			i, err := NewTokenIssuer(TokenIssuerOptions{Name: tokenIssuerName, Audience: apiAudience, Keys: keys, Now: time.Now})
			require.NoError(b, err)
			v, err := NewVerifier(time.Now, i.Issuer())
			require.NoError(b, err)
			token, err := i.mint(sale{caller: models.Caller{Party: org, Scopes: models.AllScopes(), Credential: models.Credential{Method: models.LoginKeyToken}}})
			require.NoError(b, err)
			r := request("Bearer " + token)
			b.ReportAllocs()
			for b.Loop() {
				v.signatures = &signatureCache{} // the first request with a token
				if _, err := v.Authenticate(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchKeys(b *testing.B, key any) string {
	b.Helper()
	raw, err := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "k"}}}.Keys[0].MarshalJSON()
	require.NoError(b, err)
	file := filepath.Join(b.TempDir(), "keys.json")
	_, err = readOrMake(file, func() ([]byte, error) { return []byte(`{"keys":[` + string(raw) + `]}`), nil })
	require.NoError(b, err)
	return file
}

// BenchmarkExchange is a whole purchase but for the database. Real issuing CAs sign with RSA 3072 or more,
// as that of seid2-rsa does.
func BenchmarkExchange(b *testing.B) {
	trust := trustAll(b, TrustOptions{})
	for _, name := range []string{"seid2-p256", "seid2-rsa"} {
		b.Run(name, func(b *testing.B) {
			e := setupExchange(b)
			e.exchange.Certificates = trust
			benchExchange(b, e, e.byEnterprise(b, trust.pki.Case(name)).sign(b))
		})
	}
	b.Run("kid/ES256", func(b *testing.B) {
		e := setupExchange(b)
		benchExchange(b, e, e.byKey().sign(b))
	})
}

func benchExchange(b *testing.B, e *exchanging, assertion string) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		clear(e.assertions.used)
		if _, err := e.ask(b, assertion); err != nil {
			b.Fatal(err)
		}
	}
}
