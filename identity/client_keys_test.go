package identity

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestParseClientKeys_KeepsWhatVerifiesAndNamesIt(t *testing.T) {
	t.Parallel()
	leaf := selfSigned(t, rsaKey())
	raw, err := json.Marshal(map[string]any{"keys": []any{
		jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "rsa", Certificates: []*x509.Certificate{leaf}},
		jose.JSONWebKey{Key: newEC(t, elliptic.P256()).Public(), KeyID: "p256", Use: "sig", Algorithm: "ES256"},
		jose.JSONWebKey{Key: newEC(t, elliptic.P384()).Public(), KeyID: "p384"},
	}, "x": "y"})
	require.NoError(t, err)
	set, thumbprints, err := ParseClientKeys(raw)
	require.NoError(t, err)
	require.Len(t, set.Keys, 3)
	require.Len(t, thumbprints, 3)
	require.Nil(t, set.Keys[0].Certificates, "a certificate beside a key proves nothing here")
	stored, err := json.Marshal(set)
	require.NoError(t, err)
	again, same, err := ParseClientKeys(stored)
	require.NoError(t, err)
	require.Equal(t, set, again)
	require.Equal(t, thumbprints, same)
}

func TestParseClientKeys_ThumbprintIsTheOneOfRFC7638(t *testing.T) {
	t.Parallel()
	_, thumbprints, err := ParseClientKeys([]byte(`{"keys":[{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}]}`))
	require.NoError(t, err)
	require.Equal(t, []string{"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}, thumbprints, "the example of section 3.1")
}

func TestParseClientKeys_RefusesTheRestByName(t *testing.T) {
	t.Parallel()
	set := func(keys ...any) string {
		raw, err := json.Marshal(map[string]any{"keys": keys})
		require.NoError(t, err)
		return string(raw)
	}
	private := newEC(t, elliptic.P256())
	public := jose.JSONWebKey{Key: private.Public(), KeyID: "a"}
	var eleven []any
	for n := range 11 {
		eleven = append(eleven, jose.JSONWebKey{Key: private.Public(), KeyID: fmt.Sprint(n)})
	}
	for name, c := range map[string]struct{ jwks, message string }{
		"no JSON":              {"x", "not a JSON Web Key Set"},
		"a key, no set":        {`{"kty":"EC"}`, "1 to 10"},
		"none":                 {set(), "1 to 10"},
		"eleven":               {set(eleven...), "1 to 10"},
		"too large":            {set(public) + strings.Repeat(" ", maxClientKeySet), "larger"},
		"a private EC key":     {set(jose.JSONWebKey{Key: private, KeyID: "a"}), "private"},
		"a private RSA key":    {set(public, jose.JSONWebKey{Key: rsaKey(), KeyID: "b"}), "Key 2 is a private"},
		"a broken private key": {set(map[string]any{"kty": "EC", "kid": "a", "d": "*"}), "private"},
		"a secret":             {set(map[string]any{"kty": "oct", "kid": "a", "k": "AAAA"}), "secret"},
		"no key":               {set(7), "not a JSON Web Key"},
		"an unknown kind":      {set(map[string]any{"kty": "new", "kid": "a"}), "not a valid RSA or EC key"},
		"a small key":          {set(jose.JSONWebKey{Key: newRSA(1024).Public(), KeyID: "a"}), "2048"},
		"P-521":                {set(jose.JSONWebKey{Key: newEC(t, elliptic.P521()).Public(), KeyID: "a"}), "P-384"},
		"to encrypt":           {set(jose.JSONWebKey{Key: private.Public(), KeyID: "a", Use: "enc"}), "use"},
		"another alg":          {set(jose.JSONWebKey{Key: private.Public(), KeyID: "a", Algorithm: "RS256"}), "alg"},
		"no kid":               {set(jose.JSONWebKey{Key: private.Public()}), "kid"},
		"a kid with NUL":       {set(jose.JSONWebKey{Key: private.Public(), KeyID: "a\x00"}), "kid"},
		"a long kid":           {set(jose.JSONWebKey{Key: private.Public(), KeyID: strings.Repeat("x", 256)}), "kid"},
		"a kid twice":          {set(public, public), "kid of another"},
	} {
		_, _, err := ParseClientKeys([]byte(c.jwks))
		e, ok := models.AsError(err)
		require.True(t, ok, name)
		require.Equal(t, models.KindInvalid, e.Kind, name)
		require.Len(t, e.Fields, 1, name)
		require.Equal(t, "jwks", e.Fields[0].Field, name)
		require.Contains(t, e.Fields[0].Message, c.message, name)
	}
}
