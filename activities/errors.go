package activities

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/formidling/formidling/models"
)

// Refusal makes an error that a caller may see known to Temporal: its type is the code, its details the
// whole error. A refusal is final and not retried; what may pass later stays an ordinary, retried error.
func Refusal(err error) error {
	e, ok := models.AsError(err)
	if !ok || e.Retryable() || e.Kind == models.KindInternal {
		return err
	}
	return temporal.NewApplicationErrorWithOptions(e.Message, e.Code, temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{*e},
	})
}

// FromTemporal finds the refusal in an error that came through Temporal; other errors stay as they are.
func FromTemporal(err error) error {
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || !app.NonRetryable() || !app.HasDetails() {
		return err
	}
	var e models.Error
	if app.Details(&e) != nil || e.Code != app.Type() {
		return err
	}
	return &e
}

// IsRefusal tells whether an activity's error is final.
func IsRefusal(err error) bool {
	_, ok := models.AsError(FromTemporal(err))
	return ok
}
