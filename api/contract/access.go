package contract

import "maps"

// Rule says who may call an operation. The zero Rule admits nobody.
type Rule struct {
	Operation       string   // its operationId
	Public          bool     // no credential is asked for
	Scopes          []string // one of these is enough
	AnyScope        bool     // every scope that there is will do
	CertificateOnly bool     // over a connection with the organisation's own certificate: a token that leaked must not become a lasting credential
	NoSupplier      bool     // the organisation itself, and nobody who acts for it
	LateToken       bool     // a token that expired during an upload may still end it
	AnyAccept       bool     // an Accept header that leaves out JSON does no harm
}

// RuleOf returns the rule of a route, a method and a path as Gin writes it: "GET /identity/api/v1/me". A route
// that openapi.yaml does not have has the zero Rule.
func RuleOf(route string) Rule { return rules[route] }

// Rules returns the rule of every route of openapi.yaml.
func Rules() map[string]Rule { return maps.Clone(rules) }
