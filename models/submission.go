package models

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Limits of a submission (docs/reference/altinn-broker.md 1.3, initialize).
const (
	MaxFileName      = 255
	MaxResourceID    = 255
	MaxReference     = 4096
	MaxProperties    = 10
	MaxPropertyKey   = 50
	MaxPropertyValue = 3000
)

// Draft is what a sender's system writes when it initializes a transfer, unchecked.
type Draft struct {
	FileName         string
	ResourceID       string
	SendersReference string
	Sender           string
	Recipients       []string
	PropertyList     map[string]string
	Checksum         string // MD5, optional
	SHA256           string // optional
	DisableVirusScan bool
	Proof            string // detached JWS, optional; each try may sign anew and asks for the same
}

// Addressee is one recipient: who it is, and how the sender spelled it.
type Addressee struct {
	Party   Party
	AsGiven string
}

// Submission is a checked and normalised request for a new transfer.
type Submission struct {
	ID               uuid.UUID
	ResourceID       string
	Sender           Addressee
	Recipients       []Addressee // no organisation twice, in the sender's order
	FileName         string
	SendersReference string
	PropertyList     map[string]string
	MD5              string // declared by the sender, lower-case hex, or empty
	SHA256           string // declared by the sender, lower-case hex, or empty
	DisableVirusScan bool
	IdempotencyKey   string // empty when the client gave none
	RequestHash      string // of everything above but the ID and the key, see SameRequest
	EarlierHash      string `json:"-"` // the same by the version before, which only rows of then are compared with
	By               Caller // whose credential sent it
	Proof            string `json:",omitempty"` // the sender's own signature for it, see SubmissionProof; checked by who sets By
}

