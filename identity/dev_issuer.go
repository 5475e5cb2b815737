package identity

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/formidling/formidling/models"
)

// The names under which the development issuer and the broker know each other.
const (
	DevIssuerName = "https://dev-issuer.formidling.invalid/"
	DevAudience   = "formidling"
	devKeyFile    = "dev-issuer.json"
)

// DevIssuer makes tokens for organisations that exist only on one developer's machine. Its key lies in a
// file, so that `formidling token` speaks for a running `formidling run`.
type DevIssuer struct {
	key jose.JSONWebKey
	now func() time.Time
}

// RequireLoopback refuses addresses that another machine could reach: whoever can read the developer's
// files can be any organisation, so the development issuer must not guard anything real.
func RequireLoopback(listen, publicURL string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("check listen address: %w", err)
	}
	u, err := url.Parse(publicURL)
	if err != nil {
		return fmt.Errorf("check public URL: %w", err)
	}
	for _, h := range []string{host, u.Hostname()} {
		if !isLoopback(h) {
			return fmt.Errorf("development identities are for loopback only, and %q is not; configure FORMIDLING_TRUST or FORMIDLING_ISSUERS for real ones", h)
		}
	}
	return nil
}

// OpenDevIssuer reads the issuer's key from a directory, or makes it there the first time.
func OpenDevIssuer(dir string, now func() time.Time) (*DevIssuer, error) {
	file := filepath.Join(dir, devKeyFile)
	raw, err := readOrMake(file, func() ([]byte, error) {
		key, err := makeSigningKey("dev-")
		if err != nil {
			return nil, err
		}
		return json.Marshal(key)
	})
	if err != nil {
		return nil, fmt.Errorf("open development key: %w", err)
	}
	i := &DevIssuer{now: now}
	if err := json.Unmarshal(raw, &i.key); err != nil {
		return nil, fmt.Errorf("read development key %s: %w", file, err)
	}
	return i, nil
}

// Issuer is what the broker needs to accept this issuer's tokens.
func (i *DevIssuer) Issuer() Issuer {
	return Issuer{
		Name: DevIssuerName, Audience: DevAudience, Algorithms: []jose.SignatureAlgorithm{jose.ES256},
		Keys: newKeyMap([]jose.JSONWebKey{i.key.Public()}),
	}
}

// Token makes a token in Maskinporten's shape for an organisation ("0192:…"), valid for life.
func (i *DevIssuer) Token(organisation models.Party, scopes []string, life time.Duration) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, (&jose.SignerOptions{}).WithType(typAccessToken))
	if err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	c := claims{Scope: strings.Join(scopes, " ")}
	c.Issuer, c.Audience, c.ID = DevIssuerName, jwt.Audience{DevAudience}, rand.Text()
	c.IssuedAt, c.Expiry = jwt.NewNumericDate(i.now()), jwt.NewNumericDate(i.now().Add(life))
	c.Consumer = organisationOf(organisation)
	token, err := jwt.Signed(signer).Claims(c).Serialize()
	if err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	return token, nil
}
