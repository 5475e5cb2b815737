package models

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an Error is; api/web/problem.go turns it into an HTTP status.
type Kind int

// The kinds of failure. Their order is of no meaning; they are never stored.
const (
	KindInternal          Kind = iota // a fault of ours: no text of it leaves the process
	KindInvalid                       // the request breaks a rule; Fields names where
	KindUnauthorized                  // the credential does not carry the right
	KindForbidden                     // known caller, not allowed in this state or scope
	KindNotFound                      // unknown to this caller
	KindConflict                      // the state does not allow it
	KindRange                         // byte range outside the file
	KindMismatchedContent             // what the caller says of the content is not so
	KindMismatchedKey                 // an Idempotency-Key was used before with another request
	KindUnavailable                   // something we need is down: the same request may succeed later
	KindStorageFull                   // no room for the bytes
	KindTimeout                       // the caller stood still for too long
	KindTooLarge                      // a request larger than the operation takes
	KindMediaType                     // a request in another form than the operation takes
	KindNoCondition                   // something would be changed without a condition on what is there
	KindCondition                     // what is there is not what the caller's condition says
	KindTooMany                       // the caller has as many of these under way as it may
	KindChecksum                      // bytes are not what the checksum beside them says
	KindGone                          // it was there, and is no more
	KindVersion                       // another version of the protocol than the one spoken here
)

// FieldError names one field of a request and what is wrong with it.
type FieldError struct {
	Field   string
	Message string
}

// Error is a failure that may be shown to a caller. The same code is used at three borders:
// as this Go value, as the type of a Temporal application error and as `code` of a problem document.
// Codes beginning with BRO are those of the Altinn 3 Broker (docs/reference/altinn-broker.md 1.2), FMD are ours.
type Error struct {
	Kind    Kind
	Code    string
	Message string
	Fields  []FieldError
	Limit   *int64 // set with Actual when a limit was exceeded, in bytes or entries
	Actual  *int64
}

// Error implements error with code and message only.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Is makes errors.Is compare by code, so a copy with details still matches its catalogue entry.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Retryable tells whether the same request may succeed later without a change.
func (e *Error) Retryable() bool {
	return e.Kind == KindUnavailable || e.Kind == KindStorageFull || e.Kind == KindTooMany
}

// Exceeded returns a copy of e that tells the limit and the value that exceeded it.
func (e *Error) Exceeded(limit, actual int64) *Error {
	c := *e
	c.Limit, c.Actual = &limit, &actual
	return &c
}

// Because returns a copy of e with more detail after its message.
func (e *Error) Because(format string, args ...any) *Error {
	c := *e
	c.Message = e.Message + " " + fmt.Sprintf(format, args...)
	return &c
}

// Invalid returns the error for requests that break a rule of a field; nil when fields is empty.
func Invalid(fields []FieldError) error {
	if len(fields) == 0 {
		return nil
	}
	e := *errInvalid
	e.Fields = fields
	return &e
}

// InvalidField returns the error for one broken field.
func InvalidField(field, message string) error {
	return Invalid([]FieldError{{Field: field, Message: message}})
}

// AsError finds the Error in a chain.
func AsError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}
