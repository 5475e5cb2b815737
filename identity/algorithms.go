package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Sizes of RSA keys in bits. The upper bound keeps a stranger's key from costing more than it proves.
const (
	minRSA = 2048
	maxRSA = 4096
)

// Algorithms is every signature algorithm that a credential may use (RFC 7518, 3.1). None of them works
// with a shared secret, so that a public key is never mistaken for one (RFC 8725, 2.1).
func Algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.ES256, jose.ES384}
}

// fits tells whether a public key is of the kind and size that an algorithm takes.
func fits(algorithm jose.SignatureAlgorithm, key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		size := k.N.BitLen()
		return size >= minRSA && size <= maxRSA &&
			slices.Contains([]jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256}, algorithm)
	case *ecdsa.PublicKey:
		return (algorithm == jose.ES256 && k.Curve == elliptic.P256()) || (algorithm == jose.ES384 && k.Curve == elliptic.P384())
	}
	return false
}

// verifies tells whether a key is a public one for signatures, and meant for the algorithm.
func verifies(key jose.JSONWebKey, algorithm jose.SignatureAlgorithm) bool {
	return (key.Use == "" || key.Use == "sig") &&
		(key.Algorithm == "" || key.Algorithm == string(algorithm)) && fits(algorithm, key.Key)
}

// selectKeys leaves out what could not verify a signature of one of the algorithms: keys to encrypt with,
// shared secrets, private keys, small keys, other curves.
func selectKeys(keys []jose.JSONWebKey, algorithms []jose.SignatureAlgorithm) []jose.JSONWebKey {
	var out []jose.JSONWebKey
	for _, k := range keys {
		if slices.ContainsFunc(algorithms, func(a jose.SignatureAlgorithm) bool { return verifies(k, a) }) {
			out = append(out, jose.JSONWebKey{Key: k.Key, KeyID: k.KeyID, Algorithm: k.Algorithm, Use: "sig"})
		}
	}
	return out
}
