package identity

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/formidling/formidling/models"
)

// Bounds of an assertion.
const (
	maxChain  = 5   // certificates in x5c
	maxJTI    = 255 // characters
	maxIssuer = 255 // characters
	maxLife   = 120 // seconds from iat to exp
)

// assertionHeader is the JOSE header of an assertion, as far as it is read.
type assertionHeader struct {
	Algorithm jose.SignatureAlgorithm `json:"alg"`
	Type      *string                 `json:"typ"`
	KeyID     *string                 `json:"kid"`
	Chain     []string                `json:"x5c"`
}

// assertionClaims are all that an assertion may say (RFC 7523, 3, and Maskinporten's additions).
type assertionClaims struct {
	jwt.Claims
	Scope                string            `json:"scope"`
	Resource             jwt.Audience      `json:"resource"` // one or a list (RFC 8707)
	ConsumerOrg          *string           `json:"consumer_org"`
	AuthorizationDetails []json.RawMessage `json:"authorization_details"`
}

var assertionClaimNames = []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "scope", "resource", "consumer_org", "authorization_details"}

// proof is an assertion whose signature is its holder's.
type proof struct {
	holder     models.Party
	credential models.Credential
	clientID   string
	claims     assertionClaims
}

// prove finds whose assertion it is: form and header first, then the signature, then the claims.
func (x *TokenExchange) prove(ctx context.Context, raw string) (proof, error) {
	if len(raw) > maxToken {
		return proof{}, deny(codeInvalidGrant, "assertion-too-long")
	}
	header, err := readAssertionHeader(raw)
	if err != nil {
		return proof{}, err
	}
	token, err := jwt.ParseSigned(raw, Algorithms())
	if err != nil || len(token.Headers) != 1 {
		return proof{}, deny(codeInvalidGrant, "assertion-not-signed")
	}
	var p proof
	if header.Chain != nil {
		p, err = x.proveByCertificate(ctx, token, header)
	} else {
		p, err = x.proveByKey(ctx, token, header)
	}
	if err != nil {
		return proof{}, err
	}
	return p, x.checkClaims(p.claims)
}

