package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/formidling/formidling/models"
)

// The attributes of a subject that are read, and those that only persons have.
var (
	oidOrganizationIdentifier = asn1.ObjectIdentifier{2, 5, 4, 97} // SEID v2: "NTRNO-" and nine digits
	oidSerialNumber           = asn1.ObjectIdentifier{2, 5, 4, 5}  // SEID v1: nine digits
	oidSurname                = asn1.ObjectIdentifier{2, 5, 4, 4}
	oidGivenName              = asn1.ObjectIdentifier{2, 5, 4, 42}
)

// registerNorway is how ETSI EN 319 412-1 writes the Norwegian register of organisations.
const registerNorway = "NTRNO-"

// Thumbprint names a certificate: the base64url SHA-256 of it, x5t#S256 in RFC 8705.
func Thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Organisation reads whose certificate it is, of either profile. It does not check whether the certificate is to be trusted; Verify does.
func Organisation(c *x509.Certificate) (models.Party, error) { return organisation(c, true) }

// organisation reads whom a certificate identifies. It looks at attributes by their OID and never at the
// subject as text: a name may say anything, "OID.2.5.4.97=NTRNO-…" too. What is ambiguous is refused.
func organisation(c *x509.Certificate, seid1 bool) (models.Party, error) {
	identifiers, err := attribute(c, oidOrganizationIdentifier)
	if err != nil {
		return "", err
	}
	serials, err := attribute(c, oidSerialNumber)
	switch {
	case err != nil:
		return "", err
	case len(identifiers) > 1 || len(serials) > 1:
		return "", refuse("its subject has an attribute twice")
	case has(c, oidSurname) || has(c, oidGivenName):
		return "", refuse("its subject is a person")
	case len(identifiers) == 1:
		return seid2Party(identifiers[0], serials)
	case len(serials) == 1 && seid1 && models.ValidNorwegianNumber(serials[0]):
		return models.Norwegian(serials[0]), nil
	}
	return "", refuse("its subject names no organisation")
}

// seid2Party reads organizationIdentifier. A serialNumber may stand beside it, but name no other organisation.
func seid2Party(identifier string, serials []string) (models.Party, error) {
	number, norwegian := strings.CutPrefix(identifier, registerNorway)
	if !norwegian || !models.ValidNorwegianNumber(number) {
		return "", refuse("its organizationIdentifier is no Norwegian organisation number")
	}
	for _, s := range serials {
		s = strings.TrimPrefix(s, registerNorway)
		if s != number && nineDigits(s) {
			return "", refuse("its organizationIdentifier and its serialNumber disagree")
		}
	}
	return models.Norwegian(number), nil
}

// nineDigits is wider than a valid number, so that a number with a wrong check digit is no way round.
func nineDigits(s string) bool {
	return len(s) == 9 && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// attribute returns the values of one attribute of the subject.
func attribute(c *x509.Certificate, oid asn1.ObjectIdentifier) ([]string, error) {
	var values []string
	for _, a := range c.Subject.Names {
		if !a.Type.Equal(oid) {
			continue
		}
		s, is := a.Value.(string)
		if !is {
			return nil, refuse("its subject has a number that is no text")
		}
		values = append(values, s)
	}
	return values, nil
}

func has(c *x509.Certificate, oid asn1.ObjectIdentifier) bool {
	for _, a := range c.Subject.Names {
		if a.Type.Equal(oid) {
			return true
		}
	}
	return false
}

// authenticates checks that a certificate is for logging in, with the means of RFC 5280: enterprises have
// others for signing and for encryption.
func authenticates(c *x509.Certificate) error {
	switch {
	case c.IsCA || c.KeyUsage&x509.KeyUsageCertSign != 0:
		return refuse("it is a CA's certificate")
	case c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return refuse("its key usage lacks digitalSignature")
	case len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return refuse("its extended key usage lacks clientAuth")
	}
	return nil
}

// under tells whether a policy is the prefix or lies below it, arc by arc: 1.3.20 is not under 1.3.2.
func under(policy, prefix string) bool {
	return policy == prefix || strings.HasPrefix(policy, prefix+".")
}
