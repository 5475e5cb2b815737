package identity

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"sync"
)

// cachedSignatures is how many signatures of each generation are remembered.
const cachedSignatures = 4096

// signatureCache remembers which tokens carry a right signature of which key, because a client uses a token for minutes and its
// signature costs more to check than all the rest. Nothing else is remembered: issuer, algorithm, key, audience and times
// are looked at each time, so a key that is withdrawn takes its tokens with it at once. The zero value is ready.
type signatureCache struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]any // the key, as it lies in memory
}

// byPlace tells keys that are known by where they lie: a key that was read anew is another one.
func byPlace(key any) bool {
	switch key.(type) {
	case *ecdsa.PublicKey, *rsa.PublicKey:
		return true
	}
	return false
}

// has tells whether a token was signed with a key; it must be the same to the last byte.
func (s *signatureCache) has(token [sha256.Size]byte, key any) bool {
	if !byPlace(key) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if by, ok := s.young[token]; ok {
		return by == key
	}
	return s.old[token] == key
}

// add remembers a token whose signature was checked. When there are too many, those not added lately are forgotten.
func (s *signatureCache) add(token [sha256.Size]byte, key any) {
	if !byPlace(key) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= cachedSignatures {
		s.young, s.old = make(map[[sha256.Size]byte]any, cachedSignatures/16), s.young
	}
	s.young[token] = key
}
