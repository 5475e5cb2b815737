package models

import "github.com/google/uuid"

// ReceiptDraft is a receipt before it has its time, its number and its signature, and the facts that it tells of.
type ReceiptDraft struct {
	Receipt
	ReferenceDigest string // of the sender's reference
	Source          string // as in ReceiptEntry
	Accesses        []uuid.UUID
	Statements      []uuid.UUID
	Notifications   []uuid.UUID
}

// NewReceiptDraft begins a receipt of a transfer.
func NewReceiptDraft(t Transfer, event ReceiptEvent) ReceiptDraft {
	return ReceiptDraft{
		Receipt: Receipt{
			Event: event, Transfer: t.ID, Service: t.ResourceID, Sender: t.Sender,
			Reference: Shortened(t.SendersReference, MaxReceiptText),
		},
		ReferenceDigest: t.ReferenceDigest,
	}
}

// WithFile adds the accepted content.
func (d ReceiptDraft) WithFile(t Transfer) ReceiptDraft {
	if t.ContentKey != "" {
		d.File = &ReceiptFile{Size: t.ContentSize, SHA256: t.ContentSHA256, MD5: t.ContentMD5}
	}
	return d
}

// WithReason says why something did not go well.
func (d ReceiptDraft) WithReason(code, text string) ReceiptDraft {
	d.Reason = &ReceiptReason{Code: code, Text: text}
	return d
}

// WithStatement adds to a receipt what its party said with it.
func (d ReceiptDraft) WithStatement(st *Statement) ReceiptDraft {
	d.Actor, d.Claim, d.Statements = &st.Actor, st.Claim(), []uuid.UUID{st.ID}
	return d
}

// WithStatements makes the receipts of what a party said several times, such as by requests that were repeated: d with
// the last statement that says anything, and before it receipts of their own for others that do.
func (d ReceiptDraft) WithStatements(all []Statement, own func(*Statement) ReceiptDraft) []ReceiptDraft {
	if len(all) == 0 {
		return []ReceiptDraft{d}
	}
	best := len(all) - 1
	for i := best; i >= 0; i-- {
		if all[i].Claim() != nil {
			best = i
			break
		}
	}
	var out []ReceiptDraft
	d = d.WithStatement(&all[best])
	for i := range all {
		switch {
		case i == best:
		case all[i].Claim() == nil:
			d.Statements = append(d.Statements, all[i].ID)
		default:
			out = append(out, own(&all[i]))
		}
	}
	return append(out, d)
}
