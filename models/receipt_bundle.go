package models

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// BundleFormat names the form of a ReceiptBundle.
const BundleFormat = "formidling-receipts/1"

// ReceiptBundle is all that is needed to check a party's receipts of one transfer without asking anybody.
type ReceiptBundle struct {
	Format     string           `json:"format"`
	Statement  string           `json:"statement"` // a JWS: which receipts there are, see BundleStatement
	Receipts   []BundledReceipt `json:"receipts"`
	Proofs     []BundledProof   `json:"proofs"`
	Checkpoint string           `json:"checkpoint,omitempty"` // of the log; empty before there is one
	Keys       json.RawMessage  `json:"keys"`                 // the broker's JSON Web Key Set
}

// BundledReceipt is a receipt and the proof that the log holds it.
type BundledReceipt struct {
	JWS       string   `json:"jws"`
	Leaf      *int64   `json:"leaf,omitempty"`      // place in the log; nil: not logged yet
	Inclusion []string `json:"inclusion,omitempty"` // hashes in base64, from the leaf to the root
}

// BundledProof is a party's own signature for the content.
type BundledProof struct {
	Party  Party  `json:"party"`
	SHA256 string `json:"sha256"` // of the content
	JWS    string `json:"jws"`    // detached: its payload is ProofPayload

	Payload string `json:"payload,omitempty"` // when it is not: a SubmissionProof's
}

// BundleStatement says which receipts and proofs a party has at a moment, so that none can be left out or added.
type BundleStatement struct {
	Issuer   string            `json:"iss"`
	Transfer uuid.UUID         `json:"transfer"`
	Viewer   Party             `json:"viewer"`
	Sender   Party             `json:"sender"`
	At       time.Time         `json:"at"`
	Receipts []StatementedItem `json:"receipts"`
	Proofs   []StatedProof     `json:"proofs,omitempty"` // in the order of the bundle
	LogSize  int64             `json:"logSize"`
	LogRoot  string            `json:"logRoot,omitempty"`
}

// StatedProof is one proof in a BundleStatement.
type StatedProof struct {
	Party  Party  `json:"party"`
	SHA256 string `json:"sha256"` // of the content
	Proof  string `json:"proof"`  // SHA-256 of its JWS
}

// Stated is how a BundleStatement names the proof.
func (p BundledProof) Stated() StatedProof {
	return StatedProof{Party: p.Party, SHA256: p.SHA256, Proof: ReceiptHash(p.JWS)}
}

// StatementedItem is one receipt in a BundleStatement.
type StatementedItem struct {
	Seq    int    `json:"seq"`
	SHA256 string `json:"sha256"`
	Leaf   *int64 `json:"leaf,omitempty"`
}
