package settings

import (
	"errors"
	"fmt"
	"strings"
)

// Setting is one environment variable of a program that is configured by a C.
type Setting[C any] struct {
	Name    string
	Alias   string // an older name that means the same; empty when there is none
	Default string
	Meaning string
	Set     func(into *C, value string) error
}

// Table is all settings of a program: what has no row does not exist.
type Table[C any] []Setting[C]

// Read gives every setting its value from an environment of NAME=value, or its default. An empty value counts as not
// given. It reports all mistakes at once.
func (t Table[C]) Read(into *C, environ []string) error {
	given := Environment(environ)
	var errs []error
	for _, s := range t {
		name, value := s.Name, given[s.Name]
		if older := given[s.Alias]; s.Alias != "" && older != "" {
			if value != "" && value != older {
				errs = append(errs, fmt.Errorf("%s and %s differ: they are two names of one setting, give only one", s.Name, s.Alias))
				continue
			}
			name, value = s.Alias, older
		}
		if value == "" {
			value = s.Default
		}
		if value == "" {
			continue
		}
		if err := s.Set(into, value); err != nil {
			errs = append(errs, fmt.Errorf("%s=%q: %w", name, value, err))
		}
	}
	return errors.Join(errs...)
}

// Names are all names that the table knows, aliases too.
func (t Table[C]) Names() []string {
	var names []string
	for _, s := range t {
		names = append(names, s.Name)
		if s.Alias != "" {
			names = append(names, s.Alias)
		}
	}
	return names
}

// Environment is NAME=value as a map.
func Environment(environ []string) map[string]string {
	given := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		given[name] = value
	}
	return given
}
