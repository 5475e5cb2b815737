package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Keys are the public keys of one issuer.
type Keys interface {
	// Key returns the keys of this key id; none, without an error, when the issuer has no such key. An error
	// means that it is unknown.
	Key(ctx context.Context, kid string) ([]jose.JSONWebKey, error)
}

// keyMap is a set of keys by key id. Ids need not be distinct (RFC 7517, 4.5).
type keyMap map[string][]jose.JSONWebKey

func newKeyMap(keys []jose.JSONWebKey) keyMap {
	out := keyMap{}
	for _, k := range keys {
		out[k.KeyID] = append(out[k.KeyID], k)
	}
	return out
}

// Key implements Keys.
func (m keyMap) Key(_ context.Context, kid string) ([]jose.JSONWebKey, error) { return m[kid], nil }

// ReadKeys reads a file with a JSON Web Key Set (RFC 7517) and keeps the public signature keys that fit one
// of the algorithms. A private key is refused: a file that holds one is in the wrong hands here.
func ReadKeys(file string, algorithms []jose.SignatureAlgorithm) (Keys, error) {
	raw, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	all, err := parseKeys(raw)
	if err != nil {
		return nil, fmt.Errorf("read keys %s: %w", file, err)
	}
	for _, k := range all {
		if !k.IsPublic() {
			return nil, fmt.Errorf("read keys %s: key %q is not a public key", file, k.KeyID)
		}
	}
	keys := selectKeys(all, algorithms)
	if len(keys) == 0 {
		return nil, fmt.Errorf("read keys %s: %w", file, errNoUsableKey)
	}
	return newKeyMap(keys), nil
}

var errNoUsableKey = errors.New("there is no public signature key of the configured algorithms")

// parseKeys reads a key set and passes over entries that it does not understand, as RFC 7517, 5, asks.
func parseKeys(raw []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("parse key set: %w", err)
	}
	var out []jose.JSONWebKey
	for _, entry := range set.Keys {
		var k jose.JSONWebKey
		if err := k.UnmarshalJSON(entry); err == nil {
			out = append(out, k)
		}
	}
	return out, nil
}
