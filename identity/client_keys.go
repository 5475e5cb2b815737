package identity

import (
	"crypto"
	_ "crypto/sha256" // the hash of thumbprints
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"github.com/formidling/formidling/models"
)

// What an organisation may register.
const (
	maxClientKeys   = 10
	maxClientKeySet = 32 << 10 // bytes
	maxKeyID        = 255
)

// ParseClientKeys reads the JSON Web Key Set (RFC 7517) that an organisation registers: 1 to 10 public
// signature keys, each with a kid of its own. It returns only what verifies signatures, and each key's
// thumbprint (RFC 7638) in the same order. What is wrong comes back as an error of the field jwks; most of
// all a private key, which from then on is no secret of its owner.
func ParseClientKeys(jwks []byte) (jose.JSONWebKeySet, []string, error) {
	if len(jwks) > maxClientKeySet {
		return jose.JSONWebKeySet{}, nil, badKeys("The key set is larger than %d bytes.", maxClientKeySet)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return jose.JSONWebKeySet{}, nil, badKeys("This is not a JSON Web Key Set (RFC 7517).")
	}
	if len(set.Keys) < 1 || len(set.Keys) > maxClientKeys {
		return jose.JSONWebKeySet{}, nil, badKeys("The key set must hold 1 to %d keys.", maxClientKeys)
	}
	var out jose.JSONWebKeySet
	var thumbprints []string
	for n, raw := range set.Keys {
		key, err := parseClientKey(raw, n+1)
		if err != nil {
			return jose.JSONWebKeySet{}, nil, err
		}
		if len(out.Key(key.KeyID)) > 0 {
			return jose.JSONWebKeySet{}, nil, badKeys("Key %d has the kid of another key.", n+1)
		}
		thumbprint, err := keyThumbprint(key)
		if err != nil {
			return jose.JSONWebKeySet{}, nil, fmt.Errorf("name key: %w", err)
		}
		out.Keys, thumbprints = append(out.Keys, key), append(thumbprints, thumbprint)
	}
	return out, thumbprints, nil
}

// privateMembers are those of RFC 7518, 6.2.2, 6.3.2 and 6.4: no public key has one of them.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

func parseClientKey(raw []byte, n int) (jose.JSONWebKey, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return jose.JSONWebKey{}, badKeys("Key %d is not a JSON Web Key.", n)
	}
	for _, name := range privateMembers {
		if _, found := members[name]; found { // said even of a key that is wrong otherwise
			return jose.JSONWebKey{}, badKeys("Key %d is a private or secret key. Never send it to anybody: consider it lost, make a new pair, and register the public key.", n)
		}
	}
	var k jose.JSONWebKey
	if err := k.UnmarshalJSON(raw); err != nil {
		return jose.JSONWebKey{}, badKeys("Key %d is not a valid RSA or EC key.", n)
	}
	switch {
	case k.KeyID == "" || len(k.KeyID) > maxKeyID || !printable(k.KeyID):
		return jose.JSONWebKey{}, badKeys("Key %d needs a kid of at most %d printable characters.", n, maxKeyID)
	case k.Use != "" && k.Use != "sig":
		return jose.JSONWebKey{}, badKeys("Key %d is not for signatures: its use must be sig or absent.", n)
	case !slices.ContainsFunc(Algorithms(), func(a jose.SignatureAlgorithm) bool { return fits(a, k.Key) }):
		return jose.JSONWebKey{}, badKeys("Key %d must be RSA of %d to %d bits, P-256 or P-384.", n, minRSA, maxRSA)
	}
	chosen := selectKeys([]jose.JSONWebKey{k}, Algorithms())
	if len(chosen) == 0 {
		return jose.JSONWebKey{}, badKeys("Key %d names an alg that does not fit it; one of %v may be named, or none.", n, Algorithms())
	}
	return chosen[0], nil
}

// keyThumbprint is the base64url SHA-256 of a key (RFC 7638).
func keyThumbprint(k jose.JSONWebKey) (string, error) {
	sum, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

func badKeys(format string, args ...any) error {
	return models.InvalidField("jwks", fmt.Sprintf(format, args...))
}

// printable tells whether text may go into a database and a log: PostgreSQL takes no NUL.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}
