// Package testpki makes the certificates that a Norwegian issuer of enterprise certificates would: roots,
// issuing CAs, organisations of both SEID profiles, revocation lists, and one certificate for every reason
// to refuse one. Its certificates open nothing: whoever trusts its root has chosen to test.
package testpki

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/formidling/formidling/models"
)

// Name is the organisation in the subject of every CA of a test PKI, by which a broker tells it from a real one.
const Name = "Formidling Test PKI"

// Policy is what the organisations' certificates carry, PersonPolicy what those of persons under the same
// CA do. They are Buypass's, whose last arc is all that tells the two apart.
const (
	Policy       = "2.16.578.1.26.1.3.2"
	PersonPolicy = "2.16.578.1.26.1.3.1"
)

// The lives of what is issued. A real revocation list lives a day; this one must last as long as nobody
// runs the command again.
const (
	caLife     = 10 * 365 * 24 * time.Hour
	leafLife   = 3 * 365 * 24 * time.Hour
	serverLife = 800 * 24 * time.Hour // clients refuse more than 825 days
	listLife   = 365 * 24 * time.Hour
)

var (
	oidOrganizationIdentifier = asn1.ObjectIdentifier{2, 5, 4, 97}
	oidSerialNumber           = asn1.ObjectIdentifier{2, 5, 4, 5}
)

// PKI is a root, its issuing CAs and what they issued. It is safe for concurrent use.
type PKI struct {
	now time.Time

	mu          sync.Mutex
	id          string // part of every CA's name, so that no two PKIs are mistaken for each other
	dir         string // where it was written; empty in memory
	authorities map[string]*authority
	enrolled    map[string]tls.Certificate
	cases       []Case
}

// authority is one CA.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	list        *list // nil when it publishes none
}

// New makes a PKI in memory, as of now.
func New(now time.Time) (*PKI, error) {
	p := &PKI{
		now: now.Truncate(time.Second).UTC(), id: rand.Text()[:6],
		authorities: map[string]*authority{}, enrolled: map[string]tls.Certificate{},
	}
	if err := p.makeAuthorities(); err != nil {
		return nil, fmt.Errorf("make test PKI: %w", err)
	}
	if err := p.makeCases(p.issueCase); err != nil {
		return nil, fmt.Errorf("make test PKI: %w", err)
	}
	return p, nil
}

// Option changes what a certificate says or how it was made.
type Option func(*request)

// request is a certificate to be issued.
type request struct {
	issuer   *authority
	key      crypto.Signer
	template *x509.Certificate
	err      error
}

// Organisation issues a certificate of SEID v2 to an organisation: P-256, for authentication. Each call
// makes another one.
func (p *PKI) Organisation(number string, options ...Option) (tls.Certificate, error) {
	if !models.ValidNorwegianNumber(number) {
		return tls.Certificate{}, fmt.Errorf("issue certificate: %q is no organisation number: 9 digits, the last one a check digit", number)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.organisation(number, options...)
}

func (p *PKI) organisation(number string, options ...Option) (tls.Certificate, error) {
	r := &request{issuer: p.authorities[issuing], template: p.template(number)}
	for _, o := range append(options, p.finish) {
		o(r)
	}
	return r.issue()
}

// template is what an organisation's certificate of SEID v2 says.
func (p *PKI) template(number string) *x509.Certificate {
	name := "Test Organisation " + number
	return &x509.Certificate{
		Subject: pkix.Name{
			Country: []string{"NO"}, Organization: []string{name}, CommonName: name,
			ExtraNames: []pkix.AttributeTypeAndValue{{Type: oidOrganizationIdentifier, Value: "NTRNO-" + number}},
		},
		NotBefore: p.now.Add(-24 * time.Hour), NotAfter: p.now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature,
		Policies: []x509.OID{oid(Policy)}, // CreateCertificate ignores PolicyIdentifiers
	}
}

// RSA has the RSA issuing CA issue a certificate with an RSA key of 3072 bits, as the real ones do.
func (p *PKI) RSA() Option {
	return func(r *request) {
		r.issuer = p.authorities[issuingRSA]
		r.key, r.err = leafKey3072()
	}
}

// SEID1 makes a certificate of the profile that was issued until June 2022: RSA 2048, the number in serialNumber.
func (p *PKI) SEID1() Option {
	return func(r *request) {
		number, _ := r.template.Subject.ExtraNames[0].Value.(string)
		r.template.Subject.ExtraNames = nil
		r.template.Subject.SerialNumber = number[len("NTRNO-"):]
		r.issuer = p.authorities[issuingRSA]
		r.key, r.err = leafKey2048()
	}
}

// Change lets a test say anything in a certificate.
func Change(change func(*x509.Certificate)) Option {
	return func(r *request) { change(r.template) }
}

// finish gives a key to a request that has none yet.
func (p *PKI) finish(r *request) {
	if r.key == nil && r.err == nil {
		r.key, r.err = newKey()
	}
}

// issue signs the certificate; its chain ends below the root.
func (r *request) issue() (tls.Certificate, error) {
	if r.err != nil {
		return tls.Certificate{}, r.err
	}
	der, err := x509.CreateCertificate(rand.Reader, r.template, r.issuer.certificate, r.key.Public(), r.issuer.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	chain := [][]byte{der}
	if above := r.issuer.certificate; above.Raw != nil { // the self-signed one is above itself
		chain = append(chain, above.Raw)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: r.key, Leaf: leaf}, nil
}

// Server issues a server certificate under the root; without hosts it is for this machine.
func (p *PKI) Server(hosts ...string) (tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.server(hosts...)
}

func (p *PKI) server(hosts ...string) (tls.Certificate, error) {
	if len(hosts) == 0 {
		hosts = localHosts()
	}
	key, err := newKey()
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: hosts[0], Organization: []string{Name}},
		NotBefore: p.now.Add(-24 * time.Hour), NotAfter: p.now.Add(serverLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	return (&request{issuer: p.authorities[root], key: key, template: template}).issue()
}

func localHosts() []string { return []string{"localhost", "127.0.0.1", "::1"} }

// Enrol returns the certificate of an organisation, and makes one the first time. In a PKI that was written
// to a directory it is the one that lies there.
func (p *PKI) Enrol(number string) (tls.Certificate, error) {
	if !models.ValidNorwegianNumber(number) {
		return p.Organisation(number)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, is := p.enrolled[number]; is {
		return c, nil
	}
	c, err := p.organisation(number)
	if err == nil && p.dir != "" {
		c, err = p.keepOrganisation(number, c)
	}
	if err == nil {
		p.enrolled[number] = c
	}
	return c, err
}

// Root is what a client must trust to reach Server.
func (p *PKI) Root() *x509.Certificate { return p.authorities[root].certificate }

// Issuing is the CA of the organisations with its key, to sign what no honest CA would.
func (p *PKI) Issuing() tls.Certificate {
	a := p.authorities[issuing]
	return tls.Certificate{Certificate: [][]byte{a.certificate.Raw}, PrivateKey: a.key, Leaf: a.certificate}
}

// oid reads an OID that is a constant of this package.
func oid(dotted string) x509.OID {
	o, err := x509.ParseOID(dotted)
	if err != nil {
		panic(errors.Join(errors.New(dotted), err)) // a fault of this file
	}
	return o
}
