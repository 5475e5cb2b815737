package testpki

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/formidling/formidling/models"
)

// Case is a certificate and what a broker must make of it.
type Case struct {
	Name        string
	What        string // the one thing that is special about it
	Certificate tls.Certificate
	Accepted    bool
	SEID1       bool         // accepted only by a broker that reads SEID v1
	Party       models.Party // whom an accepted one identifies
}

// caseNumber is the organisation that all cases are about.
const caseNumber = "310000019"

const seid1 = "seid1"

// caseOf is how a case is made.
type caseOf struct {
	name, what string
	accepted   bool
	options    func(p *PKI) []Option
	reason     int // why it is on the revocation list
}

// Cases returns every case.
func (p *PKI) Cases() []Case {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.cases)
}

// Case returns the case of that name; there must be one.
func (p *PKI) Case(name string) Case {
	for _, c := range p.Cases() {
		if c.Name == name {
			return c
		}
	}
	panic("no such case: " + name)
}

// makeCases gets the certificate of each case from somewhere and revokes those that are to be revoked.
func (p *PKI) makeCases(get func(caseOf) (tls.Certificate, error)) error {
	p.cases = nil
	for _, c := range allCases() {
		certificate, err := get(c)
		if err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
		made := Case{Name: c.name, What: c.what, Certificate: certificate, Accepted: c.accepted}
		if c.accepted {
			made.Party, made.SEID1 = models.Norwegian(caseNumber), c.name == seid1
		}
		p.cases = append(p.cases, made)
		if c.reason != 0 {
			p.authorities[issuing].list.mark(certificate.Leaf.SerialNumber, c.reason, p.now)
		}
	}
	return p.authorities[issuing].sign()
}

// issueCase makes the certificate of a case.
func (p *PKI) issueCase(c caseOf) (tls.Certificate, error) {
	return p.organisation(caseNumber, c.options(p)...)
}

func allCases() []caseOf {
	return slices.Concat(acceptedCases(), issuerCases(), subjectCases(), usageCases())
}

func plain(*PKI) []Option { return nil }

// saying makes a case of a certificate that says something else.
func saying(change func(*x509.Certificate)) func(*PKI) []Option {
	return func(*PKI) []Option { return []Option{Change(change)} }
}

// named makes a case of a certificate with these attributes in place of organizationIdentifier.
func named(attributes ...pkix.AttributeTypeAndValue) func(*PKI) []Option {
	return saying(func(c *x509.Certificate) { c.Subject.ExtraNames = attributes })
}

// from makes a case of a certificate that another CA issued.
func from(ca string) func(*PKI) []Option {
	return func(p *PKI) []Option { return []Option{func(r *request) { r.issuer = p.authorities[ca] }} }
}

func identifier(value string) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: oidOrganizationIdentifier, Value: value}
}

func serial(value string) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: oidSerialNumber, Value: value}
}

func acceptedCases() []caseOf {
	return []caseOf{
		{"seid2-p256", "SEID v2 with a P-256 key", true, plain, 0},
		{"seid2-rsa", "SEID v2 with an RSA 3072 key, issued by an RSA CA", true, func(p *PKI) []Option { return []Option{p.RSA()} }, 0},
		{seid1, "SEID v1: the number is the subject's serialNumber", true, func(p *PKI) []Option { return []Option{p.SEID1()} }, 0},
		{"sub-unit", "a sub-unit's number in OU; the main unit is whom it identifies", true, saying(func(c *x509.Certificate) {
			c.Subject.OrganizationalUnit = []string{"Test Sub-unit - 310000043"}
		}), 0},
		{"long-name", "O and CN longer than RFC 5280's 64 characters", true, saying(func(c *x509.Certificate) {
			c.Subject.Organization, c.Subject.CommonName = []string{strings.Repeat("Long Organisation ", 8)}, strings.Repeat("Long Name ", 12)
		}), 0},
		{"agreeing-serial-number", "the same number in organizationIdentifier and serialNumber", true, named(identifier("NTRNO-"+caseNumber), serial(caseNumber)), 0},
		{"other-serial-number", "a serialNumber that is no organisation number", true, named(identifier("NTRNO-"+caseNumber), serial("Buypass-993884871-1")), 0},
		{"client-auth", "extended key usage serverAuth and clientAuth", true, saying(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		}), 0},
		{"sub-policy", "a policy below the accepted one", true, policies(Policy + ".1"), 0},
	}
}

