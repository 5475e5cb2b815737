package identity

import (
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/formidling/formidling/models"
)

// What Maskinporten writes into tokens.
const (
	authority      = "iso6523-actorid-upis"  // beside an organisation number: ISO 6523
	typeSystemUser = "urn:altinn:systemuser" // in authorization_details (RFC 9396)
	amrCertificate = "virksomhetssertifikat" // client_amr: the assertion was signed with an enterprise certificate
	amrKey         = "private_key_jwt"       // client_amr: with a registered key
	typJWT         = "jwt"                   // RFC 7519, 5.1
	typAccessToken = "at+jwt"                // RFC 9068, 2.1
	thumbprintS256 = "x5t#S256"              // the one member of cnf that we know (RFC 8705, 3.1)
	maxAhead       = 10 * time.Second        // how far the clock of an honest party may be ahead of ours
)

// claims are what is read of an access token and written into our own, in Maskinporten's shape.
type claims struct {
	jwt.Claims
	Scope                string             `json:"scope,omitempty"`
	Consumer             *organisationClaim `json:"consumer,omitempty"`
	Supplier             *organisationClaim `json:"supplier,omitempty"`
	DelegationSource     string             `json:"delegation_source,omitempty"`
	AuthorizationDetails []json.RawMessage  `json:"authorization_details,omitempty"`
	ClientAMR            string             `json:"client_amr,omitempty"`
	ClientID             string             `json:"client_id,omitempty"`
	// Confirmation binds the token to a client certificate (RFC 7800, RFC 8705).
	Confirmation map[string]any `json:"cnf,omitempty"`
	// Thumbprint is ours alone: what the assertion was signed with, as in models.Credential.
	Thumbprint string `json:"credential_thumbprint,omitempty"`
}

// organisationClaim is how tokens name one.
type organisationClaim struct {
	Authority string `json:"authority"`
	ID        string `json:"ID"`
}

func organisationOf(p models.Party) *organisationClaim {
	return &organisationClaim{Authority: authority, ID: string(p)}
}

func (o *organisationClaim) party() (models.Party, error) {
	if o == nil || o.Authority != authority {
		return "", refuse("organisation-missing")
	}
	p, err := models.ParseParty(o.ID)
	if err != nil {
		return "", refuse("organisation-malformed")
	}
	return p, nil
}

// systemUser is an element of authorization_details: the vendor's system acts for an organisation.
type systemUser struct {
	Type         string             `json:"type"`
	Organisation *organisationClaim `json:"systemuser_org"`
	ID           jwt.Audience       `json:"systemuser_id"` // one or a list; Maskinporten writes a list
}

// systemUser finds the element that names a system user; nil when there is none. Elements of other types
// mean nothing here and may have any shape.
func (c claims) systemUser() (*systemUser, error) {
	var found *systemUser
	for _, raw := range c.AuthorizationDetails {
		var kind struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(raw, &kind); err != nil {
			return nil, refuse("authorization-details-malformed")
		}
		if kind.Type != typeSystemUser {
			continue
		}
		if found != nil {
			return nil, refuse("several-system-users")
		}
		found = &systemUser{}
		if err := json.Unmarshal(raw, found); err != nil {
			return nil, refuse("authorization-details-malformed")
		}
	}
	return found, nil
}

// principal reads for whom the token's holder acts: the organisation of a system user, else the consumer
// beside a supplier, else the holder itself; then there is no supplier.
func (c claims) principal() (party, supplier models.Party, err error) {
	if party, err = c.Consumer.party(); err != nil {
		return "", "", err
	}
	user, err := c.systemUser()
	switch {
	case err != nil:
		return "", "", err
	case user != nil && c.Supplier != nil:
		return "", "", refuse("two-delegations") // it is unclear whose credential it is
	case user != nil:
		supplier = party
		if party, err = user.Organisation.party(); err != nil {
			return "", "", err
		}
	case c.Supplier != nil:
		if supplier, err = c.Supplier.party(); err != nil {
			return "", "", err
		}
	}
	if supplier == party {
		supplier = ""
	}
	return party, supplier, nil
}

// caller is who an issuer's verified claims say it is.
func (i Issuer) caller(c claims) (models.Caller, error) {
	party, supplier, err := c.principal()
	if err != nil {
		return models.Caller{}, err
	}
	if supplier != "" && !i.own && !i.MayStateDelegation {
		return models.Caller{}, refuse("delegation-not-permitted")
	}
	out := models.Caller{
		Party: party, Supplier: supplier, DelegationStated: supplier != "" && !i.own, Scopes: i.scopes(c.Scope),
		Credential: models.Credential{Method: models.LoginExternalToken, Issuer: i.Name},
	}
	if !i.own {
		return out, nil
	}
	out.Credential.Thumbprint = c.Thumbprint
	switch c.ClientAMR {
	case amrCertificate:
		out.Credential.Method = models.LoginCertificateToken
	case amrKey:
		out.Credential.Method = models.LoginKeyToken
	default:
		return models.Caller{}, refuse("login-method-unknown")
	}
	return out, nil
}

// checkTimes refuses what has ended, what never ends and what has not begun (RFC 7519, 4.1.4 to 4.1.6). A
// life that ends is not stretched; a clock ahead of ours is.
func checkTimes(c jwt.Claims, now time.Time) error {
	soon := now.Add(maxAhead)
	switch {
	case c.Expiry == nil:
		return refuse("never-expires")
	case !now.Before(c.Expiry.Time()):
		return refuse("expired")
	case c.NotBefore != nil && soon.Before(c.NotBefore.Time()):
		return refuse("not-yet-valid")
	case c.IssuedAt != nil && soon.Before(c.IssuedAt.Time()):
		return refuse("issued-in-the-future")
	}
	return nil
}

// boundTo is the thumbprint of the client certificate that alone may carry the token; empty for a token
// that anybody may carry. What else a token may be bound to we cannot check, so it is refused.
func (c claims) boundTo() (string, error) {
	if c.Confirmation == nil {
		return "", nil
	}
	thumbprint, ok := c.Confirmation[thumbprintS256].(string)
	if !ok || thumbprint == "" || len(c.Confirmation) != 1 {
		return "", refuse("binding-unknown")
	}
	return thumbprint, nil
}

// checkHeader refuses extensions that must be understood (RFC 7515, 4.1.11) and tokens of another type
// (RFC 8725, 3.11). Keys and addresses in a header are never used for anything.
func (i Issuer) checkHeader(h jose.Header) error {
	if _, critical := h.ExtraHeaders["crit"]; critical {
		return refuse("critical-header")
	}
	typ, ok := mediaType(h)
	accepted := []string{"", typJWT, typAccessToken}
	if i.own {
		accepted = []string{typAccessToken}
	}
	if !ok || !slices.Contains(accepted, typ) {
		return refuse("type-not-accepted")
	}
	return nil
}

// mediaType reads the header typ, whose "application/" may be left out (RFC 7515, 4.1.9).
func mediaType(h jose.Header) (string, bool) {
	value, present := h.ExtraHeaders[jose.HeaderType]
	if !present {
		return "", true
	}
	text, ok := value.(string)
	return strings.TrimPrefix(strings.ToLower(text), "application/"), ok && text != ""
}
