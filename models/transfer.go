package models

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Transfer is one file on its way from one sender to its recipients, as the database keeps it.
// Only the transfer's own workflow changes it.
type Transfer struct {
	ID               uuid.UUID `gorm:"primaryKey"`
	ResourceID       string
	Sender           Party
	SenderAsGiven    string
	SendersReference string
	ReferenceDigest  string // of it, see ReferenceDigest
	FileName         string
	PropertyList     map[string]string `gorm:"serializer:json"`
	DeclaredMD5      string            `gorm:"column:declared_md5"`
	DeclaredSHA256   string            `gorm:"column:declared_sha256"`
	DisableVirusScan bool
	IdempotencyKey   *string
	RequestHash      string
	RunID            string // of the workflow run that accepted it
	MaxFileSize      int64  // bytes, of the service's policy when it was accepted
	ComputeMD5       bool   `gorm:"column:compute_md5"` // likewise

	Status        TransferStatus // never 1 or 2: those follow from facts, see Facts
	StatusText    string         // empty: the default text of the status
	StatusChanged time.Time

	Created        time.Time
	UploadDeadline time.Time
	Expires        time.Time
	Published      *time.Time

	ContentKey        string // empty until content is accepted
	ContentGeneration int64
	ContentSize       int64
	ContentMD5        string `gorm:"column:content_md5"`
	ContentSHA256     string `gorm:"column:content_sha256"`
	ContentCRC32C     uint32 `gorm:"column:content_crc32c"`
}

// Content returns the accepted content; its Key is empty when there is none.
func (t Transfer) Content() Content {
	return Content{
		Key: t.ContentKey, Generation: t.ContentGeneration, Size: t.ContentSize,
		MD5: t.ContentMD5, SHA256: t.ContentSHA256, CRC32C: t.ContentCRC32C,
	}
}

// LeftOut are the hashes that are not computed of this transfer's bytes.
func (t Transfer) LeftOut() []Hash {
	if t.ComputeMD5 {
		return nil
	}
	return []Hash{HashMD5}
}

// Recipient is one addressee of a transfer, as the database keeps it.
type Recipient struct {
	TransferID uuid.UUID `gorm:"primaryKey"`
	Party      Party     `gorm:"primaryKey"`
	AsGiven    string
	Ordinal    int // place in the sender's list
	GroupNo    int // 0: confirmed at the transfer's own workflow; n: at its n-th delivery group
	Created    time.Time
	Delivered  *time.Time
	Confirmed  *time.Time

	// As on the transfer, for the recipient's search.
	ResourceID            string
	ReferenceDigest       string // of its SendersReference
	TransferStatus        TransferStatus
	TransferStatusChanged time.Time
}

// StatusChange is one entry of a transfer's status history. Seq orders them without gaps.
type StatusChange struct {
	TransferID uuid.UUID `gorm:"primaryKey"`
	Seq        int       `gorm:"primaryKey"`
	Status     TransferStatus
	Text       string
	At         time.Time
}

// UploadAttempt is a fact of the data plane: somebody with the right began to upload. Its lease is
// renewed while bytes arrive; an attempt whose lease ran out can no longer be staged.
type UploadAttempt struct {
	ID             uuid.UUID  `gorm:"primaryKey"`
	TransferID     *uuid.UUID // nil while the file came before the transfer it is for
	Party          Party      // whose uploads it counts among
	ObjectKey      string
	IdempotencyKey *string
	Started        time.Time
	LeaseUntil     time.Time
	Ended          *time.Time // given up by the API; nil while running, staged or lost

	Actor *ReceiptActor `gorm:"serializer:json"` // whose credential; nil: from before it was kept
}

// StagedContent is a fact of the data plane: the bytes of an attempt are durable.
type StagedContent struct {
	AttemptID  uuid.UUID `gorm:"primaryKey"`
	TransferID uuid.UUID
	Generation int64
	Size       int64
	MD5        string `gorm:"column:md5"`
	SHA256     string `gorm:"column:sha256"`
	CRC32C     uint32 `gorm:"column:crc32c"`
	Staged     time.Time
	Actor      *ReceiptActor `gorm:"serializer:json"`               // who uploaded; nil: from before it was kept
	Right      *ReceiptRight `gorm:"column:permit;serializer:json"` // by which it came
}

// ContentAccess is a fact of the data plane: which bytes were served to whom, from when to when.
type ContentAccess struct {
	ID         uuid.UUID `gorm:"primaryKey"`
	TransferID uuid.UUID
	Party      Party
	FirstByte  int64
	Length     int64 // bytes asked for
	Started    time.Time
	Noted      *time.Time // when its process last told of it; nil: not yet
	Ended      *time.Time // nil also for ever, when its process died
	BytesSent  int64
	Complete   bool          // all bytes asked for were sent
	Actor      *ReceiptActor `gorm:"serializer:json"`               // whose credential; nil: from before it was kept
	Right      *ReceiptRight `gorm:"column:permit;serializer:json"` // by which it came
	ReceiptSeq *int          // of the receipt that tells of it; nil: none yet, 0: from before there were receipts
}

// ServedContent is what all accesses of a recipient come to.
type ServedContent struct {
	TransferID uuid.UUID `gorm:"primaryKey"`
	Party      Party     `gorm:"primaryKey"`
	Ranges     Ranges    `gorm:"serializer:json"`
	Bytes      int64     // of the file, each counted once
	Complete   bool      // every byte was served
	Updated    time.Time
}