func issuerCases() []caseOf {
	return []caseOf{
		{"expired", "its time is over", false, func(p *PKI) []Option {
			return []Option{Change(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = p.now.Add(-leafLife), p.now.Add(-time.Hour) })}
		}, 0},
		{"not-yet-valid", "its time has not come", false, func(p *PKI) []Option {
			return []Option{Change(func(c *x509.Certificate) { c.NotBefore = p.now.Add(leafLife - time.Hour) })}
		}, 0},
		{"revoked", "revoked for good", false, plain, reasonKeyCompromise},
		{"on-hold", "revoked until further notice", false, plain, reasonHold},
		{impostor, "another CA with the name of the trusted one", false, from(impostor), 0},
		{"issued-by-root", "issued by the root itself, which issues to CAs only", false, from(root), 0},
		{"self-signed", "its own issuer", false, func(*PKI) []Option {
			return []Option{func(r *request) {
				r.key, r.err = newKey()
				r.issuer = &authority{certificate: r.template, key: r.key}
			}}
		}, 0},
		{"leaf-as-ca", "issued by an organisation with its own certificate", false, func(p *PKI) []Option {
			return []Option{func(r *request) {
				leaf, err := p.organisation("310000027")
				if r.err = err; err == nil {
					r.key, r.err = newKey()
					r.issuer = &authority{certificate: leaf.Leaf, key: signer(leaf)}
				}
			}}
		}, 0},
		{withoutList, "its issuer's revocation list cannot be had", false, from(withoutList), 0},
		{withStaleList, "its issuer's revocation list is out of date", false, from(withStaleList), 0},
		{expiredCA, "the time of its issuer is over", false, from(expiredCA), 0},
		{futureCA, "the time of its issuer has not come", false, from(futureCA), 0},
	}
}

func subjectCases() []caseOf {
	person := []pkix.AttributeTypeAndValue{
		{Type: asn1.ObjectIdentifier{2, 5, 4, 42}, Value: "Kari"},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 4}, Value: "Nordmann"},
		serial("UN:NO-9578-4050-100000011"),
	}
	return []caseOf{
		{"person-policy", "the policy of persons", false, policies(PersonPolicy), 0},
		{"person-subject", "a person's name", false, named(person...), 0},
		{"employee", "a person's name beside the employer's number", false, named(append(person, identifier("NTRNO-"+caseNumber))...), 0},
		{"no-organisation-number", "no number at all, except in CN and O", false, saying(func(c *x509.Certificate) {
			c.Subject.ExtraNames = nil
			c.Subject.Organization = []string{"OID.2.5.4.97=NTRNO-" + caseNumber + ", serialNumber=" + caseNumber}
		}), 0},
		{"wrong-organisation-number", "a number whose check digit is wrong", false, named(identifier("NTRNO-310000018")), 0},
		{"seid1-wrong-organisation-number", "a serialNumber whose check digit is wrong", false, named(serial("310000018")), 0},
		{"two-identifiers", "two organizationIdentifiers", false, named(identifier("NTRNO-310000027"), identifier("NTRNO-"+caseNumber)), 0},
		{"two-serial-numbers", "two serialNumbers", false, named(identifier("NTRNO-"+caseNumber), serial(caseNumber), serial("1")), 0},
		{"disagreeing-serial-number", "two numbers, one in each attribute", false, named(identifier("NTRNO-"+caseNumber), serial("310000027")), 0},
		{"ntrse", "a Swedish organisation", false, named(identifier("NTRSE-5560360793")), 0},
		{"vat-number", "the Norwegian number with another prefix", false, named(identifier("VATNO-" + caseNumber)), 0},
	}
}

func usageCases() []caseOf {
	return []caseOf{
		{"server-auth-only", "extended key usage serverAuth only", false, saying(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), 0},
		{"non-repudiation-only", "key usage for signing documents only", false, saying(func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageContentCommitment
		}), 0},
		{"no-key-usage", "no key usage", false, saying(func(c *x509.Certificate) { c.KeyUsage = 0 }), 0},
		{"wrong-policy", "another policy of the same issuer", false, policies("2.16.578.1.26.1.3.5"), 0},
		{"look-alike-policy", "a policy that begins with the same digits", false, policies(Policy + "0"), 0},
		{"missing-policy", "no policy", false, saying(func(c *x509.Certificate) { c.Policies = nil }), 0},
		{"any-policy", "the policy that means any", false, policies("2.5.29.32.0"), 0},
		{"is-ca", "a CA's certificate with an organisation's name", false, saying(func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid = true, true
			c.KeyUsage |= x509.KeyUsageCertSign
		}), 0},
		{"unknown-critical-extension", "a critical extension that nobody knows", false, saying(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}}
		}), 0},
	}
}

// policies makes a case of a certificate with this policy.
func policies(dotted string) func(*PKI) []Option {
	return saying(func(c *x509.Certificate) { c.Policies = []x509.OID{oid(dotted)} })
}
