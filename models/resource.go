package models

import (
	"fmt"
	"slices"
	"time"
)

// Limits and defaults of a service's policy (docs/reference/altinn-broker.md 1.5, 2.6).
const (
	MaxFileSizeLimit     int64 = 1_677_721_600_000 // bytes: 32 MiB x 50,000
	DefaultTimeToLive          = 30 * 24 * time.Hour
	MaxTimeToLive              = 365 * 24 * time.Hour
	DefaultGrace               = 2 * time.Hour
	MaxGrace                   = 24 * time.Hour
	MaxRecipientsLimit         = 20_000
	maxAcceptedSuppliers       = 1000
)

// ServiceOwner is an organisation that administers services of its own.
type ServiceOwner struct {
	Organisation Party `gorm:"primaryKey"`
	Name         string
	Created      time.Time
}

// Audited implements Audited.
func (o ServiceOwner) Audited() map[string]any { return map[string]any{"name": o.Name} }

// Resource is a broker service with its policy. It belongs for ever to the organisation that made it.
type Resource struct {
	ID                  string `gorm:"primaryKey"`
	Owner               Party
	MaxFileSize         int64         // bytes
	TimeToLive          time.Duration // from initialize to expiry
	PurgeAfterConfirmed bool
	Grace               time.Duration // from the last confirmation to the purge; 0 purges at once
	RequiredParty       Party         // empty: none
	UseManifestShim     bool          // kept for clients that send it; has no effect
	ServiceCode         string
	EditionCode         int32

	MaxRecipients          int            // of one transfer; 0: as many as the installation allows
	RecipientsSeeEachOther bool           // else a recipient sees itself only
	LoginMethods           []LoginMethod  `gorm:"serializer:json"` // empty: all
	VirusScan              VirusScan      // of every file before it is published
	Suppliers              SupplierPolicy // who may act for senders and recipients
	AcceptedSuppliers      []Party        `gorm:"serializer:json"` // for SuppliersListed
	Closed                 *time.Time     // nil: new transfers are taken
	ComputeMD5             bool           `gorm:"column:compute_md5"` // of every file, beside SHA-256

	ConfirmationReminders []time.Duration `gorm:"serializer:json"` // before expiry, to who has not confirmed; the longest first

	Version int64 // of the audit entry that wrote the policy
	Created time.Time
	Updated time.Time
}

// SupplierPolicy says which suppliers a service accepts. A supplier always needs a delegation, too.
type SupplierPolicy string

// The policies about suppliers.
const (
	SuppliersAny    SupplierPolicy = "any"
	SuppliersNone   SupplierPolicy = "none"
	SuppliersListed SupplierPolicy = "listed"
)

// VirusScan says whether files are scanned before they are published.
type VirusScan string

// Scanning is off unless the service asks for it.
const (
	ScanOff      VirusScan = "off"
	ScanRequired VirusScan = "required"
)

// ResourcePatch is what a service owner asks to change; nil means leave as it is.
type ResourcePatch struct {
	MaxFileSize         *int64
	TimeToLive          *string // ISO 8601
	PurgeAfterConfirmed *bool
	Grace               *string // ISO 8601
	UseManifestShim     *bool
	ServiceCode         *string
	EditionCode         *int32
	RequiredParty       *string // empty disables

	MaxRecipients          *int // 0: as many as the installation allows
	RecipientsSeeEachOther *bool
	LoginMethods           *[]string
	VirusScan              *string
	Suppliers              *string
	AcceptedSuppliers      *[]string
	Closed                 *bool
	ComputeMD5             *bool

	ConfirmationReminders *[]string // ISO 8601
}

// OfReference tells that the patch changes nothing but what Altinn's clients know, who send no conditions.
func (p ResourcePatch) OfReference() bool {
	return p.MaxRecipients == nil && p.RecipientsSeeEachOther == nil && p.LoginMethods == nil && p.VirusScan == nil &&
		p.Suppliers == nil && p.AcceptedSuppliers == nil && p.Closed == nil && p.ComputeMD5 == nil && p.ConfirmationReminders == nil
}

