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
	if e, ok := refusal(err); ok {
		return e
	}
	return err
}

// IsRefusal tells whether an activity's error is final.
func IsRefusal(err error) bool {
	_, ok := refusal(err)
	return ok
}

func refusal(err error) (*models.Error, bool) {
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || !app.NonRetryable() || !app.HasDetails() {
		return nil, false
	}
	var e models.Error
	if app.Details(&e) != nil || e.Code != app.Type() {
		return nil, false
	}
	return &e, true
}
