package identity

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/formidling/formidling/models"
)

// GrantJWTBearer is the one grant type of the token endpoint (RFC 7523, 2.1).
const GrantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer" //nolint:gosec // G101: a name, not a secret

// The codes of RFC 6749, 5.2, RFC 8707, 2, and RFC 9396, 5.
const (
	codeInvalidRequest = "invalid_request"
	codeInvalidGrant   = "invalid_grant"
	codeGrantType      = "unsupported_grant_type"
	codeInvalidScope   = "invalid_scope"
	codeInvalidTarget  = "invalid_target"
	codeInvalidDetails = "invalid_authorization_details"
)

// descriptions holds the one sentence of each code. It is the same for every cause, so that nobody learns
// from it which part of a stolen or guessed credential was right.
var descriptions = map[string]string{
	codeInvalidRequest: "The request lacks grant_type or assertion, or repeats a parameter.",
	codeInvalidGrant:   "The assertion was not accepted.",
	codeGrantType:      "The grant type must be " + GrantJWTBearer + ".",
	codeInvalidScope:   "The assertion must ask for scopes of this broker that its holder may have.",
	codeInvalidTarget:  "The resource must be this broker.",
	codeInvalidDetails: "authorization_details must be a list with one element of type " + typeSystemUser + ".",
}

// TokenError is why the token endpoint gives no token (RFC 6749, 5.2).
type TokenError struct {
	Code        string // for the caller: error
	Description string // for the caller: error_description, one for each code
	Reason      string // for the log: a code of ours, sometimes with a detail; never a part of the assertion
}

// Error is for the log.
func (e *TokenError) Error() string { return fmt.Sprintf("%s (%s)", e.Code, e.Reason) }

func deny(code, reason string) error {
	return &TokenError{Code: code, Description: descriptions[code], Reason: reason}
}

// denyGrant turns what a check refused into invalid_grant; our own failures stay what they are.
func denyGrant(check string, err error) error {
	switch {
	case errors.Is(err, models.ErrUnauthenticated), errors.Is(err, models.ErrAssertionUsed), errors.Is(err, models.ErrClientNotFound):
		return deny(codeInvalidGrant, check+": "+cmp.Or(Reason(err), err.Error()))
	}
	return fmt.Errorf("sell token: check %s: %w", check, err)
}

// BadTokenRequest refuses a request that is not well formed. The reason is for the log.
func BadTokenRequest(reason string) error { return deny(codeInvalidRequest, reason) }
