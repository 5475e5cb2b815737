package testpki

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// The reasons of RFC 5280 that are used here.
const (
	reasonKeyCompromise = 1
	reasonHold          = 6
)

// list is what a CA says is revoked.
type list struct {
	from, to time.Time
	number   int64
	entries  []x509.RevocationListEntry
	der      []byte // as it was last signed
}

// sign issues the list anew, under the next number.
func (a *authority) sign() error {
	l := a.list
	l.number++
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(l.number), ThisUpdate: l.from, NextUpdate: l.to, RevokedCertificateEntries: l.entries,
	}, a.certificate, a.key)
	if err != nil {
		return fmt.Errorf("sign revocation list: %w", err)
	}
	l.der = der
	return nil
}

// readList takes over a list that was signed before.
func (a *authority) readList(der []byte) error {
	r, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Errorf("read revocation list: %w", err)
	}
	if err := r.CheckSignatureFrom(a.certificate); err != nil {
		return fmt.Errorf("read revocation list: %w", err)
	}
	a.list = &list{from: r.ThisUpdate, to: r.NextUpdate, number: r.Number.Int64(), entries: r.RevokedCertificateEntries, der: der}
	return nil
}

// mark puts a certificate onto the list, or takes it off when the reason is zero.
func (l *list) mark(serial *big.Int, reason int, at time.Time) {
	l.entries = slices.DeleteFunc(l.entries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(serial) == 0 })
	if reason != 0 {
		l.entries = append(l.entries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: at, ReasonCode: reason})
	}
}

// Revoke puts a certificate onto its CA's revocation list, for good or on hold, and issues the list anew.
func (p *PKI) Revoke(c tls.Certificate, hold bool) error {
	reason := reasonKeyCompromise
	if hold {
		reason = reasonHold
	}
	return p.mark(c.Leaf, reason)
}

// Lift takes a certificate off its CA's revocation list again, as happens to holds.
func (p *PKI) Lift(c tls.Certificate) error { return p.mark(c.Leaf, 0) }

func (p *PKI) mark(c *x509.Certificate, reason int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, is := p.issuerOf(c)
	if !is || a.list == nil {
		return errors.New("revoke: the certificate's issuer publishes no revocation list")
	}
	a.list.mark(c.SerialNumber, reason, p.now)
	if err := a.sign(); err != nil || p.dir == "" {
		return err
	}
	return p.publishLists()
}

// CRL is the revocation list of the organisations' CA as it is now, in DER.
func (p *PKI) CRL() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.authorities[issuing].list.der)
}
