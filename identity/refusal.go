package identity

import (
	"errors"

	"github.com/formidling/formidling/models"
)

// refusalError is a credential that was not accepted. The caller sees models.ErrUnauthenticated, whatever
// the reason; the reason is a code for the log.
type refusalError string

// Error is for the log.
func (e refusalError) Error() string {
	return models.ErrUnauthenticated.Error() + " (" + string(e) + ")"
}

// Unwrap makes it models.ErrUnauthenticated for everybody else.
func (e refusalError) Unwrap() error { return models.ErrUnauthenticated }

func refuse(reason string) error { return refusalError(reason) }

// Reason is the code, for the log, of why a credential or an assertion was refused; empty when err is
// no refusal of this package. It never holds a part of the credential.
func Reason(err error) string {
	var token *TokenError
	var refused refusalError
	switch {
	case errors.As(err, &token):
		return token.Reason
	case errors.As(err, &refused):
		return string(refused)
	}
	return ""
}
