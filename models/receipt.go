package models

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ReceiptEvent is what a receipt tells of: an event of ETSI EN 319 522 where it has one, else one of ours.
type ReceiptEvent string

// The events. Those of ETSI keep its names; what it has none for is a URN of ours.
const (
	ReceiptAuthorized         ReceiptEvent = "urn:formidling:receipt:TransferAuthorization"            // the registry let the transfer begin
	ReceiptAccepted           ReceiptEvent = "http://uri.etsi.org/19522/Event/SubmissionAcceptance"    // content stored and verified
	ReceiptRefused            ReceiptEvent = "http://uri.etsi.org/19522/Event/SubmissionRejection"     // refused after identification, or content that did not come or is not what was declared
	ReceiptConsigned          ReceiptEvent = "http://uri.etsi.org/19522/Event/ContentConsignment"      // visible to the recipient
	ReceiptNotified           ReceiptEvent = "http://uri.etsi.org/19522/Event/ConsignmentNotification" // the recipient was told
	ReceiptNotificationFailed ReceiptEvent = "http://uri.etsi.org/19522/Event/ConsignmentNotificationFailure"
	ReceiptHandedOver         ReceiptEvent = "http://uri.etsi.org/19522/Event/ContentHandover"        // all bytes asked for were sent
	ReceiptHandoverFailed     ReceiptEvent = "http://uri.etsi.org/19522/Event/ContentHandoverFailure" // broken off, another hash at the recipient, or never confirmed before expiry
	ReceiptConfirmed          ReceiptEvent = "http://uri.etsi.org/19522/Event/ContentAccessTracking"  // the recipient says that it has the content
	ReceiptAcknowledged       ReceiptEvent = "urn:formidling:receipt:BusinessAcknowledgement"         // what a party made of it
	ReceiptSenderProof        ReceiptEvent = "urn:formidling:receipt:SenderProof"                     // the sender signed for the content
	ReceiptCancelled          ReceiptEvent = "urn:formidling:receipt:TransferCancellation"            // taken back by its sender
	ReceiptExpired            ReceiptEvent = "urn:formidling:receipt:TransferExpiry"                  // not confirmed by all in time
	ReceiptPurged             ReceiptEvent = "urn:formidling:receipt:ContentPurge"                    // the file is gone
)

// Name is the last word of the event's name.
func (e ReceiptEvent) Name() string {
	return string(e[strings.LastIndexAny(string(e), "/:")+1:])
}

// Receipt is what a receipt says: the payload of its signature. Times are in UTC, hashes in lower-case hex.
type Receipt struct {
	ID        uuid.UUID       `json:"rid"`
	Issuer    string          `json:"iss"` // the broker's public URL
	Event     ReceiptEvent    `json:"evt"`
	At        time.Time       `json:"at"`                 // when it was written down, with the change that it tells of
	Occurred  *time.Time      `json:"occurred,omitempty"` // when the fact was, if it came before the receipt
	Transfer  uuid.UUID       `json:"transfer"`
	Service   string          `json:"service"`
	Reference string          `json:"reference,omitempty"` // the sender's, shortened to MaxReceiptText
	Right     *ReceiptRight   `json:"right,omitempty"`     // that permitted it
	Sender    Party           `json:"sender"`
	Recipient Party           `json:"recipient,omitempty"` // empty: it concerns all of the transfer
	To        *ReceiptParties `json:"to,omitempty"`        // all recipients, where the transfer begins
	Actor     *ReceiptActor   `json:"actor,omitempty"`     // nil: the broker itself
	File      *ReceiptFile    `json:"file,omitempty"`
	Served    *ReceiptServed  `json:"served,omitempty"`
	Claim     *ReceiptClaim   `json:"claim,omitempty"` // what a party said
	Reason    *ReceiptReason  `json:"reason,omitempty"`
	Seq       int             `json:"seq"`            // place in the transfer's chain, from 1, without gaps
	Prev      string          `json:"prev,omitempty"` // SHA-256 of the receipt before it; empty for the first
}

// ReceiptRight is what in the registry permitted a step.
type ReceiptRight struct {
	By      string `json:"by"`      // such as grant/0192:310000027 or access-list/members
	Version int64  `json:"version"` // of that entry, as in the registry's audit; 0 of what stands elsewhere

	// Delegation is by what a supplier acted for who has the right: delegation/ and the supplier, in the audit of who
	// delegated; or issuer/ and who vouched for it. Nil: it acted itself.
	Delegation *ReceiptRight `json:"delegation,omitempty"`
}

// ReceiptParties names recipients: all when they are few, and a digest always.
type ReceiptParties struct {
	Count  int     `json:"count"`
	SHA256 string  `json:"sha256"` // of their numbers, one on each line, in the sender's order
	List   []Party `json:"list,omitempty"`
}

