package web

import (
	"time"

	"github.com/formidling/formidling/models"
)

// Value is what a pointer points to, or nothing.
func Value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

// Ref is a pointer to a value.
func Ref[T any](v T) *T { return &v }

// UTC is a time as answers have it, or null.
func UTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return Ref(t.UTC())
}

// TextOrNull is a text, or null for the empty one.
func TextOrNull[T ~string](text T) *string {
	if text == "" {
		return nil
	}
	return Ref(string(text))
}

// Texts are the texts of a list of names.
func Texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = string(v)
	}
	return out
}

// Moment reads an optional time, in the precision that is stored.
func Moment(field string, given *string) (*time.Time, error) {
	if given == nil {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, *given)
	if err != nil {
		return nil, models.InvalidField(field, "It must be a time of RFC 3339, such as 2027-01-01T00:00:00Z.")
	}
	at = at.UTC().Truncate(time.Microsecond)
	return &at, nil
}

// Validity reads from when until when something holds.
func Validity(from, to *string) (validFrom, validTo *time.Time, err error) {
	if validFrom, err = Moment("validFrom", from); err != nil {
		return nil, nil, err
	}
	validTo, err = Moment("validTo", to)
	return validFrom, validTo, err
}
