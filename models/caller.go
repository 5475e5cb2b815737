package models

import "slices"

// The scopes that operations ask for (reference 1.1).
const (
	ScopeWrite        = "altinn:broker.write"
	ScopeRead         = "altinn:broker.read"
	ScopeServiceOwner = "altinn:serviceowner"
)

// Caller is who a request's credential says it is from, and nothing else.
type Caller struct {
	Party  Party
	Scopes []string
}

// Has tells whether the caller's credential carries one of the scopes.
func (c Caller) Has(scopes ...string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(c.Scopes, s) })
}
