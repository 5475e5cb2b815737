package identity

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/formidling/formidling/models"
)

// maxToken bounds what is parsed at all, in bytes.
const maxToken = 16 << 10

// Verifier accepts bearer tokens of its issuers, and client certificates when it knows any.
type Verifier struct {
	issuers      map[string]Issuer
	algorithms   []jose.SignatureAlgorithm // of all issuers
	certificates Certificates              // nil: none is accepted
	now          func() time.Time
	signatures   *signatureCache
}

// NewVerifier accepts tokens of these issuers; now is the clock.
func NewVerifier(now func() time.Time, issuers ...Issuer) (*Verifier, error) {
	v := &Verifier{issuers: map[string]Issuer{}, now: now, signatures: &signatureCache{}}
	for _, i := range issuers {
		if err := i.check(); err != nil {
			return nil, fmt.Errorf("accept issuer %q: %w", i.Name, err)
		}
		if _, twice := v.issuers[i.Name]; twice {
			return nil, fmt.Errorf("accept issuer %q: it is named twice", i.Name)
		}
		v.issuers[i.Name] = i
		v.algorithms = append(v.algorithms, i.Algorithms...)
	}
	return v, nil
}

// WithCertificates returns a verifier that accepts client certificates too.
func (v *Verifier) WithCertificates(c Certificates) *Verifier {
	out := *v
	out.certificates = c
	return &out
}

// Authenticate finds who a request is from, by its bearer token, its client certificate, or both: then the
// token decides, and the certificate must be of the token's holder. The error wraps
// models.ErrUnauthenticated with a reason that goes into the log and not to the caller; or
// models.ErrUnavailable while an issuer's keys have never been seen.
func (v *Verifier) Authenticate(r *http.Request) (models.Caller, error) {
	caller, _, err := v.authenticate(r, false)
	return caller, err
}

// AuthenticateLate is Authenticate, but takes a token that has expired as if it were used in its last moment, and tells
// when that was. It is for what was begun while the token was valid, and for nothing else; expired is zero for a
// credential that Authenticate takes as well.
func (v *Verifier) AuthenticateLate(r *http.Request) (caller models.Caller, expired time.Time, err error) {
	return v.authenticate(r, true)
}

func (v *Verifier) authenticate(r *http.Request, late bool) (models.Caller, time.Time, error) {
	var expired time.Time
	raw, err := bearer(r.Header)
	if err != nil {
		return models.Caller{}, expired, err
	}
	var presented []*x509.Certificate
	if r.TLS != nil {
		presented = r.TLS.PeerCertificates
	}
	holder, err := v.certified(presented)
	if err != nil {
		return models.Caller{}, expired, err
	}
	if raw == "" {
		caller, err := byCertificate(holder, presented)
		return caller, expired, err
	}
	token, err := v.verify(r.Context(), raw, late)
	switch {
	case err != nil:
		return models.Caller{}, expired, err
	case holder != "" && holder != token.caller.Holder():
		return models.Caller{}, expired, refuse("certificate-of-another")
	case token.bound != "" && (holder == "" || Thumbprint(presented[0]) != token.bound):
		return models.Caller{}, expired, refuse("bound-to-another-certificate")
	}
	return token.caller, token.expired, nil
}

// bearer finds the token of a request (RFC 6750, 2.1); empty when the request carries no Authorization.
func bearer(h http.Header) (string, error) {
	switch values := h.Values("Authorization"); len(values) {
	case 0:
		return "", nil
	case 1:
		scheme, raw, _ := strings.Cut(values[0], " ")
		if raw = strings.TrimSpace(raw); raw != "" && strings.EqualFold(scheme, "Bearer") {
			return raw, nil
		}
		return "", refuse("not-a-bearer-token")
	default:
		return "", refuse("several-credentials") // a proxy may have looked at the other
	}
}

