package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/identity/testpki"
)

// logins is how organisations prove to this process who they are.
type logins struct {
	verifier *identity.Verifier
	trust    *identity.Trust         // nil: no certificates are accepted
	exchange *identity.TokenExchange // nil: no token endpoint
	server   *tls.Config             // of the listener for certificates; nil: there is none
}

// newLogins follows the configuration. Without one it makes a PKI and an issuer for this machine only.
func (p *parts) newLogins(ctx context.Context) (*logins, error) {
	c, l := p.config, &logins{}
	issuers, err := p.externalIssuers()
	if err == nil {
		err = p.openTrust(ctx, l)
	}
	if err == nil && (c.TokenKeys != "" || c.development()) {
		err = p.openExchange(l)
	}
	if err != nil {
		return nil, err
	}
	if l.exchange != nil {
		issuers = append(issuers, l.exchange.Issuer.Issuer())
	}
	if l.verifier, err = identity.NewVerifier(p.now, issuers...); err != nil {
		return nil, err
	}
	if l.trust != nil {
		l.verifier = l.verifier.WithCertificates(l.trust)
	}
	return l, nil
}

func (p *parts) externalIssuers() ([]identity.Issuer, error) {
	c := p.config
	if !c.development() {
		if c.Issuers == "" {
			return nil, nil
		}
		return identity.ReadIssuers(c.Issuers, p.now, p.log)
	}
	if err := c.requireLoopback(); err != nil {
		return nil, err
	}
	dev, err := identity.OpenDevIssuer(c.Data, p.now)
	if err != nil {
		return nil, err
	}
	return []identity.Issuer{dev.Issuer()}, nil
}

// requireLoopback refuses every address of ours that another machine could reach.
func (c config) requireLoopback() error {
	if err := identity.RequireLoopback(c.Listen, c.PublicURL); err != nil || c.MTLSListen == "" {
		return err
	}
	return identity.RequireLoopback(c.MTLSListen, c.MTLSURL)
}

// pkiDirectory is where the development PKI lies.
func (c config) pkiDirectory() string { return filepath.Join(c.Data, "pki") }

// openTrust loads whom to trust, and what the listener for certificates needs.
func (p *parts) openTrust(ctx context.Context, l *logins) error {
	c := p.config
	bundle, certificate, key := c.Trust, c.MTLSCertificate, c.MTLSKey
	if c.development() {
		if c.MTLSListen == "" {
			return nil
		}
		pki, err := testpki.Open(c.pkiDirectory(), p.now())
		if err != nil {
			return err
		}
		if err := pki.KeepServer("localhost", "127.0.0.1", "::1"); err != nil {
			return err
		}
		for _, number := range testpki.Organisations {
			if _, err := pki.Enrol(number); err != nil {
				return err
			}
		}
		bundle = filepath.Join(c.pkiDirectory(), "trust.json")
		certificate = filepath.Join(c.pkiDirectory(), "server.pem")
		key = certificate
	}
	if bundle == "" {
		return nil
	}
	var err error
	options := identity.TrustOptions{SEID1: c.SEID1, Grace: c.CRLGrace, Now: p.now, Log: p.log}
	l.trust, err = identity.LoadTrust(bundle, options) //nolint:contextcheck // it reads files only; Refresh fetches
	if err != nil {
		return err
	}
	if l.trust.Development() {
		if err := c.requireLoopback(); err != nil {
			return fmt.Errorf("FORMIDLING_TRUST names a development PKI: %w", err)
		}
	}
	if err := l.trust.Refresh(ctx); err != nil { // its certificates are refused until the list comes
		p.log.WarnContext(ctx, "revocation lists not complete yet", "error", err.Error())
	}
	if c.MTLSListen == "" {
		return nil
	}
	server, err := identity.LoadServerCertificate(certificate, key, p.log)
	if err != nil {
		return fmt.Errorf("FORMIDLING_MTLS_CERTIFICATE: %w", err)
	}
	l.server = l.trust.ServerConfig(tls.Certificate{})
	l.server.GetCertificate = server.Get
	return nil
}

// openExchange prepares the token endpoint.
func (p *parts) openExchange(l *logins) error {
	c := p.config
	open, file := identity.OpenTokenKeys, c.TokenKeys
	if c.development() {
		open, file = identity.MakeTokenKeys, filepath.Join(c.Data, "token-keys.json")
	}
	keys, err := open(file)
	if err != nil {
		return err
	}
	issuer, err := identity.NewTokenIssuer(identity.TokenIssuerOptions{
		Name: c.PublicURL, Audience: c.PublicURL, MTLS: c.MTLSURL, Keys: keys, Now: p.now,
	})
	if err != nil {
		return err
	}
	l.exchange = &identity.TokenExchange{
		Issuer: issuer, Audiences: append([]string{c.PublicURL, c.PublicURL + "/"}, c.TokenAudiences...),
		Clients: p.store, Assertions: p.store, Registry: p.store,
	}
	if l.trust != nil {
		l.exchange.Certificates = l.trust
	}
	return nil
}
