package testpki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"sync"
	"time"
)

// The CAs of a test PKI. The first three are those of a sound installation, the others belong to cases.
const (
	root          = "root"
	issuing       = "issuing"
	issuingRSA    = "issuing-rsa"
	withoutList   = "crl-missing"
	withStaleList = "crl-stale"
	expiredCA     = "issuer-expired"
	futureCA      = "issuer-not-yet-valid"
	impostor      = "other-ca-same-dn" // its name is issuing's, its key is not, and the root never heard of it
)

// The RSA keys are made once per process, since each takes about a second. That is safe for the CA among
// them because the names of CAs differ between PKIs.
var (
	caKey3072   = shared(3072)
	leafKey3072 = shared(3072)
	leafKey2048 = shared(2048)
)

// shared makes an RSA key when it is first asked for.
func shared(bits int) func() (crypto.Signer, error) {
	return sync.OnceValues(func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) })
}

func newKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// authorityDefinition is what one CA is like.
type authorityDefinition struct {
	name, called string
	from, to     time.Duration // its validity, from the PKI's making
	lists        bool          // it publishes a revocation list
	ofCase       bool          // it exists for a case
}

func authorityDefinitions() []authorityDefinition {
	return []authorityDefinition{
		{name: root, called: "Root CA", to: caLife},
		{name: issuing, called: "Issuing CA", to: caLife, lists: true},
		{name: issuingRSA, called: "RSA Issuing CA", to: caLife, lists: true},
		{name: withoutList, called: "CA without List", to: caLife, ofCase: true},
		{name: withStaleList, called: "CA with stale List", to: caLife, lists: true, ofCase: true},
		{name: expiredCA, called: "expired CA", from: -caLife, to: -time.Hour, lists: true, ofCase: true},
		{name: futureCA, called: "future CA", from: caLife / 2, to: caLife, lists: true, ofCase: true},
		{name: impostor, called: "Issuing CA", to: caLife, ofCase: true},
	}
}

// makeAuthorities makes all CAs and the first revocation list of those that have one.
func (p *PKI) makeAuthorities() error {
	for _, def := range authorityDefinitions() {
		parent := p.authorities[root]
		if def.name == impostor {
			parent = nil
		}
		made, err := p.newAuthority(def, parent)
		if err != nil {
			return err
		}
		p.authorities[def.name] = made
		if !def.lists {
			continue
		}
		if err := p.firstList(def.name); err != nil {
			return err
		}
	}
	return nil
}

// firstList gives a CA a revocation list without entries.
func (p *PKI) firstList(name string) error {
	l := &list{from: p.now.Add(-time.Minute), to: p.now.Add(listLife), number: p.now.Unix()}
	if name == withStaleList {
		l.from, l.to = p.now.Add(-48*time.Hour), p.now.Add(-24*time.Hour)
	}
	p.authorities[name].list = l
	return p.authorities[name].sign()
}

// newAuthority makes a CA; without a parent it is its own.
func (p *PKI) newAuthority(def authorityDefinition, parent *authority) (*authority, error) {
	keyOf := newKey
	if def.name == issuingRSA {
		keyOf = caKey3072
	}
	key, err := keyOf()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{Country: []string{"NO"}, Organization: []string{Name}, CommonName: "Formidling Test " + def.called + " " + p.id},
		NotBefore: p.now.Add(def.from - time.Hour), NotAfter: p.now.Add(def.to), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if parent == nil {
		parent = &authority{certificate: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.certificate, key.Public(), parent.key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{certificate: certificate, key: key}, err
}

// issuerOf finds the CA by its key, since the impostor has another's name.
func (p *PKI) issuerOf(c *x509.Certificate) (*authority, bool) {
	for _, a := range p.authorities {
		if bytes.Equal(a.certificate.SubjectKeyId, c.AuthorityKeyId) {
			return a, true
		}
	}
	return nil, false
}