// ReferenceDigest stands for a sender's reference where it is only compared: references may be long, and
// a transfer may have thousands of recipients.
func ReferenceDigest(reference string) string {
	sum := sha256.Sum256([]byte(reference))
	return hex.EncodeToString(sum[:16])
}

// AttemptKey is where an upload attempt's bytes are kept: unique per attempt and never reused.
func AttemptKey(transfer, attempt uuid.UUID) string {
	return fmt.Sprintf("%s/%s", TransferPrefix(transfer), attempt)
}

// TransferPrefix is what all object keys of a transfer begin with.
func TransferPrefix(transfer uuid.UUID) string { return "ft/" + transfer.String() }

// GroupSize is how many recipients one workflow serves: more are split into delivery groups.
const GroupSize = 100

// Groups returns how many delivery groups n recipients need; 0 when the transfer serves them itself.
func Groups(n int) int {
	if n <= GroupSize {
		return 0
	}
	return (n + GroupSize - 1) / GroupSize
}

// GroupOf returns the delivery group of the i-th (from 0) of n recipients.
func GroupOf(i, n int) int {
	if n <= GroupSize {
		return 0
	}
	return i/GroupSize + 1
}

// TransferView is a transfer as its parties see it: the row, with the facts of the data plane laid over it.
type TransferView struct {
	Transfer
	Recipients []RecipientView
	History    []StatusChange
	// EffectiveStatus is Status, or what the facts of an unfinished upload say.
	EffectiveStatus TransferStatus
	EffectiveSince  time.Time
	// UploadStarted and Staged are the facts themselves, while no content is accepted.
	UploadStarted *time.Time
	Staged        *time.Time
	// Withheld is a role that the viewer's organisation has in the transfer, and in which the supplier that looks may
	// not act for it; empty: none.
	Withheld Role
}

// For narrows the view to what the viewer may see in some roles.
func (v TransferView) For(p Party, roles []Role) TransferView {
	switch {
	case v.Sender == p && !slices.Contains(roles, RoleSender): // it was read as for the sender
		v.Withheld = RoleSender
		v.Recipients = slices.DeleteFunc(slices.Clone(v.Recipients), func(r RecipientView) bool { return r.Party != p })
	case v.HasParty(p, RoleRecipient) && !slices.Contains(roles, RoleRecipient):
		v.Withheld = RoleRecipient
	}
	return v
}

// SentBy tells whether an organisation acts as the sender.
func (v TransferView) SentBy(p Party) bool { return v.Sender == p && v.Withheld != RoleSender }

// HasParty tells whether an organisation has a role in the transfer, as far as the view shows it.
func (v TransferView) HasParty(p Party, as Role) bool {
	if as == RoleSender {
		return v.Sender == p
	}
	return slices.ContainsFunc(v.Recipients, func(r RecipientView) bool { return r.Party == p })
}

// RecipientView is a recipient with the facts of its downloads.
type RecipientView struct {
	Recipient
	FirstAccess *time.Time
	BytesServed int64 // of the file, each counted once; read with the details only
	Complete    bool  // every byte was served; likewise
}

// Status tells how far the recipient has come.
func (r RecipientView) Status() RecipientStatus {
	switch {
	case r.Confirmed != nil:
		return RecipientDownloadConfirmed
	case r.FirstAccess != nil:
		return RecipientDownloadStarted
	}
	return RecipientInitialized
}

// Changed tells when the recipient entered its status.
func (r RecipientView) Changed() time.Time {
	switch {
	case r.Confirmed != nil:
		return *r.Confirmed
	case r.FirstAccess != nil:
		return *r.FirstAccess
	}
	return r.Created
}

// RecipientChange is one entry of a recipient's history.
type RecipientChange struct {
	Party   string // as the sender spelled it
	Status  RecipientStatus
	Changed time.Time
}

// RecipientHistory returns the steps of all recipients in view, in the order in which they were taken.
func (v TransferView) RecipientHistory() []RecipientChange {
	var out []RecipientChange
	for _, r := range v.Recipients {
		out = append(out, RecipientChange{r.AsGiven, RecipientInitialized, r.Created})
		if r.FirstAccess != nil {
			out = append(out, RecipientChange{r.AsGiven, RecipientDownloadStarted, *r.FirstAccess})
		}
		if r.Confirmed != nil {
			out = append(out, RecipientChange{r.AsGiven, RecipientDownloadConfirmed, *r.Confirmed})
		}
	}
	slices.SortStableFunc(out, func(a, b RecipientChange) int { return a.Changed.Compare(b.Changed) })
	return out
}

// RecipientFor returns the view of one recipient.
func (v TransferView) RecipientFor(p Party) (RecipientView, bool) {
	if v.Withheld == RoleRecipient {
		return RecipientView{}, false
	}
	for _, r := range v.Recipients {
		if r.Party == p {
			return r, true
		}
	}
	return RecipientView{}, false
}

// VisibleTo tells whether an organisation is a party to the transfer.
func (v TransferView) VisibleTo(p Party) bool {
	_, recipient := v.RecipientFor(p)
	return recipient || v.Sender == p
}

// CurrentText is the text of the effective status.
func (v TransferView) CurrentText() string {
	if v.StatusText != "" && v.EffectiveStatus == v.Status {
		return v.StatusText
	}
	return v.EffectiveStatus.Text()
}