// readAssertionHeader reads the header before anything else looks at it. What would name a key or a place
// to fetch one is refused by name (RFC 8725, 3.10), and so is our own access token.
func readAssertionHeader(raw string) (assertionHeader, error) {
	var h assertionHeader
	encoded, _, _ := strings.Cut(raw, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || strings.Count(raw, ".") != 2 {
		return h, deny(codeInvalidGrant, "assertion-not-compact")
	}
	var all map[string]json.RawMessage
	if json.Unmarshal(decoded, &all) != nil || json.Unmarshal(decoded, &h) != nil {
		return h, deny(codeInvalidGrant, "assertion-header-malformed")
	}
	for _, name := range []string{"crit", "jku", "jwk", "x5u"} {
		if _, found := all[name]; found {
			return h, deny(codeInvalidGrant, "assertion-header-"+name)
		}
	}
	switch {
	case !slices.Contains(Algorithms(), h.Algorithm):
		return h, deny(codeInvalidGrant, "assertion-algorithm")
	case h.Type != nil && strings.TrimPrefix(strings.ToLower(*h.Type), "application/") != typJWT:
		return h, deny(codeInvalidGrant, "assertion-type")
	case (h.Chain == nil) == (h.KeyID == nil):
		return h, deny(codeInvalidGrant, "assertion-needs-x5c-or-kid")
	case h.Chain != nil && (len(h.Chain) == 0 || len(h.Chain) > maxChain):
		return h, deny(codeInvalidGrant, "assertion-chain-length")
	}
	return h, nil
}

// proveByCertificate checks the signature with the chain's first key, and then that the chain is an
// enterprise certificate. The cheap check comes first: everybody has everybody's certificate.
func (x *TokenExchange) proveByCertificate(ctx context.Context, token *jwt.JSONWebToken, h assertionHeader) (proof, error) {
	chain, err := parseChain(h.Chain)
	if err != nil {
		return proof{}, deny(codeInvalidGrant, "assertion-chain-malformed")
	}
	claims, err := verifyAssertion(token, jose.JSONWebKey{Key: chain[0].PublicKey}, h.Algorithm)
	if err != nil {
		return proof{}, err
	}
	if x.Certificates == nil {
		return proof{}, deny(codeInvalidGrant, "certificates-not-accepted")
	}
	holder, err := x.Certificates.Verify(chain)
	if err != nil {
		return proof{}, denyGrant("assertion-certificate", err)
	}
	p := proof{holder: holder, clientID: string(holder), claims: claims, credential: models.Credential{
		Method: models.LoginCertificateToken, Issuer: x.Issuer.name, Thumbprint: Thumbprint(chain[0]),
	}}
	if named, err := models.ParseOrganisation(claims.Issuer); err == nil {
		if named != holder {
			return proof{}, deny(codeInvalidGrant, "assertion-issuer-not-the-certificates")
		}
		return p, nil
	}
	client, err := x.client(ctx, claims.Issuer)
	if err != nil {
		return proof{}, err
	}
	if client.Organisation != holder {
		return proof{}, deny(codeInvalidGrant, "client-of-another")
	}
	p.clientID = client.ID
	return p, nil
}

// proveByKey checks the signature with the key that the issuer's organisation registered.
func (x *TokenExchange) proveByKey(ctx context.Context, token *jwt.JSONWebToken, h assertionHeader) (proof, error) {
	var unverified struct {
		Issuer string `json:"iss"`
	}
	if token.UnsafeClaimsWithoutVerification(&unverified) != nil {
		return proof{}, deny(codeInvalidGrant, "assertion-claims-malformed")
	}
	client, err := x.client(ctx, unverified.Issuer)
	if err != nil {
		return proof{}, err
	}
	keys, thumbprints, err := ParseClientKeys([]byte(client.Keys))
	if err != nil {
		return proof{}, errors.Join(models.ErrInternal, err) // it was checked when it was registered
	}
	n := slices.IndexFunc(keys.Keys, func(k jose.JSONWebKey) bool { return k.KeyID == *h.KeyID })
	if n < 0 {
		return proof{}, deny(codeInvalidGrant, "key-unknown")
	}
	claims, err := verifyAssertion(token, keys.Keys[n], h.Algorithm)
	if err != nil {
		return proof{}, err
	}
	return proof{holder: client.Organisation, clientID: client.ID, claims: claims, credential: models.Credential{
		Method: models.LoginKeyToken, Issuer: x.Issuer.name, Thumbprint: thumbprints[n],
	}}, nil
}

// client finds a registration that has not ended.
func (x *TokenExchange) client(ctx context.Context, id string) (models.Client, error) {
	if id == "" || utf8.RuneCountInString(id) > maxIssuer || !printable(id) {
		return models.Client{}, deny(codeInvalidGrant, "client-id-malformed")
	}
	client, err := x.Clients.ClientByID(ctx, id)
	if err != nil {
		return models.Client{}, denyGrant("client", err)
	}
	if !x.Issuer.now().Before(client.Expires) {
		return models.Client{}, deny(codeInvalidGrant, "client-expired")
	}
	return client, nil
}

// verifyAssertion checks the signature, and that the assertion says nothing that would not be read.
func verifyAssertion(token *jwt.JSONWebToken, key jose.JSONWebKey, algorithm jose.SignatureAlgorithm) (assertionClaims, error) {
	if !verifies(key, algorithm) {
		return assertionClaims{}, deny(codeInvalidGrant, "algorithm-not-the-keys")
	}
	var raw json.RawMessage
	if token.Claims(key.Key, &raw) != nil {
		return assertionClaims{}, deny(codeInvalidGrant, "signature-wrong")
	}
	var all map[string]json.RawMessage
	var c assertionClaims
	if json.Unmarshal(raw, &all) != nil || json.Unmarshal(raw, &c) != nil {
		return assertionClaims{}, deny(codeInvalidGrant, "assertion-claims-malformed")
	}
	for name := range all {
		if !slices.Contains(assertionClaimNames, name) {
			return assertionClaims{}, deny(codeInvalidGrant, "assertion-claim-unknown")
		}
	}
	return c, nil
}

// checkClaims applies the rules of RFC 7523, 3, as strictly as Maskinporten does.
func (x *TokenExchange) checkClaims(c assertionClaims) error {
	if c.IssuedAt == nil {
		return deny(codeInvalidGrant, "assertion-without-iat")
	}
	if err := checkTimes(c.Claims, x.Issuer.now()); err != nil {
		return denyGrant("assertion-time", err)
	}
	switch life := *c.Expiry - *c.IssuedAt; { // neither is near the ends of int64: see jwt.NumericDate
	case life <= 0 || life > maxLife:
		return deny(codeInvalidGrant, "assertion-life")
	case len(c.Audience) != 1 || !slices.Contains(x.Audiences, c.Audience[0]):
		return deny(codeInvalidGrant, "assertion-audience")
	case c.Subject != "" && c.Subject != c.Issuer:
		return deny(codeInvalidGrant, "assertion-subject")
	case c.ID == "" || utf8.RuneCountInString(c.ID) > maxJTI || !printable(c.ID):
		return deny(codeInvalidGrant, "assertion-jti")
	}
	return nil
}

func parseChain(encoded []string) ([]*x509.Certificate, error) {
	out := make([]*x509.Certificate, len(encoded))
	for n, text := range encoded {
		der, err := base64.StdEncoding.DecodeString(text) // not base64url: RFC 7515, 4.1.6
		if err != nil {
			return nil, err
		}
		if out[n], err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	return out, nil
}
