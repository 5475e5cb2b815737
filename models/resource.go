package models

import "time"

// Limits and defaults of a service's policy (reference 1.5, 2.6).
const (
	MaxFileSizeLimit  int64 = 1_677_721_600_000 // bytes: 32 MiB x 50,000
	DefaultTimeToLive       = 30 * 24 * time.Hour
	MaxTimeToLive           = 365 * 24 * time.Hour
	DefaultGrace            = 2 * time.Hour
	MaxGrace                = 24 * time.Hour
)

// ServiceOwner is an organisation that administers services of its own.
type ServiceOwner struct {
	Organisation Party `gorm:"primaryKey"`
	Name         string
	Created      time.Time
}

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
	Version             int64
	Created             time.Time
	Updated             time.Time
}

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
}

// NewResource returns a service with the default policy.
func NewResource(id string, owner Party) Resource {
	return Resource{
		ID: id, Owner: owner, MaxFileSize: MaxFileSizeLimit, TimeToLive: DefaultTimeToLive,
		PurgeAfterConfirmed: true, Grace: DefaultGrace,
	}
}

// Apply returns the policy with the patch's fields in place, or the error of the first bad field.
// Rules and codes are the reference's (section 1.5); where it accepted durations below zero, we refuse.
func (r Resource) Apply(p ResourcePatch) (Resource, error) {
	steps := []func(*Resource, ResourcePatch) error{applySize, applyTimeToLive, applyGrace, applyShim, applyRequiredParty}
	for _, step := range steps {
		if err := step(&r, p); err != nil {
			return Resource{}, err
		}
	}
	if p.PurgeAfterConfirmed != nil {
		r.PurgeAfterConfirmed = *p.PurgeAfterConfirmed
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
	party, err := ParseOrganisation(*p.RequiredParty) // the reference's clients send the bare number too
	if err != nil {
		return InvalidField("requiredParty", PartyRule)
	}
	r.RequiredParty = party
	return nil
}

// Right says what one organisation may do in one service.
type Right struct {
	ResourceID   string `gorm:"primaryKey"`
	Organisation Party  `gorm:"primaryKey"`
	MaySend      bool
	MayReceive   bool
}

// Decide tells whether sender may send to recipients in the service, given the rights of all
// parties involved. One recipient without right refuses the whole transfer. The order of checks
// is the reference's: sender (6), recipients (28), required party (27, 26).
func (r Resource) Decide(sender Party, recipients []Party, rights []Right) error {
	may := make(map[Party]Right, len(rights))
	for _, right := range rights {
		may[right.Organisation] = right
	}
	if !may[sender].MaySend {
		return ErrNoAccess
	}
	for _, p := range recipients {
		if !may[p].MayReceive {
			return ErrRecipientWithoutRight
		}
	}
	if r.RequiredParty == "" || r.RequiredParty == sender {
		return nil
	}
	if len(recipients) != 1 {
		return ErrRequiredPartyOne
	}
	if recipients[0] != r.RequiredParty {
		return ErrRequiredPartyAbsent
	}
	return nil
}