// NewResource returns a service with the default policy.
func NewResource(id string, owner Party) Resource {
	return Resource{
		ID: id, Owner: owner, MaxFileSize: MaxFileSizeLimit, TimeToLive: DefaultTimeToLive,
		PurgeAfterConfirmed: true, Grace: DefaultGrace, LoginMethods: []LoginMethod{},
		VirusScan: ScanOff, Suppliers: SuppliersAny, AcceptedSuppliers: []Party{},
		ConfirmationReminders: []time.Duration{}, ComputeMD5: true,
	}
}

// Apply returns the policy with the patch's fields in place, or the error of the first bad field.
// Rules and codes are Altinn's (docs/reference/altinn-broker.md 1.5), but we refuse durations below zero.
func (r Resource) Apply(p ResourcePatch, now time.Time) (Resource, error) {
	steps := []func(*Resource, ResourcePatch) error{applySize, applyTimeToLive, applyGrace, applyShim, applyRequiredParty, applyParties, applyLogin, applyScan, applySuppliers, applyReminders}
	for _, step := range steps {
		if err := step(&r, p); err != nil {
			return Resource{}, err
		}
	}
	if p.PurgeAfterConfirmed != nil {
		r.PurgeAfterConfirmed = *p.PurgeAfterConfirmed
	}
	if p.ComputeMD5 != nil {
		r.ComputeMD5 = *p.ComputeMD5
	}
	switch {
	case p.Closed == nil:
	case !*p.Closed:
		r.Closed = nil
	case r.Closed == nil:
		r.Closed = &now
	}
	return r, nil
}

func applySize(r *Resource, p ResourcePatch) error {
	if p.MaxFileSize == nil {
		return nil
	}
	switch n := *p.MaxFileSize; {
	case n < 0:
		return ErrMaxSizeNegative
	case n == 0:
		return ErrMaxSizeZero
	case n > MaxFileSizeLimit:
		return ErrMaxSizeTooLarge.Exceeded(MaxFileSizeLimit, n)
	default:
		r.MaxFileSize = n
	}
	return nil
}

func applyTimeToLive(r *Resource, p ResourcePatch) error {
	if p.TimeToLive == nil {
		return nil
	}
	d, err := ParseDuration(*p.TimeToLive)
	if err != nil || d <= 0 {
		return ErrTTLFormat
	}
	if d > MaxTimeToLive {
		return ErrTTLTooLong
	}
	r.TimeToLive = d
	return nil
}

func applyGrace(r *Resource, p ResourcePatch) error {
	if p.Grace == nil {
		return nil
	}
	d, err := ParseDuration(*p.Grace)
	if err != nil || d < 0 {
		return ErrGraceFormat
	}
	if d > MaxGrace {
		return ErrGraceTooLong
	}
	r.Grace = d
	return nil
}

func applyShim(r *Resource, p ResourcePatch) error {
	if p.ServiceCode != nil {
		if len(*p.ServiceCode) > 7 {
			return InvalidField("externalServiceCodeLegacy", "The field ExternalServiceCodeLegacy must be a string with a maximum length of 7.")
		}
		if err := CheckText("externalServiceCodeLegacy", *p.ServiceCode); err != nil {
			return err
		}
		r.ServiceCode = *p.ServiceCode
	}
	if p.EditionCode != nil {
		r.EditionCode = *p.EditionCode
	}
	if p.UseManifestShim != nil {
		r.UseManifestShim = *p.UseManifestShim
	}
	if r.UseManifestShim && (r.ServiceCode == "" || r.EditionCode == 0) {
		return ErrManifestShimCodes
	}
	return nil
}

func applyRequiredParty(r *Resource, p ResourcePatch) error {
	if p.RequiredParty == nil {
		return nil
	}
	if *p.RequiredParty == "" {
		r.RequiredParty = ""
		return nil
	}
	party, err := ParseRegistered("requiredParty", *p.RequiredParty) // Altinn's clients send the bare number too
	if err != nil {
		return err
	}
	r.RequiredParty = party
	return nil
}