var (
	resourcePattern = regexp.MustCompile(`^(?:urn:altinn:resource:)?[^:]{1,255}$`)
	// newResourcePattern is narrower than what Altinn's clients may ask for, and wide enough for what its registry holds.
	newResourcePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$`)
	md5Pattern         = regexp.MustCompile(`^[0-9a-f]{32}$`)
	sha256Pattern      = regexp.MustCompile(`^[0-9a-f]{64}$`)
	keyPattern         = regexp.MustCompile(`^[\x21-\x7e]{1,255}$`)
)

const resourceURN = "urn:altinn:resource:"

// keySpace makes transfer ids from idempotency keys; changing it would break retries under way.
var keySpace = uuid.MustParse("7d4b2f5e-6c1a-5e0f-9b43-0f6f2f0c5a11")

// ResourceID returns the plain id of a resource given plain or as urn:altinn:resource:{id}.
func ResourceID(s string) string { return strings.TrimPrefix(s, resourceURN) }

// IdempotentID is the id of the transfer that this sender's key names, however often it is asked for.
func IdempotentID(sender Party, key string) uuid.UUID {
	return uuid.NewSHA1(keySpace, []byte(string(sender)+"\n"+key))
}

// CheckIdempotencyKey refuses keys that are not 1 to 255 visible ASCII characters.
func CheckIdempotencyKey(key string) error {
	if !keyPattern.MatchString(key) {
		return InvalidField("Idempotency-Key", "The Idempotency-Key must be 1 to 255 visible ASCII characters.")
	}
	return nil
}

// CheckResourceID refuses what cannot be the id of a service (docs/reference/altinn-broker.md 1.3, resourceId).
func CheckResourceID(id string) error {
	var c checker
	c.resource(id)
	return Invalid(c.found)
}

// CheckNewResourceID refuses what no new service may be called: names belong for ever to who took them first, so
// none may look like another.
func CheckNewResourceID(id string) error {
	if !newResourcePattern.MatchString(id) {
		return InvalidField("resourceId", "A new service's id must be letters of a-z and A-Z, digits, -, _ and ., and begin with a letter or digit.")
	}
	return nil
}

// CheckText refuses what a database cannot hold as text.
func CheckText(field, value string) error {
	var c checker
	c.clean(field, value)
	return Invalid(c.found)
}

// NewSubmission checks every field of a draft and returns all that is wrong with it at once, up to maxFaults.
// maxRecipients bounds the number of different recipients. ID and key are set by the caller.
func NewSubmission(d Draft, maxRecipients int) (Submission, error) {
	var c checker
	c.text("fileName", d.FileName, MaxFileName)
	c.text("sendersFileTransferReference", d.SendersReference, MaxReference)
	c.resource(d.ResourceID)
	c.properties(d.PropertyList)
	c.digest("checksum", d.Checksum, md5Pattern, "an MD5", 32)
	c.digest("sha256", d.SHA256, sha256Pattern, "a SHA-256", 64)
	s := Submission{
		ResourceID: ResourceID(d.ResourceID), FileName: d.FileName, SendersReference: d.SendersReference,
		PropertyList: d.PropertyList, MD5: d.Checksum, SHA256: d.SHA256, DisableVirusScan: d.DisableVirusScan,
		Sender: c.sender(d.Sender), Recipients: c.recipients(d.Recipients, maxRecipients), Proof: d.Proof,
	}
	c.proof(d)
	if err := Invalid(c.found); err != nil {
		return Submission{}, err
	}
	hash, earlier, err := hashesOf(d)
	if err != nil {
		return Submission{}, err
	}
	s.RequestHash, s.EarlierHash = hash, earlier
	return s, nil
}

// maxFaults bounds the answer: 4 MiB of JSON can hold a million recipients that are none.
const maxFaults = 100

// checker collects what is wrong with a draft.
type checker struct{ found []FieldError }

func (c *checker) add(field, format string, args ...any) {
	if len(c.found) < maxFaults {
		c.found = append(c.found, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
}

func (c *checker) text(field, value string, limit int) {
	switch n := utf8.RuneCountInString(value); {
	case n == 0:
		c.add(field, "The %s field is required.", field)
	case n > limit:
		c.add(field, "The field %s must be a string with a minimum length of 1 and a maximum length of %d.", field, limit)
	}
	c.clean(field, value)
}

// note bounds a text that may be empty.
func (c *checker) note(field, value string) {
	if utf8.RuneCountInString(value) > MaxNote {
		c.add(field, "The field %s must be a string with a maximum length of %d.", field, MaxNote)
	}
	c.clean(field, value)
}

// clean refuses what PostgreSQL's text type cannot hold.
func (c *checker) clean(field, value string) {
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		c.add(field, "The field %s must be valid UTF-8 without NUL characters.", field)
	}
}

func (c *checker) resource(id string) {
	switch {
	case id == "":
		c.add("resourceId", "The resourceId field is required.")
	case !resourcePattern.MatchString(id):
		c.add("resourceId", "Invalid Resource identifier format")
	}
	c.clean("resourceId", id)
}

func (c *checker) sender(given string) Addressee {
	p, err := ParseParty(given)
	if given == "" {
		c.add("sender", "The sender field is required.")
	} else if err != nil {
		c.add("sender", PartyRule)
	}
	return Addressee{Party: p, AsGiven: given}
}

func (c *checker) recipients(given []string, limit int) []Addressee {
	if len(given) == 0 {
		c.add("recipients", "One or more recipients are required")
		return nil
	}
	seen := make(map[Party]bool, len(given))
	out := make([]Addressee, 0, len(given))
	for i, g := range given {
		p, err := ParseParty(g)
		if err != nil {
			c.add(fmt.Sprintf("recipients[%d]", i), "Each recipient should be on the form countrycode:organizationnumber (e.g. 0192:910753614) or urn:altinn:organization:identifier-no:organizationnumber")
			continue
		}
		if !seen[p] {
			seen[p] = true
			out = append(out, Addressee{Party: p, AsGiven: g})
		}
	}
	if len(out) > limit {
		c.add("recipients", "A transfer can have at most %d recipients.", limit)
	}
	return out
}

// proof bounds what a sender signed for, which the broker can hold against the content only by its SHA-256.
func (c *checker) proof(d Draft) {
	switch {
	case len(d.Proof) > MaxProof:
		c.add("proof", "The proof is longer than %d bytes.", MaxProof)
	case d.Proof != "" && d.SHA256 == "":
		c.add("proof", "A proof is for content: declare its sha256 too.")
	}
}

func (c *checker) properties(list map[string]string) {
	if len(list) > MaxProperties {
		c.add("propertyList", "PropertyList can contain at most %d properties", MaxProperties)
		return
	}
	for k, v := range list {
		if utf8.RuneCountInString(k) > MaxPropertyKey {
			c.add("propertyList", "PropertyList Key can not be longer than %d. Length:%d, KeyValue: %s", MaxPropertyKey, utf8.RuneCountInString(k), k)
		}
		if utf8.RuneCountInString(v) > MaxPropertyValue {
			c.add("propertyList", "PropertyList Value can not be longer than %d. Length:%d, Key: %s", MaxPropertyValue, utf8.RuneCountInString(v), k)
		}
		c.clean("propertyList", k)
		c.clean("propertyList", v)
	}
}

func (c *checker) digest(field, value string, pattern *regexp.Regexp, kind string, length int) {
	switch {
	case value == "" || pattern.MatchString(value):
	case len(value) != length:
		c.add(field, "The %s, if used, must be %s hash with a length of %d characters", field, kind, length)
	default:
		c.add(field, "The %s, if used, must be %s hash in lower case", field, kind)
	}
}

// Transfer is the row that a submission becomes under a service's policy as it is now. uploadWindow is how long the
// sender has for the upload, which never outlasts the transfer.
func (s Submission) Transfer(r Resource, runID string, now time.Time, uploadWindow time.Duration) Transfer {
	t := Transfer{
		ID: s.ID, ResourceID: s.ResourceID, Sender: s.Sender.Party, SenderAsGiven: s.Sender.AsGiven,
		SendersReference: s.SendersReference, ReferenceDigest: ReferenceDigest(s.SendersReference), FileName: s.FileName, PropertyList: s.PropertyList,
		DeclaredMD5: s.MD5, DeclaredSHA256: s.SHA256, DisableVirusScan: s.DisableVirusScan,
		RequestHash: s.RequestHash, RunID: runID, MaxFileSize: r.MaxFileSize, ComputeMD5: r.ComputeMD5,
		Status: TransferInitialized, StatusChanged: now, Created: now, Expires: now.Add(r.TimeToLive),
	}
	t.UploadDeadline = now.Add(min(uploadWindow, r.TimeToLive))
	if t.PropertyList == nil {
		t.PropertyList = map[string]string{}
	}
	if s.IdempotencyKey != "" {
		t.IdempotencyKey = &s.IdempotencyKey
	}
	return t
}

// RecipientRows are the recipients of a transfer, in the sender's order, each in its delivery group.
func (s Submission) RecipientRows(t Transfer) []Recipient {
	rows := make([]Recipient, len(s.Recipients))
	for i, a := range s.Recipients {
		rows[i] = Recipient{
			TransferID: t.ID, Party: a.Party, AsGiven: a.AsGiven, Ordinal: i, GroupNo: GroupOf(i, len(rows)),
			ResourceID: t.ResourceID, ReferenceDigest: t.ReferenceDigest, Created: t.Created, TransferStatus: t.Status, TransferStatusChanged: t.Created,
		}
	}
	return rows
}
