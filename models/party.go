package models

import (
	"errors"
	"regexp"
	"strings"
)

// Party is an organisation in normalised form: "0192:" and nine digits for a Norwegian
// organisation number. Two spellings of one organisation are always the same Party.
type Party string

// Norwegian organisation numbers carry ISO 6523 scheme 0192; 9908 is the older code for the same register.
const (
	schemeNorway    = "0192"
	schemeNorwayOld = "9908"
	urnOrganization = "urn:altinn:organization:identifier-no:"
)

// partyPattern is the rule for sender and recipients (docs/reference/altinn-broker.md 1.3, initialize).
var partyPattern = regexp.MustCompile(`^(?:(\d{4}):(\d{9})|urn:altinn:organization:identifier-no:(\d{9}))$`)

var errPartyForm = errors.New("parse organisation: not countrycode:organizationnumber and not urn:altinn:organization:identifier-no:organizationnumber")

// ParseParty reads "0192:NNNNNNNNN" or "urn:altinn:organization:identifier-no:NNNNNNNNN".
// Other ISO 6523 schemes stay distinct, so that no foreign identifier collides with a Norwegian one.
func ParseParty(s string) (Party, error) {
	m := partyPattern.FindStringSubmatch(s)
	switch {
	case m == nil:
		return "", errPartyForm
	case m[3] != "":
		return Party(schemeNorway + ":" + m[3]), nil
	case m[1] == schemeNorwayOld:
		return Party(schemeNorway + ":" + m[2]), nil
	}
	return Party(m[1] + ":" + m[2]), nil
}

// ParseOrganisation reads what ParseParty does, and a bare number for a Norwegian one.
func ParseOrganisation(s string) (Party, error) {
	if !strings.Contains(s, ":") {
		s = schemeNorway + ":" + s
	}
	return ParseParty(s)
}

// ValidNorwegianNumber tells whether nine digits are an organisation number: the last one is a check digit,
// modulo 11 with weights 3, 2, 7, 6, 5, 4, 3, 2.
func ValidNorwegianNumber(digits string) bool {
	if len(digits) != 9 {
		return false
	}
	sum := 0
	for i, weight := range []int{3, 2, 7, 6, 5, 4, 3, 2, 1} {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
		sum += weight * int(digits[i]-'0')
	}
	return sum%11 == 0
}

// Norwegian is the Party of a Norwegian organisation number.
func Norwegian(number string) Party { return Party(schemeNorway + ":" + number) }

// IsNorwegian tells whether the number is one of the Norwegian register.
func (p Party) IsNorwegian() bool { return strings.HasPrefix(string(p), schemeNorway+":") }

// PartyRule is the message for what is no organisation (docs/reference/altinn-broker.md 1.3, initialize).
const PartyRule = "Organization numbers should be on the form countrycode:organizationnumber (e.g. 0192:910753614) or urn:altinn:organization:identifier-no:organizationnumber"

// Number returns the organisation number without its scheme.
func (p Party) Number() string {
	_, n, _ := strings.Cut(string(p), ":")
	return n
}

// URN returns the form that events use (docs/reference/altinn-broker.md 2.4). Only Norwegian numbers have one; others keep their scheme.
func (p Party) URN() string {
	if p.IsNorwegian() {
		return urnOrganization + p.Number()
	}
	return string(p)
}

// ParseRegistered reads an organisation that something is written about. A Norwegian number must have its check digit
// right: a right for a number that was mistyped would wait for somebody else. The error names the field.
func ParseRegistered(field, given string) (Party, error) {
	p, err := ParseOrganisation(given)
	if err != nil {
		return p, InvalidField(field, PartyRule)
	}
	if p.IsNorwegian() && !ValidNorwegianNumber(p.Number()) {
		return p, InvalidField(field, "The organisation number's check digit is wrong.")
	}
	return p, nil
}
