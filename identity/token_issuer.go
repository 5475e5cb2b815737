package identity

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// Paths under the issuer's name, as Metadata states them.
const (
	TokenPath = "/oauth2/token" //nolint:gosec // G101: a path, not a secret
	KeysPath  = "/.well-known/jwks.json"
)

// TokenLife is how long our own tokens are valid: about as long as a revoked credential may still act.
const TokenLife = 5 * time.Minute

// TokenIssuer mints the broker's own access tokens (RFC 9068) in Maskinporten's shape.
type TokenIssuer struct {
	name, base, audience, mtls string
	keys                       TokenKeys
	signer                     jose.Signer
	now                        func() time.Time
}

// TokenIssuerOptions are what a TokenIssuer is made of.
type TokenIssuerOptions struct {
	Name     string // the claim iss: the address under which clients reach the broker, without a path
	Audience string // the claim aud: the broker's API
	MTLS     string // the address of the listener that asks for client certificates; empty: there is none
	Keys     TokenKeys
	Now      func() time.Time
}

// NewTokenIssuer makes the issuer of our own tokens.
func NewTokenIssuer(o TokenIssuerOptions) (*TokenIssuer, error) {
	if err := checkBase(o.Name); err != nil {
		return nil, fmt.Errorf("make token issuer: name: %w", err)
	}
	if o.MTLS != "" {
		if err := checkBase(o.MTLS); err != nil {
			return nil, fmt.Errorf("make token issuer: address for client certificates: %w", err)
		}
	}
	if o.Audience == "" || len(o.Keys.public) == 0 {
		return nil, errors.New("make token issuer: audience and keys are required")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: o.Keys.algorithm, Key: o.Keys.signing},
		(&jose.SignerOptions{}).WithType(typAccessToken))
	if err != nil {
		return nil, fmt.Errorf("make token issuer: %w", err)
	}
	return &TokenIssuer{
		name: o.Name, base: strings.TrimSuffix(o.Name, "/"), audience: o.Audience, mtls: strings.TrimSuffix(o.MTLS, "/"),
		keys: o.Keys, signer: signer, now: o.Now,
	}, nil
}

// checkBase asks for an address without a path, so that well-known paths need no insertion (RFC 8414, 3.1).
func checkBase(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return errors.New("it is not a URL")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return errors.New("it must be https; http is for loopback only")
	case (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("it takes nothing after the host")
	}
	return nil
}

// Issuer is what the Verifier needs to accept our own tokens.
func (i *TokenIssuer) Issuer() Issuer {
	return Issuer{Name: i.name, Audience: i.audience, Algorithms: i.keys.algorithms(), Keys: newKeyMap(i.keys.public), own: true}
}

// KeySet is what is published under KeysPath: public keys only.
func (i *TokenIssuer) KeySet() jose.JSONWebKeySet { return jose.JSONWebKeySet{Keys: i.keys.public} }

// Metadata is the authorization server's description of itself (RFC 8414, 2).
type Metadata struct {
	Issuer                 string                    `json:"issuer"`
	TokenEndpoint          string                    `json:"token_endpoint"`
	KeysURI                string                    `json:"jwks_uri"`
	GrantTypes             []string                  `json:"grant_types_supported"`
	AuthMethods            []string                  `json:"token_endpoint_auth_methods_supported"`
	AuthAlgorithms         []jose.SignatureAlgorithm `json:"token_endpoint_auth_signing_alg_values_supported"`
	Scopes                 []string                  `json:"scopes_supported"`
	ResponseTypes          []string                  `json:"response_types_supported"` // required and empty: there is no authorization endpoint
	AuthorizationDetails   []string                  `json:"authorization_details_types_supported"`
	CertificateBoundTokens bool                      `json:"tls_client_certificate_bound_access_tokens"`
	MTLSAliases            map[string]string         `json:"mtls_endpoint_aliases,omitempty"`
}

// Metadata is what is published at /.well-known/oauth-authorization-server (RFC 8414; RFC 8705, 3.3 and 5; RFC 9396, 10).
func (i *TokenIssuer) Metadata() Metadata {
	m := Metadata{
		Issuer: i.name, TokenEndpoint: i.base + TokenPath, KeysURI: i.base + KeysPath,
		GrantTypes: []string{GrantJWTBearer}, AuthMethods: []string{amrKey}, AuthAlgorithms: Algorithms(),
		Scopes: models.AllScopes(), ResponseTypes: []string{}, AuthorizationDetails: []string{typeSystemUser},
	}
	if i.mtls != "" {
		m.CertificateBoundTokens = true
		m.MTLSAliases = map[string]string{"token_endpoint": i.mtls + TokenPath}
	}
	return m
}

// sale is what a token says.
type sale struct {
	caller     models.Caller
	clientID   string
	systemUser bool   // the delegation is stated as a system user, not as a supplier
	bound      string // thumbprint of the client certificate that alone may carry the token
}

// systemUserSpace makes the ids of system users: the same vendor and principal always give the same.
var systemUserSpace = uuid.MustParse("6f0d3b0e-3f0c-4c55-9b43-0d8a2f1f8a5e")

func systemUserID(vendor, principal models.Party) string {
	return uuid.NewSHA1(systemUserSpace, []byte(string(vendor)+"\n"+string(principal))).String()
}

// mint makes a token. Its subject is the client, as RFC 9068, 2.2, asks where no person takes part.
func (i *TokenIssuer) mint(s sale) (string, error) {
	now := i.now()
	c := claims{
		Scope: strings.Join(s.caller.Scopes, " "), ClientID: s.clientID, Thumbprint: s.caller.Credential.Thumbprint,
		ClientAMR: amrCertificate,
	}
	if s.caller.Credential.Method == models.LoginKeyToken {
		c.ClientAMR = amrKey
	}
	c.Issuer, c.Subject, c.Audience, c.ID = i.name, s.clientID, jwt.Audience{i.audience}, rand.Text()
	c.IssuedAt, c.Expiry = jwt.NewNumericDate(now), jwt.NewNumericDate(now.Add(TokenLife))
	if s.bound != "" {
		c.Confirmation = map[string]any{thumbprintS256: s.bound}
	}
	if err := i.nameParties(&c, s); err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	token, err := jwt.Signed(i.signer).Claims(c).Serialize()
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	return token, nil
}

// nameParties writes who acts for whom, in one of Maskinporten's two ways.
func (i *TokenIssuer) nameParties(c *claims, s sale) error {
	holder := s.caller.Holder()
	if s.systemUser {
		c.Consumer = organisationOf(holder)
		raw, err := json.Marshal(map[string]any{
			"type": typeSystemUser, "systemuser_org": organisationOf(s.caller.Party),
			"systemuser_id": []string{systemUserID(holder, s.caller.Party)}, "system_id": holder.Number() + "_formidling",
		})
		c.AuthorizationDetails = []json.RawMessage{raw}
		return err
	}
	c.Consumer = organisationOf(s.caller.Party)
	if s.caller.Supplier != "" {
		c.Supplier, c.DelegationSource = organisationOf(s.caller.Supplier), i.name
	}
	return nil
}