// certified is the organisation of the connection's client certificate; empty when there is none. It is
// looked at for each request, because a connection may live longer than the certificate.
func (v *Verifier) certified(presented []*x509.Certificate) (models.Party, error) {
	if len(presented) == 0 {
		return "", nil
	}
	if v.certificates == nil {
		return "", refuse("certificates-not-accepted")
	}
	holder, err := v.certificates.Recheck(presented)
	if err != nil {
		return "", fmt.Errorf("check client certificate: %w", err)
	}
	return holder, nil
}

func byCertificate(holder models.Party, presented []*x509.Certificate) (models.Caller, error) {
	if holder == "" {
		return models.Caller{}, refuse("no-credential")
	}
	return models.Caller{
		Party: holder, Scopes: models.AllScopes(),
		Credential: models.Credential{Method: models.LoginCertificate, Thumbprint: Thumbprint(presented[0])},
	}, nil
}

// verified is what a token says.
type verified struct {
	caller  models.Caller
	bound   string    // thumbprint of the certificate to which the token is bound, if it is
	expired time.Time // when it did, if it did
}

// verify checks a token: form, issuer, signature, audience, life time. A late token may have expired.
func (v *Verifier) verify(ctx context.Context, raw string, late bool) (verified, error) {
	if len(raw) > maxToken {
		return verified{}, refuse("too-long")
	}
	token, err := jwt.ParseSigned(raw, v.algorithms)
	if err != nil || len(token.Headers) != 1 {
		return verified{}, refuse("not-a-signed-token")
	}
	var unverified struct {
		Issuer string `json:"iss"`
	}
	if err := token.UnsafeClaimsWithoutVerification(&unverified); err != nil {
		return verified{}, refuse("claims-unreadable")
	}
	issuer, known := v.issuers[unverified.Issuer]
	if !known {
		return verified{}, refuse("issuer-not-accepted")
	}
	c, err := issuer.claims(ctx, token, sha256.Sum256([]byte(raw)), v.signatures)
	if err != nil {
		return verified{}, err
	}
	if !c.Audience.Contains(issuer.Audience) {
		return verified{}, refuse("audience-not-ours")
	}
	var out verified
	at := v.now()
	if late && c.Expiry != nil && !at.Before(c.Expiry.Time()) {
		out.expired = c.Expiry.Time()
		at = out.expired.Add(-time.Second)
	}
	if err := checkTimes(c.Claims, at); err != nil {
		return verified{}, err
	}
	if out.bound, err = c.boundTo(); err != nil {
		return verified{}, err
	}
	out.caller, err = issuer.caller(c)
	return out, err
}

// claims verifies the header and the signature, with the issuer's own algorithms and keys only. A signature is computed
// once for each token and key.
func (i Issuer) claims(ctx context.Context, token *jwt.JSONWebToken, sum [sha256.Size]byte, checked *signatureCache) (claims, error) {
	header := token.Headers[0]
	if err := i.checkHeader(header); err != nil {
		return claims{}, err
	}
	algorithm := jose.SignatureAlgorithm(header.Algorithm)
	if !slices.Contains(i.Algorithms, algorithm) {
		return claims{}, refuse("algorithm-not-the-issuers")
	}
	keys, err := i.Keys.Key(ctx, header.KeyID)
	if err != nil {
		return claims{}, fmt.Errorf("verify token of %s: %w", i.Name, err)
	}
	if len(keys) == 0 {
		return claims{}, refuse("key-unknown")
	}
	for _, key := range keys {
		if !verifies(key, algorithm) {
			continue
		}
		var verified json.RawMessage
		if checked.has(sum, key.Key) {
			err = token.UnsafeClaimsWithoutVerification(&verified)
		} else if err = token.Claims(key.Key, &verified); err == nil {
			checked.add(sum, key.Key)
		}
		if err != nil {
			continue
		}
		var c claims
		if json.Unmarshal(verified, &c) != nil {
			return claims{}, refuse("claims-malformed")
		}
		return c, nil
	}
	return claims{}, refuse("signature-wrong")
}
