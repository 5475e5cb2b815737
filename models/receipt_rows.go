package models

import (
	"time"

	"github.com/google/uuid"
)

// ReceiptChain is how far a transfer's chain has come: Last is written down, Signed is signed.
type ReceiptChain struct {
	TransferID      uuid.UUID `gorm:"primaryKey"`
	Sender          Party
	ReferenceDigest string // of the sender's reference
	Last            int
	Signed          int
	Head            string    // hash of the last signed receipt; empty before the first
	Waiting         time.Time // of the first receipt that nobody has signed, while there is one
}

// ReceiptEntry is what must be receipted, written in the transaction that it tells of. It is never changed.
type ReceiptEntry struct {
	TransferID uuid.UUID `gorm:"primaryKey"`
	Seq        int       `gorm:"primaryKey"`
	Recipient  Party     // empty: the sender's alone
	Source     string    // what it was made of, so that nothing is receipted twice; empty: a change, which happens once
	Entry      string    // JSON of Receipt, without what signing adds
}

// SignedReceipt is a receipt as it was issued. It is never changed.
type SignedReceipt struct {
	TransferID uuid.UUID `gorm:"primaryKey"`
	Seq        int       `gorm:"primaryKey"`
	Recipient  Party
	JWS        string `gorm:"column:jws"`
	Hash       string // ReceiptHash of JWS
	At         time.Time
}

// Statement is a fact: what a party said about a transfer, and with which credential. It decides nothing until a
// workflow reads it.
type Statement struct {
	ID         uuid.UUID `gorm:"primaryKey"`
	TransferID uuid.UUID
	Party      Party
	Kind       StatementKind
	Status     string
	Text       string
	SHA256     string `gorm:"column:sha256"`
	Proof      string
	Actor      ReceiptActor `gorm:"serializer:json"`
	At         time.Time
	AsSender   bool // said as the sender, who may be a recipient too
	ReceiptSeq *int // of the receipt that tells of it; nil: none yet

	Payload string `gorm:"-"` // what Proof signs, where it is not ProofPayload; made of the transfer's row
}

// Claim is what goes into the receipt.
func (s Statement) Claim() *ReceiptClaim {
	c := &ReceiptClaim{Status: s.Status, Text: s.Text, SHA256: s.SHA256}
	if s.Proof != "" {
		c.Proof = ReceiptHash(s.Proof)
	}
	if *c == (ReceiptClaim{}) {
		return nil
	}
	return c
}

// Notification is a fact: somebody outside the transfer told a recipient of it, or could not.
type Notification struct {
	ID         uuid.UUID `gorm:"primaryKey"`
	TransferID uuid.UUID
	Party      Party
	Channel    string // such as webhook; never an address or an id: the sender reads it
	Failed     string // why it was given up; empty: delivered
	At         time.Time
	ReceiptSeq *int
}

// LeafKind is what a leaf of the log stands for.
type LeafKind string

// The kinds of leaves.
const (
	LeafReceipt LeafKind = "receipt" // Subject is the transfer
	LeafAudit   LeafKind = "audit"   // Subject is the organisation whose chain it is
)

// LogLeaf is one leaf of the log, in its order. It is never changed.
type LogLeaf struct {
	Index           int64 `gorm:"primaryKey;column:idx;autoIncrement:false"`
	Kind            LeafKind
	Subject         string
	Seq             int64
	Hash            string // of the receipt, or of the audit's entry
	Sender          Party
	Recipient       Party
	ReferenceDigest string
}

// TableName says it in English.
func (LogLeaf) TableName() string { return "log_leaves" }

// LogPending waits to become a leaf.
type LogPending struct {
	Kind            LeafKind `gorm:"primaryKey"`
	Subject         string   `gorm:"primaryKey"`
	Seq             int64    `gorm:"primaryKey"`
	Hash            string
	Sender          Party
	Recipient       Party
	ReferenceDigest string
}

// LogCheckpoint is the signed state of the log at one size. It is never changed.
type LogCheckpoint struct {
	Size int64 `gorm:"primaryKey;autoIncrement:false"`
	Root string
	Note string
	At   time.Time
}

// IssuedReceipt is a receipt with its place in the log; nil before it has one.
type IssuedReceipt struct {
	SignedReceipt
	Leaf *int64
}

// ReceiptQuery bounds a question for receipts across transfers.
type ReceiptQuery struct {
	Caller    Party
	Reference *string // the sender's; nil: any
	After     int64   // place in the log; -1: from the beginning
	Limit     int
}
