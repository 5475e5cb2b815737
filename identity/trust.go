package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/formidling/formidling/models"
)

// developmentOrganisation is in the name of every CA whose keys a developer holds (testpki.Name).
const developmentOrganisation = "Formidling Test PKI"

// TrustOptions are the choices of an installation.
type TrustOptions struct {
	// SEID1 accepts the profile that was issued until June 2022 too. The last of those expired in May 2025.
	SEID1 bool
	// Grace is how long after its nextUpdate a revocation list is still believed.
	Grace time.Duration
	Now   func() time.Time // the clock; time.Now when nil
	Log   *slog.Logger     // where failures to get revocation lists go; nowhere when nil
}

// IssuingCA is a CA whose certificates of some policies identify organisations.
type IssuingCA struct {
	Name        string
	Certificate *x509.Certificate
	Policies    []string // prefixes of policy OIDs, in dotted form; a certificate must have one below one of them
	CRL         string   // its revocation list: an address or a file
}

// Trust decides which enterprise certificates identify an organisation. A certificate is accepted for the
// CA that issued it and the policy that it was issued under: chaining to a root proves nothing, since the
// same roots issue to persons and to servers.
type Trust struct {
	development bool
	roots       []*x509.Certificate
	issuers     []*issuingCA
	options     TrustOptions
	verified    verifiedLeaves
}

// issuingCA is an IssuingCA in use.
type issuingCA struct {
	IssuingCA
	roots, self *x509.CertPool
	revoked     *revocationSource
}

// NewTrust trusts these issuing CAs, each of which one of the roots must have issued. A development trust
// takes no CA but those of a test PKI, since it is used where anybody can be any organisation.
func NewTrust(development bool, roots []*x509.Certificate, issuers []IssuingCA, o TrustOptions) (*Trust, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	t := &Trust{development: development, roots: roots, options: o}
	if len(roots) == 0 || len(issuers) == 0 {
		return nil, errors.New("trust: at least one root and one issuer are required")
	}
	pool := x509.NewCertPool()
	for i, r := range roots {
		if err := t.mayTrust(r); err != nil {
			return nil, fmt.Errorf("trust roots[%d]: %w", i, err)
		}
		pool.AddCert(r)
	}
	client := listClient()
	for i, issuer := range issuers {
		if err := t.mayIssue(issuer); err != nil {
			return nil, fmt.Errorf("trust issuers[%d] %q: %w", i, issuer.Name, err)
		}
		ca := &issuingCA{IssuingCA: issuer, roots: pool, self: x509.NewCertPool(), revoked: newRevocationSource(issuer, client, o)}
		ca.self.AddCert(issuer.Certificate)
		t.issuers = append(t.issuers, ca)
	}
	return t, nil
}

// mayTrust checks what roots and issuers have in common.
func (t *Trust) mayTrust(c *x509.Certificate) error {
	switch {
	case !c.IsCA || !c.BasicConstraintsValid:
		return errors.New("it is not a CA's certificate")
	case t.development && !slices.Contains(c.Subject.Organization, developmentOrganisation):
		return fmt.Errorf("a development bundle takes only CAs of a test PKI, and this is %s", c.Subject)
	}
	return nil
}

func (t *Trust) mayIssue(i IssuingCA) error {
	if err := t.mayTrust(i.Certificate); err != nil {
		return err
	}
	switch {
	case i.Name == "" || i.CRL == "":
		return errors.New("name and crl are required")
	case len(i.Policies) == 0:
		return errors.New("policies is empty: without them persons' certificates would be accepted")
	case i.Certificate.KeyUsage&x509.KeyUsageCRLSign == 0:
		return errors.New("the CA may not sign revocation lists")
	case !slices.ContainsFunc(t.roots, func(r *x509.Certificate) bool { return issuedBy(i.Certificate, r) }):
		return errors.New("none of the roots issued it")
	}
	for _, p := range i.Policies {
		if _, err := x509.ParseOID(p); err != nil {
			return fmt.Errorf("policy %q is no OID", p)
		}
	}
	for _, other := range t.issuers {
		if other.Name == i.Name || bytes.Equal(other.Certificate.RawSubjectPublicKeyInfo, i.Certificate.RawSubjectPublicKeyInfo) {
			return fmt.Errorf("it has the name or the key of %q", other.Name)
		}
	}
	return nil
}

func issuedBy(c, parent *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, parent.RawSubject) && c.CheckSignatureFrom(parent) == nil
}

// Development tells whether any trusted CA is one of a test PKI, whatever the bundle says of itself.
func (t *Trust) Development() bool {
	return t.development || slices.ContainsFunc(t.issuers, func(c *issuingCA) bool {
		return slices.Contains(c.Certificate.Subject.Organization, developmentOrganisation)
	})
}

