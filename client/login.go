package client

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// TokenSource gives the bearer token of the next request. One that also has a method Forget(token string) bool
// is called with a token that the broker refused, and returns whether there may be a better one.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// StaticToken is a token that somebody else bought and renews.
type StaticToken string

// Token returns it.
func (t StaticToken) Token(context.Context) (string, error) { return string(t), nil }

// Scopes of tokens.
const (
	ScopeRead         = "altinn:broker.read"
	ScopeWrite        = "altinn:broker.write"
	ScopeServiceOwner = "altinn:serviceowner"
)

const grantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer" //nolint:gosec // G101: a name, no secret

// TokenGrant says how to buy tokens at a broker's token endpoint (RFC 7523): with an enterprise certificate, or with a
// key that the organisation registered at /identity/api/v1/clients.
type TokenGrant struct {
	// URL is the broker's address; the endpoint is /oauth2/token there.
	URL string
	// Audience is what the broker calls itself, FORMIDLING_PUBLIC_URL; URL when empty.
	Audience string
	// Certificate signs and proves who asks, unless Key is set.
	Certificate *tls.Certificate
	// Key signs; it is registered as KeyID of the client ClientID.
	Key             crypto.Signer
	KeyID, ClientID string
	// Scopes of the tokens; ScopeRead and ScopeWrite when empty.
	Scopes []string
	// ConsumerOrganization is for whom a supplier asks, when not for itself.
	ConsumerOrganization string
	// Transport is used to ask; NewTransport(nil, nil) when nil. A token that is asked for with a client certificate
	// is of use with that certificate only.
	Transport http.RoundTripper
}

// Tokens buys tokens and renews each well before it ends. It is safe for concurrent use.
type Tokens struct {
	grant  TokenGrant
	signer jose.Signer
	issuer string
	http   *http.Client

	mu    sync.Mutex
	token string
	renew time.Time // when to buy the next one
	ends  time.Time
}

// NewTokens checks a TokenGrant. It does not ask for a token yet.
func NewTokens(g TokenGrant) (*Tokens, error) {
	t := &Tokens{grant: g, issuer: g.ClientID}
	t.grant.URL = strings.TrimRight(g.URL, "/")
	if t.grant.Audience == "" {
		t.grant.Audience = t.grant.URL
	}
	if len(g.Scopes) == 0 {
		t.grant.Scopes = []string{ScopeRead, ScopeWrite}
	}
	if t.grant.Transport == nil {
		t.grant.Transport = NewTransport(nil, nil)
	}
	t.http = &http.Client{Transport: t.grant.Transport, Timeout: callTimeout, CheckRedirect: noRedirect}
	key, options := g.Key, &jose.SignerOptions{}
	switch {
	case key != nil && (g.KeyID == "" || g.ClientID == ""):
		return nil, errors.New("a registered key needs its KeyID and ClientID")
	case key != nil:
		options = options.WithHeader("kid", g.KeyID)
	case g.Certificate == nil:
		return nil, errors.New("a grant needs a Certificate or a Key")
	default:
		var err error
		if t.issuer, err = CertificateOrganization(g.Certificate); err != nil {
			return nil, err
		}
		options = options.WithHeader("x5c", g.Certificate.Certificate)
		key, _ = g.Certificate.PrivateKey.(crypto.Signer)
	}
	algorithm, err := algorithmOf(key)
	if err != nil {
		return nil, err
	}
	t.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		return nil, fmt.Errorf("use key: %w", err)
	}
	return t, nil
}

func algorithmOf(key crypto.Signer) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return jose.RS256, nil
	case *ecdsa.PrivateKey:
		switch k.Curve {
		case elliptic.P256():
			return jose.ES256, nil
		case elliptic.P384():
			return jose.ES384, nil
		}
	}
	return "", fmt.Errorf("a key of type %T does not sign for this broker: it must be RSA, P-256 or P-384", key)
}

// Token returns a token that stays valid for a while.
func (t *Tokens) Token(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.token != "" && now.Before(t.renew) {
		return t.token, nil
	}
	token, life, err := t.buy(ctx, now)
	if err != nil {
		if t.token != "" && now.Before(t.ends.Add(-clockMargin)) { // the one we have will do
			return t.token, nil
		}
		return "", err
	}
	t.token, t.ends, t.renew = token, now.Add(life), now.Add(life*3/4)
	return token, nil
}

// clockMargin is how far the broker's clock may be ahead of ours.
const clockMargin = 10 * time.Second

// Forget drops a token that the broker refused.
func (t *Tokens) Forget(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
	return true
}

// buy asks for a token. An assertion is good once, so each attempt signs its own.
func (t *Tokens) buy(ctx context.Context, now time.Time) (string, time.Duration, error) {
	claims := map[string]any{
		"iss": t.issuer, "aud": t.grant.Audience, "scope": strings.Join(t.grant.Scopes, " "), "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	if t.grant.ConsumerOrganization != "" {
		claims["consumer_org"] = t.grant.ConsumerOrganization
	}
	assertion, err := jwt.Signed(t.signer).Claims(claims).Serialize()
	if err != nil {
		return "", 0, fmt.Errorf("sign assertion: %w", err)
	}
	form := url.Values{"grant_type": {grantJWTBearer}, "assertion": {assertion}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.grant.URL+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := t.http.Do(r)
	if err != nil {
		return "", 0, broken(ctx, operation(r), err)
	}
	if response.StatusCode != http.StatusOK {
		return "", 0, tokenRefusal(operation(r), response)
	}
	answer, err := Decode[TokenAnswer](response, nil)
	if err == nil && answer.AccessToken == "" {
		err = errors.New("the token endpoint answered without a token")
	}
	return answer.AccessToken, time.Duration(answer.ExpiresIn) * time.Second, err
}

// tokenRefusal reads an error of OAuth 2.0 (RFC 6749, 5.2), which is no problem document. Whatever it says, the
// caller is not logged in.
func tokenRefusal(op string, response *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(response.Body, maxProblem))
	_ = response.Body.Close()
	response.Body = http.NoBody
	e := refusal(op, response)
	var said TokenError
	if json.Unmarshal(raw, &said) == nil {
		e.Code, e.Detail = printable(said.Error), printable(said.ErrorDescription)
	}
	if e.Status == http.StatusBadRequest {
		e.Status = http.StatusUnauthorized
	}
	return e
}

var (
	oidOrganizationIdentifier = asn1.ObjectIdentifier{2, 5, 4, 97}
	oidSerialNumber           = asn1.ObjectIdentifier{2, 5, 4, 5}
)

// CertificateOrganization is whom an enterprise certificate names, such as 0192:310000027.
func CertificateOrganization(c *tls.Certificate) (string, error) {
	leaf := c.Leaf
	if leaf == nil {
		if len(c.Certificate) == 0 {
			return "", errors.New("read certificate: there is none")
		}
		var err error
		if leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return "", fmt.Errorf("read certificate: %w", err)
		}
	}
	for _, name := range leaf.Subject.Names {
		value, _ := name.Value.(string)
		number, norwegian := strings.CutPrefix(value, "NTRNO-")
		if name.Type.Equal(oidOrganizationIdentifier) && norwegian || name.Type.Equal(oidSerialNumber) && nineDigits(value) {
			if !norwegian {
				number = value
			}
			return "0192:" + number, nil
		}
	}
	return "", errors.New("read certificate: it names no organisation")
}

func nineDigits(text string) bool { return len(text) == 9 && strings.Trim(text, "0123456789") == "" }