// ReceiptActor is whose credential did it.
type ReceiptActor struct {
	Organisation Party       `json:"org"`
	Supplier     Party       `json:"supplier,omitempty"`
	Login        LoginMethod `json:"login,omitempty"`
	Issuer       string      `json:"issuer,omitempty"`
	Thumbprint   string      `json:"x5t#S256,omitempty"`
}

// ReceiptFile is the content.
type ReceiptFile struct {
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
	MD5    string `json:"md5"`
}

// ReceiptServed is what was sent to a recipient, one or several downloads together.
type ReceiptServed struct {
	Downloads int       `json:"downloads"`
	Bytes     int64     `json:"bytes"`
	Whole     bool      `json:"whole"` // one of them was the whole file
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"`
}

// ReceiptClaim is what a party said about the content.
type ReceiptClaim struct {
	Status string `json:"status,omitempty"`
	Text   string `json:"text,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // that it computed itself
	Proof  string `json:"proof,omitempty"`  // SHA-256 of its own signature, which the bundle holds
}

// ReceiptReason says why something did not go well.
type ReceiptReason struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Bounds of what a receipt repeats.
const (
	MaxReceiptText    = 1000 // characters of a text or reference
	MaxReceiptParties = 100  // recipients that are listed
)

// NewReceiptActor names a caller.
func NewReceiptActor(by Caller) *ReceiptActor {
	return &ReceiptActor{
		Organisation: by.Party, Supplier: by.Supplier, Login: by.Credential.Method,
		Issuer: by.Credential.Issuer, Thumbprint: by.Credential.Thumbprint,
	}
}

// NewReceiptParties names recipients.
func NewReceiptParties(to []Addressee) *ReceiptParties { return newReceiptParties(Parties(to)) }

func newReceiptParties(to []Party) *ReceiptParties {
	p := &ReceiptParties{Count: len(to)}
	sum := sha256.New()
	for _, party := range to {
		_, _ = sum.Write([]byte(string(party) + "\n")) // a hash never fails
	}
	p.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if len(to) <= MaxReceiptParties {
		p.List = append(p.List, to...)
	}
	return p
}

// ReceiptHash is how one receipt names another: the SHA-256 of its compact form, in hex.
func ReceiptHash(jws string) string {
	sum := sha256.Sum256([]byte(jws))
	return hex.EncodeToString(sum[:])
}

// Shortened cuts a text at a number of characters.
func Shortened(text string, limit int) string {
	if r := []rune(text); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return text
}

// StatementKind is why a party said something.
type StatementKind string

// The kinds of statements.
const (
	StatementConfirmation    StatementKind = "confirmation"     // beside a confirmation: what the recipient found
	StatementMismatch        StatementKind = "mismatch"         // the recipient computed another hash
	StatementAcknowledgement StatementKind = "acknowledgement"  // what a party made of the content
	StatementCancellation    StatementKind = "cancellation"     // beside a cancellation: who did it
	StatementSenderProof     StatementKind = "sender-proof"     // the sender signed for the content
	StatementSubmissionProof StatementKind = "submission-proof" // the sender signed for the submission: a SubmissionProof
)

// Claim statuses. Altinn 2 had the last three beside OK.
const (
	ClaimOK               = "ok"
	ClaimRejected         = "rejected"
	ClaimValidationFailed = "validationFailed"
	ClaimUnexpectedError  = "unexpectedError"
)

// Claim is what a party wants to have in its receipt, unchecked.
type Claim struct {
	Status string
	Text   string
	SHA256 string
	Proof  string // detached JWS by the party's own certificate
}

// MaxProof bounds a proof, in bytes: a signature with five certificates.
const MaxProof = 32 << 10

// Check refuses a claim that breaks a rule. Statuses are those that may be said.
func (c Claim) Check(statuses ...string) error {
	var k checker
	k.note("text", c.Text)
	if len([]rune(c.Text)) > MaxReceiptText {
		k.add("text", "The field text must be a string with a maximum length of %d.", MaxReceiptText)
	}
	if c.Status != "" && !slices.Contains(statuses, c.Status) {
		k.add("status", "The status must be one of: %s.", strings.Join(statuses, ", "))
	}
	k.digest("sha256", c.SHA256, sha256Pattern, "a SHA-256", 64)
	if len(c.Proof) > MaxProof {
		k.add("proof", "The proof is longer than %d bytes.", MaxProof)
	}
	return Invalid(k.found)
}

// ProofPayload is what a party signs with its own certificate for a transfer's content, to the byte.
func ProofPayload(transfer uuid.UUID, sha256 string) []byte {
	return []byte(`{"transfer":"` + transfer.String() + `","sha256":"` + sha256 + `"}`)
}
