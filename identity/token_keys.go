package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// TokenKeys are the keys of our own token issuer: one signs, all are published.
type TokenKeys struct {
	signing   jose.JSONWebKey // private
	algorithm jose.SignatureAlgorithm
	public    []jose.JSONWebKey
}

// OpenTokenKeys reads a JSON Web Key Set (RFC 7517) whose first key is private and signs. The others are
// only published. So to rotate, put the new key at the end; when everybody has seen it, move it to the
// front; drop the old one when its last token has ended.
func OpenTokenKeys(file string) (TokenKeys, error) {
	raw, err := readFile(file)
	if err != nil {
		return TokenKeys{}, fmt.Errorf("open token keys: %w", err)
	}
	k, err := newTokenKeys(raw)
	if err != nil {
		return TokenKeys{}, fmt.Errorf("open token keys %s: %w", file, err)
	}
	return k, nil
}

// MakeTokenKeys does what OpenTokenKeys does, and makes the file with one key when it is not there. It is
// for development: keys of a real installation are made once and shared by its replicas.
func MakeTokenKeys(file string) (TokenKeys, error) {
	_, err := readOrMake(file, func() ([]byte, error) {
		key, err := makeSigningKey("")
		if err != nil {
			return nil, err
		}
		return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}})
	})
	if err != nil {
		return TokenKeys{}, fmt.Errorf("make token keys: %w", err)
	}
	return OpenTokenKeys(file)
}

// makeSigningKey makes a P-256 key whose id begins with prefix.
func makeSigningKey(prefix string) (jose.JSONWebKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	return jose.JSONWebKey{Key: private, KeyID: prefix + rand.Text()[:8], Algorithm: string(jose.ES256), Use: "sig"}, nil
}

func newTokenKeys(raw []byte) (TokenKeys, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		return TokenKeys{}, fmt.Errorf("parse key set: %w", err) // says where, never what
	}
	if len(set.Keys) == 0 {
		return TokenKeys{}, errors.New("the set is empty")
	}
	out := TokenKeys{signing: set.Keys[0]}
	if out.signing.IsPublic() {
		return TokenKeys{}, errors.New("the first key is to sign, and it is not private")
	}
	known := map[string]bool{}
	for n, k := range set.Keys {
		public := k.Public()
		algorithm, err := algorithmOf(public)
		switch {
		case err != nil:
			return TokenKeys{}, fmt.Errorf("key %d (%q): %w", n+1, k.KeyID, err)
		case k.KeyID == "" || known[k.KeyID]:
			return TokenKeys{}, fmt.Errorf("key %d: it needs a kid of its own", n+1)
		}
		known[k.KeyID] = true
		if n == 0 {
			out.algorithm = algorithm
		}
		out.public = append(out.public, jose.JSONWebKey{Key: public.Key, KeyID: k.KeyID, Algorithm: string(algorithm), Use: "sig"})
	}
	return out, nil
}

// algorithmOf is what a key signs with: what it says itself, else the usual one of its kind.
func algorithmOf(k jose.JSONWebKey) (jose.SignatureAlgorithm, error) {
	for _, a := range []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.RS256, jose.PS256} {
		if verifies(k, a) {
			return a, nil
		}
	}
	return "", errors.New("it is none of: P-256, P-384, RSA of 2048 to 4096 bits with RS256 or PS256; for signatures")
}

// algorithms are those of the published keys, each once.
func (k TokenKeys) algorithms() []jose.SignatureAlgorithm {
	var out []jose.SignatureAlgorithm
	for _, a := range Algorithms() {
		for _, key := range k.public {
			if key.Algorithm == string(a) {
				out = append(out, a)
				break
			}
		}
	}
	return out
}
