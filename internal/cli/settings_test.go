package cli

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever adds a field and forgets its row reads here which one.
func TestSettings_HaveOneRowForEachField(t *testing.T) {
	t.Parallel()
	rows := map[string][]string{}
	for _, s := range table {
		c := config{}
		*s.field(&c) = "x"
		fields := reflect.ValueOf(c)
		for i := range fields.NumField() {
			if f := fields.Type().Field(i); f.IsExported() && fields.Field(i).String() == "x" {
				rows[f.Name] = append(rows[f.Name], s.Name)
			}
		}
		require.NotEmpty(t, s.Meaning, s.Name)
	}
	kind := reflect.TypeFor[config]()
	for i := range kind.NumField() {
		if f := kind.Field(i); f.IsExported() {
			require.Len(t, rows[f.Name], 1, "config.%s has one row in the table of settings", f.Name)
		}
	}
}
