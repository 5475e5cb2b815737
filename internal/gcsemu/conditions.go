package gcsemu

import (
	"net/http"
	"net/url"
	"strconv"
)

// condition compares one number of an object with the one a request named.
type condition struct {
	name  string
	want  int64
	meta  bool // the metageneration, not the generation
	equal bool // the numbers must be equal, not different
}

func (c condition) met(o *object) bool {
	var is int64 // an absent object counts as generation 0
	switch {
	case o != nil && c.meta:
		is = o.Metageneration
	case o != nil:
		is = o.Generation
	}
	return (is == c.want) == c.equal
}

// conditions are all preconditions of one request on one object.
type conditions []condition

// parseConditions reads the preconditions from a query; prefix is "if", or "ifSource" for the source of a rewrite.
func parseConditions(q url.Values, prefix string) (conditions, error) {
	var found conditions
	for _, c := range []condition{
		{name: "GenerationMatch", equal: true},
		{name: "GenerationNotMatch"},
		{name: "MetagenerationMatch", meta: true, equal: true},
		{name: "MetagenerationNotMatch", meta: true},
	} {
		c.name = prefix + c.name
		if !q.Has(c.name) {
			continue
		}
		want, err := strconv.ParseInt(q.Get(c.name), 10, 64)
		if err != nil {
			return nil, invalid("%s is not a number", c.name)
		}
		c.want = want
		found = append(found, c)
	}
	return found, nil
}

// readConditions also reads the headers that the XML API uses.
func readConditions(r *http.Request) (conditions, error) {
	q := r.URL.Query()
	for header, name := range map[string]string{
		"X-Goog-If-Generation-Match":     "ifGenerationMatch",
		"X-Goog-If-Metageneration-Match": "ifMetagenerationMatch",
	} {
		if v := r.Header.Get(header); v != "" {
			q.Set(name, v)
		}
	}
	return parseConditions(q, "if")
}

// check returns the condition that forbids a change; o is nil if there is no object.
func (cs conditions) check(o *object) error {
	for _, c := range cs {
		if !c.met(o) {
			return conditionNotMet(c.name)
		}
	}
	return nil
}

// checkRead is check for reads: a number that must differ and does not means that the reader has the object already.
func (cs conditions) checkRead(o *object) error {
	for _, c := range cs {
		if !c.met(o) && !c.equal {
			return &apiError{http.StatusNotModified, "notModified", c.name}
		}
	}
	return cs.check(o)
}

func conditionNotMet(name string) error {
	msg := "at least one of the preconditions did not hold: " + name
	return &apiError{http.StatusPreconditionFailed, "conditionNotMet", msg}
}

// pinned reads the generation that a request names; 0 means the live one.
func pinned(q url.Values, name string) (int64, error) {
	if !q.Has(name) {
		return 0, nil
	}
	n, err := strconv.ParseInt(q.Get(name), 10, 64)
	if err != nil {
		return 0, invalid("%s is not a number", name)
	}
	return n, nil
}
