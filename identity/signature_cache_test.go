package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// shelf holds an issuer's keys for as long as it has them.
type shelf struct{ keys []jose.JSONWebKey }

func (s *shelf) Key(context.Context, string) ([]jose.JSONWebKey, error) { return s.keys, nil }

func TestVerifier_RemembersASignatureAndNothingElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now, keys := noon, &shelf{keys: []jose.JSONWebKey{b.issuer.key.Public()}}
	issuer := b.issuer.Issuer()
	issuer.Keys = keys
	v, err := NewVerifier(func() time.Time { return now }, issuer)
	require.NoError(t, err)
	token := b.token(t)
	ask := func(token string) error {
		_, err := v.Authenticate(request("Bearer " + token))
		return err
	}
	require.NoError(t, ask(token))
	sum := sha256.Sum256([]byte(token))
	require.True(t, v.signatures.has(sum, keys.keys[0].Key))
	require.NoError(t, ask(token))

	parts := strings.Split(token, ".")
	for _, changed := range []string{
		parts[0] + "." + parts[1] + "." + strings.Split(b.sign(t, nil), ".")[2],
		parts[0] + "." + strings.Split(b.sign(t, nil), ".")[1] + "." + parts[2],
	} {
		requireRefused(t, ask(changed), changed, "it shares parts with one that was cached")
		require.False(t, v.signatures.has(sha256.Sum256([]byte(changed)), keys.keys[0].Key))
	}
	kept := keys.keys
	keys.keys = nil
	requireRefused(t, ask(token), token, "its key was withdrawn")
	keys.keys = []jose.JSONWebKey{{Key: newEC(t, elliptic.P256()).Public(), KeyID: kept[0].KeyID, Algorithm: "ES256", Use: "sig"}}
	requireRefused(t, ask(token), token, "another key took its name")
	keys.keys = kept
	require.NoError(t, ask(token))
	now = noon.Add(10 * time.Minute)
	requireRefused(t, ask(token), token, "it expired")
}

func TestSignatureCache_KeepsTwoGenerationsAndKnowsKeysByWhereTheyLie(t *testing.T) {
	t.Parallel()
	var s signatureCache
	one, other := newEC(t, elliptic.P256()).Public(), newEC(t, elliptic.P256()).Public()
	name := func(i int) (sum [sha256.Size]byte) {
		binary.BigEndian.PutUint64(sum[:], uint64(i))
		return sum
	}
	require.False(t, s.has(name(0), one))
	require.False(t, s.has(name(0), nil), "no key is no key's token")
	for i := range 2*cachedSignatures + 1 {
		s.add(name(i), one)
	}
	require.False(t, s.has(name(0), one))
	require.True(t, s.has(name(cachedSignatures), one))
	require.True(t, s.has(name(2*cachedSignatures), one))
	require.False(t, s.has(name(2*cachedSignatures), other))
	require.LessOrEqual(t, len(s.young)+len(s.old), 2*cachedSignatures)
	edwards := make(ed25519.PublicKey, ed25519.PublicKeySize)
	s.add(name(1), edwards)
	require.False(t, s.has(name(1), edwards), "what has no place of its own is computed each time")
}
