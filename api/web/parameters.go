package web

import (
	"errors"
	"regexp"

	"github.com/oapi-codegen/runtime"

	"github.com/formidling/formidling/models"
)

// unreadable matches what the generated wrappers say of a parameter that they cannot read. They keep
// the parameter's name in the text only.
var unreadable = regexp.MustCompile(`^(?:Invalid format for parameter|Expected one value for) ([A-Za-z-]+)`)

// ParameterError turns the error of a generated wrapper into the broker's validation error, which
// names the parameter and repeats nothing that the caller sent.
func ParameterError(err error) error {
	var missing *runtime.RequiredParameterError
	if errors.As(err, &missing) {
		return models.InvalidField(missing.ParamName, "The "+missing.ParamName+" field is required.")
	}
	name := ""
	if m := unreadable.FindStringSubmatch(err.Error()); m != nil {
		name = m[1]
	}
	return models.InvalidField(name, "The value is not valid.")
}
