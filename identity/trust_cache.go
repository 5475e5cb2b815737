package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"

	"github.com/formidling/formidling/models"
)

// maxVerified bounds the certificates that are remembered; one takes some 200 bytes.
const maxVerified = 10_000

// verifiedLeaf is what Verify found out about a certificate and time does not change.
type verifiedLeaf struct {
	party               models.Party
	issuer              *issuingCA
	serial              string
	notBefore, notAfter time.Time // when the whole chain is valid
}

// newVerifiedLeaf takes the validity of a chain.
func newVerifiedLeaf(ca *issuingCA, chain []*x509.Certificate) verifiedLeaf {
	v := verifiedLeaf{issuer: ca, notBefore: chain[0].NotBefore, notAfter: chain[0].NotAfter}
	for _, c := range chain[1:] {
		if c.NotBefore.After(v.notBefore) {
			v.notBefore = c.NotBefore
		}
		if c.NotAfter.Before(v.notAfter) {
			v.notAfter = c.NotAfter
		}
	}
	return v
}

// verifiedLeaves remembers certificates that were verified, by the SHA-256 of the whole of each.
type verifiedLeaves struct {
	mu sync.RWMutex
	m  map[[sha256.Size]byte]verifiedLeaf
}

func (l *verifiedLeaves) get(sum [sha256.Size]byte) (verifiedLeaf, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	v, is := l.m[sum]
	return v, is
}

// put remembers one more; when there is no room, any other one makes place.
func (l *verifiedLeaves) put(sum [sha256.Size]byte, v verifiedLeaf) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil {
		l.m = map[[sha256.Size]byte]verifiedLeaf{}
	}
	for other := range l.m {
		if len(l.m) < maxVerified {
			break
		}
		delete(l.m, other)
	}
	l.m[sum] = v
}
