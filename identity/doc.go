// Package identity turns a request's credential into a models.Caller: the organisation that the credential names, and
// nothing that the request says about itself.
//
// A credential is a client certificate of the TLS connection, a bearer token of a configured issuer, or both; Verifier
// decides (verifier.go). Certificates are judged by a Trust: whom the operator named, and their revocation lists
// (trust*.go, revocation.go, certificate.go). Tokens are judged by an Issuer and its keys (issuers.go, keyset*.go,
// claims.go); the signature cache saves the costliest part of that. The package is an issuer itself: TokenExchange sells
// tokens for assertions (exchange.go, assertion.go, token_*.go). proof.go signs and checks what parties sign for content.
//
// It keeps nothing: clients, assertions and delegations come through the ports in ports.go.
package identity
