package identity

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/formidling/formidling/models"
)

// TokenExchange sells access tokens for assertions (RFC 7523) that are signed with an enterprise
// certificate or with a key that an organisation registered.
type TokenExchange struct {
	Issuer       *TokenIssuer
	Audiences    []string     // an assertion names exactly one of them as aud
	Certificates Certificates // nil: neither x5c nor client certificates are accepted
	Clients      Clients
	Assertions   Assertions
	Registry     Registry
}

// TokenRequest is what a client sends to the token endpoint.
type TokenRequest struct {
	GrantType, Assertion string
	Resource             string              // RFC 8707; may be empty
	ClientCertificates   []*x509.Certificate // of the TLS connection, leaf first; may be empty
}

// TokenAnswer is what a client gets (RFC 6749, 5.1).
type TokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
	Scope       string `json:"scope"`
}

// KeySet is what verifies the tokens.
func (x *TokenExchange) KeySet() jose.JSONWebKeySet { return x.Issuer.KeySet() }

// Metadata tells clients about the token endpoint.
func (x *TokenExchange) Metadata() Metadata { return x.Issuer.Metadata() }

// Exchange sells a token for an assertion. What the client did wrong comes back as a *TokenError; another
// error, such as models.ErrUnavailable, is trouble of ours. An assertion is spent after every other check,
// so that nobody can burn one that is not theirs; and it is spent at most once, on all replicas together.
func (x *TokenExchange) Exchange(ctx context.Context, r TokenRequest) (TokenAnswer, error) {
	switch {
	case r.GrantType == "" || r.Assertion == "":
		return TokenAnswer{}, deny(codeInvalidRequest, "parameter-missing")
	case r.GrantType != GrantJWTBearer:
		return TokenAnswer{}, deny(codeGrantType, "grant-type")
	}
	p, err := x.prove(ctx, r.Assertion)
	if err != nil {
		return TokenAnswer{}, err
	}
	s, err := x.order(p, r.Resource)
	if err != nil {
		return TokenAnswer{}, err
	}
	if s.bound, err = x.bind(r.ClientCertificates, p.holder); err != nil {
		return TokenAnswer{}, err
	}
	if err := x.Registry.CheckCaller(ctx, s.caller); err != nil {
		return TokenAnswer{}, denyGrant("registry", err)
	}
	// A replica whose clock is behind still takes the assertion for a while after its end.
	until := p.claims.Expiry.Time().Add(maxAhead)
	if err := x.Assertions.UseAssertion(ctx, p.holder, p.claims.ID, until); err != nil {
		return TokenAnswer{}, denyGrant("assertion-spent", err)
	}
	token, err := x.Issuer.mint(s)
	if err != nil {
		return TokenAnswer{}, err
	}
	return TokenAnswer{
		AccessToken: token, TokenType: "Bearer", ExpiresIn: int(TokenLife / time.Second), Scope: strings.Join(s.caller.Scopes, " "),
	}, nil
}

// order reads what a proven client asks for. The registry decides whether it may have it.
func (x *TokenExchange) order(p proof, resource string) (sale, error) {
	if (resource != "" && resource != x.Issuer.audience) ||
		slices.ContainsFunc(p.claims.Resource, func(r string) bool { return r != x.Issuer.audience }) {
		return sale{}, deny(codeInvalidTarget, "resource-not-ours")
	}
	s := sale{clientID: p.clientID, caller: models.Caller{Party: p.holder, Credential: p.credential}}
	principal, err := p.principal()
	if err != nil {
		return sale{}, err
	}
	s.systemUser = p.claims.AuthorizationDetails != nil
	if principal != p.holder {
		s.caller.Party, s.caller.Supplier = principal, p.holder
	}
	if s.caller.Scopes, err = askedScopes(p.claims.Scope); err != nil {
		return sale{}, err
	}
	if s.caller.Supplier != "" && s.caller.Has(models.ScopeServiceOwner) {
		return sale{}, deny(codeInvalidScope, "service-owner-delegated") // nobody decides for another who may send and receive
	}
	return s, nil
}

// askedScopes reads the scopes of an assertion, each once: at least one, and known ones only.
func askedScopes(claim string) ([]string, error) {
	var out []string
	for _, s := range strings.Fields(claim) {
		if !slices.Contains(models.AllScopes(), s) {
			return nil, deny(codeInvalidScope, "scope-unknown")
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, deny(codeInvalidScope, "scope-missing")
	}
	return out, nil
}

// principal is for whom the holder wants to act: for itself, or for who delegated to it, named in one of
// Maskinporten's two ways.
func (p proof) principal() (models.Party, error) {
	switch c := p.claims; {
	case c.ConsumerOrg != nil && c.AuthorizationDetails != nil:
		return "", deny(codeInvalidGrant, "two-delegations")
	case c.ConsumerOrg != nil:
		principal, err := models.ParseOrganisation(*c.ConsumerOrg)
		if err != nil {
			return "", deny(codeInvalidGrant, "consumer-org-malformed")
		}
		return principal, nil
	case c.AuthorizationDetails != nil:
		return p.systemUserOrganisation()
	}
	return p.holder, nil
}

// systemUserOrganisation reads the one element that authorization_details may have (RFC 9396, 5). A system
// user that is named must be the one that the two organisations have; an externalRef means nothing here.
func (p proof) systemUserOrganisation() (models.Party, error) {
	var user systemUser
	details := p.claims.AuthorizationDetails
	if len(details) != 1 || json.Unmarshal(details[0], &user) != nil || user.Type != typeSystemUser {
		return "", deny(codeInvalidDetails, "authorization-details-malformed")
	}
	principal, err := user.Organisation.party()
	if err != nil {
		return "", deny(codeInvalidDetails, "system-user-organisation-malformed")
	}
	if len(user.ID) > 0 && !slices.Equal(user.ID, []string{systemUserID(p.holder, principal)}) {
		return "", deny(codeInvalidGrant, "system-user-unknown")
	}
	return principal, nil
}

// bind checks the client certificate of the connection, if there is one: it must be the holder's, and then
// the token is of use on connections with it only (RFC 8705, 3).
func (x *TokenExchange) bind(presented []*x509.Certificate, holder models.Party) (string, error) {
	if len(presented) == 0 {
		return "", nil
	}
	if x.Certificates == nil {
		return "", deny(codeInvalidGrant, "certificates-not-accepted")
	}
	owner, err := x.Certificates.Verify(presented)
	if err != nil {
		return "", denyGrant("client-certificate", fmt.Errorf("check client certificate: %w", err))
	}
	if owner != holder {
		return "", deny(codeInvalidGrant, "client-certificate-of-another")
	}
	return Thumbprint(presented[0]), nil
}
