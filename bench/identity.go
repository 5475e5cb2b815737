package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/identity/testpki"
	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

const (
	loginRepeats   = 500
	verifyTarget   = 0.2 // ms, p50
	exchangeTarget = 2.0 // ms, p50
	loginIssuer    = "http://127.0.0.1:1"
)

// logins is what the measurements of identity share.
type logins struct {
	verifier *identity.Verifier
	exchange *identity.TokenExchange
	trust    *identity.Trust
	rsa, ec  tls.Certificate
}

// login measures how long it takes to know who a request is from, and to sell a token on PostgreSQL.
func login(ctx context.Context, l *lab) (result, error) {
	pg, err := testenv.StartPostgres() //nolint:contextcheck // it has a limit of its own
	if err != nil {
		return result{}, err
	}
	defer pg.Stop()
	s, err := store.Open(pg.URL("postgres"), store.Options{})
	if err != nil {
		return result{}, err
	}
	defer func() { _ = s.Close() }()
	if err := s.Migrate(ctx); err != nil {
		return result{}, err
	}
	x, err := newLogins(l, s) //nolint:contextcheck // reads files only: the lists of a test PKI lie beside it
	if err != nil {
		return result{}, err
	}
	t := table{title: "in this process, against PostgreSQL where it says so; ms", columns: []string{"", "p50", "p99"}}
	var figures []float64
	var tokens []string
	used := 0
	rsa, err := x.sign(x.rsa, jose.RS256)
	if err != nil {
		return result{}, err
	}
	ec, err := x.sign(x.ec, jose.ES256)
	if err != nil {
		return result{}, err
	}
	for _, m := range []struct {
		name string
		do   func() error
	}{
		{"token exchange, certificate RSA 3072, PostgreSQL", func() error { one, err := x.buy(ctx, &rsa); tokens = append(tokens, one); return err }},
		{"token exchange, certificate P-256, PostgreSQL", func() error { one, err := x.buy(ctx, &ec); tokens = append(tokens, one); return err }},
		{"token verification", func() error { used++; return x.authenticate(ctx, "Bearer "+tokens[len(tokens)-used], nil) }},
		{"certificate of a live connection", func() error { return x.authenticate(ctx, "", []*x509.Certificate{x.ec.Leaf}) }},
		{"token verification, of one that was seen before", func() error { return x.authenticate(ctx, "Bearer "+tokens[len(tokens)-1], nil) }},
		{"certificate of a new connection, RSA 3072", func() error { _, err := x.trust.Verify([]*x509.Certificate{x.rsa.Leaf}); return err }},
	} {
		took, err := timed(m.do)
		if err != nil {
			return result{}, fmt.Errorf("%s: %w", m.name, err)
		}
		t.add(m.name, took.quantile(0.5), took.quantile(0.99))
		figures = append(figures, took.quantile(0.5))
	}
	r := result{Tables: []table{t}}
	r.Targets = []target{
		atMost("token verification, p50", figures[2], verifyTarget, "ms"),
		atMost("token exchange with an RSA certificate on PostgreSQL, p50", figures[0], exchangeTarget, "ms"),
	}
	return r, nil
}

func timed(do func() error) (sample, error) {
	var took sample
	for i := range loginRepeats + 20 {
		from := time.Now()
		if err := do(); err != nil {
			return nil, err
		}
		if i >= 20 { // the first ones warm
			took = append(took, millis(time.Since(from)))
		}
	}
	return took, nil
}

func newLogins(l *lab, s *store.Store) (*logins, error) {
	dir := filepath.Join(l.tmp, "pki")
	pki, err := testpki.Open(dir, time.Now())
	if err != nil {
		return nil, err
	}
	x := &logins{}
	if x.ec, err = pki.Enrol("310000027"); err != nil {
		return nil, err
	}
	if x.rsa, err = pki.Organisation("310000035", pki.RSA()); err != nil {
		return nil, err
	}
	if x.trust, err = identity.LoadTrust(filepath.Join(dir, "trust.json"), identity.TrustOptions{}); err != nil {
		return nil, err
	}
	keys, err := identity.MakeTokenKeys(filepath.Join(dir, "token-keys.json"))
	if err != nil {
		return nil, err
	}
	issuer, err := identity.NewTokenIssuer(identity.TokenIssuerOptions{Name: loginIssuer, Audience: loginIssuer, Keys: keys, Now: time.Now})
	if err != nil {
		return nil, err
	}
	x.exchange = &identity.TokenExchange{Issuer: issuer, Audiences: []string{loginIssuer}, Certificates: x.trust, Clients: s, Assertions: s, Registry: s}
	v, err := identity.NewVerifier(time.Now, issuer.Issuer())
	if err == nil {
		x.verifier = v.WithCertificates(x.trust)
	}
	return x, err
}

// sign makes as many assertions as are needed beforehand: that is the client's work.
func (x *logins) sign(c tls.Certificate, algorithm jose.SignatureAlgorithm) ([]string, error) {
	who, err := identity.Organisation(c.Leaf)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: c.PrivateKey}, (&jose.SignerOptions{}).WithHeader("x5c", c.Certificate))
	if err != nil {
		return nil, err
	}
	now := time.Now().Unix()
	out := make([]string, loginRepeats+20)
	for i := range out {
		out[i], err = jwt.Signed(signer).Claims(map[string]any{
			"iss": who, "aud": loginIssuer, "scope": strings.Join(models.AllScopes(), " "), "jti": rand.Text(), "iat": now, "exp": now + 120,
		}).Serialize()
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// buy exchanges the next assertion.
func (x *logins) buy(ctx context.Context, assertions *[]string) (string, error) {
	next := (*assertions)[0]
	*assertions = (*assertions)[1:]
	answer, err := x.exchange.Exchange(ctx, identity.TokenRequest{GrantType: identity.GrantJWTBearer, Assertion: next})
	return answer.AccessToken, err
}

func (x *logins) authenticate(ctx context.Context, authorization string, presented []*x509.Certificate) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
	if err != nil {
		return err
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	if presented != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: presented}
	}
	_, err = x.verifier.Authenticate(r)
	return err
}
