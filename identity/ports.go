package identity

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/formidling/formidling/models"
)

// Certificates knows enterprise certificates. Certificates are presented leaf first; what is refused
// wraps models.ErrUnauthenticated.
type Certificates interface {
	// Verify is the full check: chain, policy, revocation, and whose certificate it is.
	Verify(presented []*x509.Certificate) (models.Party, error)
	// Recheck is the cheap check for each request of a TLS connection whose handshake passed Verify: a
	// connection may outlive the certificate's revocation.
	Recheck(presented []*x509.Certificate) (models.Party, error)
}

// Assertions remembers the assertions that bought a token, for all replicas.
type Assertions interface {
	// UseAssertion gives models.ErrAssertionUsed to everybody but the first who uses a holder's jti. It may
	// be forgotten after until.
	UseAssertion(ctx context.Context, holder models.Party, jti string, until time.Time) error
}

// Clients knows the key sets that organisations registered.
type Clients interface {
	// ClientByID gives models.ErrClientNotFound for an id that nobody registered.
	ClientByID(ctx context.Context, id string) (models.Client, error)
}

// Registry knows what organisations decided about who acts for them.
type Registry interface {
	// CheckCaller refuses a credential that its holder's lock leaves out, and a supplier to whom the
	// caller's Party has not delegated. A refusal wraps models.ErrUnauthenticated.
	CheckCaller(ctx context.Context, c models.Caller) error
}

var _ Certificates = (*Trust)(nil)
