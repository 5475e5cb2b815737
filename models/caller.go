package models

import "slices"

// The scopes that operations ask for (docs/reference/altinn-broker.md 1.1).
const (
	ScopeWrite        = "altinn:broker.write"
	ScopeRead         = "altinn:broker.read"
	ScopeServiceOwner = "altinn:serviceowner"
	ScopeEvents       = "altinn:events.subscribe"
)

// AllScopes is every scope there is.
func AllScopes() []string { return []string{ScopeWrite, ScopeRead, ScopeServiceOwner, ScopeEvents} }

// LoginMethod is how an organisation proved who it is.
type LoginMethod string

// The ways to log in, the strongest first.
const (
	LoginCertificate      LoginMethod = "certificate"       // TLS with an enterprise certificate
	LoginCertificateToken LoginMethod = "certificate-token" // our token, for an assertion signed with an enterprise certificate
	LoginKeyToken         LoginMethod = "key-token"         // our token, for an assertion signed with a registered key
	LoginExternalToken    LoginMethod = "external-token"    // a token of an external issuer
)

// LoginMethods is every way to log in.
func LoginMethods() []LoginMethod {
	return []LoginMethod{LoginCertificate, LoginCertificateToken, LoginKeyToken, LoginExternalToken}
}

// Credential is what a request was authenticated with, fit to be stored: it holds no secret.
type Credential struct {
	Method LoginMethod
	// Issuer of the token; empty for a certificate.
	Issuer string
	// Thumbprint is the base64url SHA-256 of the certificate (x5t#S256, RFC 8705) or of the registered key
	// (RFC 7638); empty for external tokens.
	Thumbprint string
}

// String names the credential for people and logs.
func (c Credential) String() string {
	s := string(c.Method)
	if c.Issuer != "" {
		s += " of " + c.Issuer
	}
	if c.Thumbprint != "" {
		s += " " + c.Thumbprint
	}
	return s
}

// Caller is who a request's credential says it is from, and nothing else.
type Caller struct {
	Party    Party // whose rights count
	Supplier Party // who acts for Party by delegation; empty when Party acts itself
	// DelegationStated is set when an external issuer vouches for the delegation, so that ours is not asked.
	DelegationStated bool
	Scopes           []string
	Credential       Credential
}

// Holder is whose credential it is.
func (c Caller) Holder() Party {
	if c.Supplier != "" {
		return c.Supplier
	}
	return c.Party
}

// Has tells whether the caller's credential carries one of the scopes.
func (c Caller) Has(scopes ...string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(c.Scopes, s) })
}