// Verify checks a certificate (the first one; the others are not trusted for anything) and says whom it
// identifies. The error wraps models.ErrUnauthenticated, with a reason for the log. That the caller holds
// the key is for TLS, or for the signature of an assertion, to prove.
func (t *Trust) Verify(presented []*x509.Certificate) (models.Party, error) {
	if len(presented) == 0 {
		return "", refuse("there is no certificate")
	}
	leaf, now := presented[0], t.options.Now()
	v, err := t.chain(leaf, now, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return "", err
	}
	if err := authenticates(leaf); err != nil {
		return "", err
	}
	if !v.issuer.allows(leaf.Policies) {
		return "", refuse("it has no policy that is accepted of " + v.issuer.Name)
	}
	if v.party, err = organisation(leaf, t.options.SEID1); err != nil {
		return "", err
	}
	v.serial = serialKey(leaf.SerialNumber)
	if err := v.issuer.revoked.check(v.serial, now); err != nil {
		return "", err
	}
	t.verified.put(sha256.Sum256(leaf.Raw), v)
	return v.party, nil
}

// Recheck is Verify for every request of a connection, for a connection may outlive its certificate, the
// certificate's revocation list, or the organisation's trust in it. It costs a hash and a look-up.
func (t *Trust) Recheck(presented []*x509.Certificate) (models.Party, error) {
	if len(presented) == 0 {
		return "", refuse("there is no certificate")
	}
	v, known := t.verified.get(sha256.Sum256(presented[0].Raw))
	now := t.options.Now()
	if !known || now.Before(v.notBefore) || now.After(v.notAfter) {
		return t.Verify(presented)
	}
	if err := v.issuer.revoked.check(v.serial, now); err != nil {
		return "", err
	}
	return v.party, nil
}

// chain finds the trusted CA that issued a certificate, and checks signatures, validity, constraints and
// critical extensions up to the root. CAs may share a name, so each one of that name is tried.
func (t *Trust) chain(leaf *x509.Certificate, now time.Time, usage x509.ExtKeyUsage) (verifiedLeaf, error) {
	reason := errors.New("none of the trusted CAs has its issuer's name")
	for _, ca := range t.issuers {
		if !bytes.Equal(leaf.RawIssuer, ca.Certificate.RawSubject) {
			continue
		}
		chains, err := leaf.Verify(x509.VerifyOptions{
			Roots: ca.roots, Intermediates: ca.self, CurrentTime: now,
			KeyUsages: []x509.ExtKeyUsage{usage},
		})
		if err != nil {
			reason = err
			continue
		}
		for _, chain := range chains {
			if len(chain) > 1 && chain[1].Equal(ca.Certificate) {
				return newVerifiedLeaf(ca, chain), nil
			}
		}
	}
	return verifiedLeaf{}, refuse(reason.Error())
}

func (ca *issuingCA) allows(policies []x509.OID) bool {
	return slices.ContainsFunc(policies, func(p x509.OID) bool {
		return slices.ContainsFunc(ca.Policies, func(prefix string) bool { return under(p.String(), prefix) })
	})
}

// ServerConfig is TLS that admits holders of a trusted certificate only. Tickets are disabled and the check
// runs as VerifyConnection, which resumed sessions do not skip. An empty server certificate leaves it to the
// caller to set GetCertificate, as with ServerCertificate.
func (t *Trust) ServerConfig(server tls.Certificate) *tls.Config {
	hints := x509.NewCertPool() // by which clients with many certificates choose
	for _, ca := range t.issuers {
		hints.AddCert(ca.Certificate)
	}
	config := &tls.Config{
		ClientAuth: tls.RequireAnyClientCert, ClientCAs: hints,
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, SessionTicketsDisabled: true,
		VerifyConnection: func(c tls.ConnectionState) error {
			_, err := t.Verify(c.PeerCertificates)
			return err
		},
	}
	if len(server.Certificate) > 0 {
		config.Certificates = []tls.Certificate{server}
	}
	return config
}

// Refresh gets every revocation list once. Those that cannot be had stay as they were.
func (t *Trust) Refresh(ctx context.Context) error {
	failed := make([]error, len(t.issuers))
	var all sync.WaitGroup
	for i, ca := range t.issuers {
		all.Go(func() { failed[i] = ca.revoked.refresh(ctx) })
	}
	all.Wait()
	return errors.Join(failed...)
}

// Run keeps the revocation lists fresh until ctx ends.
func (t *Trust) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, ca := range t.issuers {
		all.Go(func() { ca.revoked.run(ctx) })
	}
	all.Wait()
}

// listClient fetches revocation lists. It follows redirects on the same server only: the address was pinned.
func listClient() *http.Client {
	return &http.Client{
		Timeout: 30 * time.Second,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if first := via[0].URL; r.URL.Scheme != first.Scheme || r.URL.Host != first.Host || len(via) > 3 {
				return errors.New("it redirects elsewhere")
			}
			return nil
		},
	}
}
