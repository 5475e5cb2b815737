package models

import (
	"slices"
	"time"
)

// Client is a key set that an organisation registered, to sign assertions with instead of its certificate.
type Client struct {
	ID           string `gorm:"primaryKey"`
	Organisation Party
	Name         string
	Keys         string // JSON Web Key Set, public keys only
	Version      int64
	Created      time.Time
	Expires      time.Time // at most MaxClientLife after Created
}

// Audited implements Audited.
func (c Client) Audited() map[string]any {
	return map[string]any{"clientId": c.ID, "name": c.Name, "jwks": c.Keys, "expires": c.Expires}
}

// Check tells what is wrong with the client; its keys are looked at by who knows keys.
func (c Client) Check() error {
	var k checker
	k.text("name", c.Name, MaxName)
	k.clean("jwks", c.Keys)
	return Invalid(k.found)
}

// MaxClientLife is how long registered keys may be used, as with Maskinporten.
const MaxClientLife = 366 * 24 * time.Hour

// CredentialLock says which credentials alone act for an organisation. Without one, every valid credential does.
type CredentialLock struct {
	Organisation Party    `gorm:"primaryKey"`
	Certificates []string `gorm:"serializer:json"` // x5t#S256 of certificates
	Keys         []string `gorm:"serializer:json"` // RFC 7638 thumbprints of registered keys
	Issuers      []string `gorm:"serializer:json"` // names of external issuers
	Version      int64
	Updated      time.Time
}

// Audited implements Audited.
func (l CredentialLock) Audited() map[string]any {
	return map[string]any{"certificates": l.Certificates, "keys": l.Keys, "issuers": l.Issuers}
}

// Allows tells whether a credential may act for the organisation of the lock.
func (l CredentialLock) Allows(c Credential) bool {
	switch c.Method {
	case LoginCertificate, LoginCertificateToken:
		return slices.Contains(l.Certificates, c.Thumbprint)
	case LoginKeyToken:
		return slices.Contains(l.Keys, c.Thumbprint)
	case LoginExternalToken:
		return slices.Contains(l.Issuers, c.Issuer)
	}
	return false
}