func applyParties(r *Resource, p ResourcePatch) error {
	if p.RecipientsSeeEachOther != nil {
		r.RecipientsSeeEachOther = *p.RecipientsSeeEachOther
	}
	if p.MaxRecipients == nil {
		return nil
	}
	if *p.MaxRecipients < 0 || *p.MaxRecipients > MaxRecipientsLimit {
		return InvalidField("maxRecipients", fmt.Sprintf("maxRecipients must be between 0 and %d; 0 stands for as many as the installation allows.", MaxRecipientsLimit))
	}
	r.MaxRecipients = *p.MaxRecipients
	return nil
}

func applyLogin(r *Resource, p ResourcePatch) error {
	if p.LoginMethods == nil {
		return nil
	}
	r.LoginMethods = []LoginMethod{}
	for _, given := range *p.LoginMethods {
		m := LoginMethod(given)
		if !slices.Contains(LoginMethods(), m) {
			return InvalidField("loginMethods", fmt.Sprintf("A login method must be one of %v.", LoginMethods()))
		}
		if !slices.Contains(r.LoginMethods, m) {
			r.LoginMethods = append(r.LoginMethods, m)
		}
	}
	return nil
}

func applyScan(r *Resource, p ResourcePatch) error {
	if p.VirusScan == nil {
		return nil
	}
	r.VirusScan = VirusScan(*p.VirusScan)
	if r.VirusScan != ScanOff && r.VirusScan != ScanRequired {
		return InvalidField("virusScan", "virusScan must be off or required.")
	}
	return nil
}

func applySuppliers(r *Resource, p ResourcePatch) error {
	if p.Suppliers != nil {
		r.Suppliers = SupplierPolicy(*p.Suppliers)
		if !slices.Contains([]SupplierPolicy{SuppliersAny, SuppliersNone, SuppliersListed}, r.Suppliers) {
			return InvalidField("suppliers", "suppliers must be any, none or listed.")
		}
	}
	if p.AcceptedSuppliers == nil {
		return nil
	}
	if len(*p.AcceptedSuppliers) > maxAcceptedSuppliers {
		return InvalidField("acceptedSuppliers", fmt.Sprintf("At most %d suppliers can be listed.", maxAcceptedSuppliers))
	}
	r.AcceptedSuppliers = []Party{}
	for i, given := range *p.AcceptedSuppliers {
		party, err := ParseRegistered(fmt.Sprintf("acceptedSuppliers[%d]", i), given)
		if err != nil {
			return err
		}
		r.AcceptedSuppliers = append(r.AcceptedSuppliers, party)
	}
	return nil
}

// CheckDeclared refuses a declared MD5 that nobody would compute.
func (r Resource) CheckDeclared(md5 string) error {
	if md5 == "" || r.ComputeMD5 {
		return nil
	}
	return InvalidField("checksum", "The service computes no MD5 (computeMd5 is false). Leave checksum out; sha256 may be declared.")
}

// Audited implements Audited.
func (r Resource) Audited() map[string]any {
	return map[string]any{
		"owner": r.Owner, "maxFileTransferSize": r.MaxFileSize, "fileTransferTimeToLive": FormatDuration(r.TimeToLive),
		"purgeFileTransferAfterAllRecipientsConfirmed": r.PurgeAfterConfirmed, "purgeFileTransferGracePeriod": FormatDuration(r.Grace),
		"requiredParty": r.RequiredParty, "useManifestFileShim": r.UseManifestShim, "externalServiceCodeLegacy": r.ServiceCode,
		"externalServiceEditionCodeLegacy": r.EditionCode, "maxRecipients": r.MaxRecipients,
		"recipientsSeeEachOther": r.RecipientsSeeEachOther, "loginMethods": r.LoginMethods, "virusScan": r.VirusScan,
		"suppliers": r.Suppliers, "acceptedSuppliers": r.AcceptedSuppliers, "closed": r.Closed,
		"confirmationReminders": ISODurations(r.ConfirmationReminders), "computeMd5": r.ComputeMD5,
	}
}
