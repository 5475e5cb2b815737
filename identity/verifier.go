// Package identity turns a request's credential into a models.Caller: the organisation that the
// credential names, and nothing that the request says about itself.
package identity

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/formidling/formidling/models"
)

// maxToken bounds what is parsed at all, in bytes.
const maxToken = 16 << 10

// authority is what Maskinporten writes beside an organisation number: ISO 6523.
const authority = "iso6523-actorid-upis"

// Issuer is somebody whose tokens are accepted.
type Issuer struct {
	Name       string // exactly the claim iss
	Audience   string // must be among aud
	Algorithms []jose.SignatureAlgorithm
	Keys       jose.JSONWebKeySet // public keys; they never verify another issuer's tokens
}

// Verifier accepts bearer tokens of its issuers.
type Verifier struct {
	issuers    map[string]Issuer
	algorithms []jose.SignatureAlgorithm
	now        func() time.Time
}

// NewVerifier accepts tokens of these issuers; now is the clock.
func NewVerifier(now func() time.Time, issuers ...Issuer) (*Verifier, error) {
	v := &Verifier{issuers: map[string]Issuer{}, now: now}
	for _, i := range issuers {
		switch {
		case i.Name == "" || i.Audience == "":
			return nil, errors.New("accept issuer: name and audience are required")
		case len(i.Keys.Keys) == 0 || len(i.Algorithms) == 0:
			return nil, fmt.Errorf("accept issuer %s: it has no keys or no algorithms", i.Name)
		}
		for _, k := range i.Keys.Keys {
			if !k.Valid() || !k.IsPublic() {
				return nil, fmt.Errorf("accept issuer %s: key %q is not a valid public key", i.Name, k.KeyID)
			}
		}
		v.issuers[i.Name] = i
		v.algorithms = append(v.algorithms, i.Algorithms...)
	}
	return v, nil
}

// claims are what is read of a token, in Maskinporten's shape.
type claims struct {
	jwt.Claims
	Scope    string `json:"scope"`
	Consumer struct {
		Authority string `json:"authority"`
		ID        string `json:"ID"`
	} `json:"consumer"`
}

// Authenticate verifies the bearer token of a request: signature, issuer, audience, life time. The
// error wraps models.ErrUnauthenticated with a reason for the log; the caller is not told the reason.
func (v *Verifier) Authenticate(r *http.Request) (models.Caller, error) {
	if len(r.Header.Values("Authorization")) > 1 {
		return models.Caller{}, refuse("there is more than one credential") // a proxy may have looked at the other
	}
	scheme, raw, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return models.Caller{}, refuse("there is no bearer token")
	}
	return v.verify(strings.TrimSpace(raw))
}

func (v *Verifier) verify(raw string) (models.Caller, error) {
	if len(raw) > maxToken {
		return models.Caller{}, refuse("the token is too long")
	}
	token, err := jwt.ParseSigned(raw, v.algorithms)
	if err != nil || len(token.Headers) != 1 {
		return models.Caller{}, refuse("it is not a signed token")
	}
	var unverified jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&unverified); err != nil {
		return models.Caller{}, refuse("its claims cannot be read")
	}
	issuer, known := v.issuers[unverified.Issuer]
	if !known {
		return models.Caller{}, refuse("its issuer is not accepted")
	}
	c, err := issuer.claims(token)
	if err != nil {
		return models.Caller{}, err
	}
	expected := jwt.Expected{Issuer: issuer.Name, AnyAudience: jwt.Audience{issuer.Audience}, Time: v.now()}
	if err := c.ValidateWithLeeway(expected, 0); err != nil {
		return models.Caller{}, refuse(err.Error())
	}
	if c.Expiry == nil {
		return models.Caller{}, refuse("it never expires")
	}
	party, err := models.ParseParty(c.Consumer.ID)
	if err != nil || c.Consumer.Authority != authority {
		return models.Caller{}, refuse("it names no organisation")
	}
	return models.Caller{Party: party, Scopes: strings.Fields(c.Scope)}, nil
}

// claims verifies the signature with the issuer's own keys only.
func (i Issuer) claims(token *jwt.JSONWebToken) (claims, error) {
	header := token.Headers[0]
	for _, algorithm := range i.Algorithms {
		if string(algorithm) != header.Algorithm {
			continue
		}
		for _, key := range i.Keys.Key(header.KeyID) {
			var c claims
			if err := token.Claims(key.Key, &c); err == nil {
				return c, nil
			}
		}
		return claims{}, refuse("its signature is not by a key of its issuer")
	}
	return claims{}, refuse("its algorithm is not its issuer's")
}

// refuse keeps the reason for the log, behind the one error that the caller sees.
func refuse(reason string) error {
	return fmt.Errorf("%w (%s)", models.ErrUnauthenticated, reason)
}
