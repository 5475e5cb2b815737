package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// SubmissionProof is what a sender signs with its own certificate when it initializes a transfer, whose id it does not
// know yet.
type SubmissionProof struct {
	IdempotencyKey string  `json:"idempotencyKey,omitempty"` // with it the proof is of this one transfer: the id is made of it
	Recipients     []Party `json:"recipients"`               // none twice, in the sender's order, as ReceiptParties counts them
	Reference      string  `json:"reference"`                // the sender's
	Sender         Party   `json:"sender"`
	Service        string  `json:"service"` // its plain id
	SHA256         string  `json:"sha256"`  // of the content, lower-case hex
}

// Payload is what is signed, to the byte: canonical JSON (RFC 8785), an absent key left out.
func (p SubmissionProof) Payload() []byte {
	var b strings.Builder
	b.WriteByte('{')
	if p.IdempotencyKey != "" {
		b.WriteString(`"idempotencyKey":` + canonical(p.IdempotencyKey) + `,`)
	}
	b.WriteString(`"recipients":[`)
	for i, r := range p.Recipients {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(canonical(string(r)))
	}
	for _, member := range [][2]string{{`],"reference":`, p.Reference}, {`,"sender":`, string(p.Sender)}, {`,"service":`, p.Service}, {`,"sha256":`, p.SHA256}} {
		b.WriteString(member[0] + canonical(member[1]))
	}
	b.WriteByte('}')
	return []byte(b.String())
}

// canonical is a string as RFC 8785 writes it: as JavaScript does.
func canonical(s string) string {
	short := map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch escaped, ok := short[r]; {
		case ok:
			b.WriteString(escaped)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// ReadSubmissionProof reads what was signed, and takes it in its canonical form alone.
func ReadSubmissionProof(payload string) (SubmissionProof, error) {
	var p SubmissionProof
	if !utf8.ValidString(payload) || json.Unmarshal([]byte(payload), &p) != nil || string(p.Payload()) != payload {
		return p, errors.New("what it signs is no submission in canonical JSON")
	}
	return p, nil
}

// SubmissionProof is what the sender of a submission signs.
func (s Submission) SubmissionProof() SubmissionProof {
	return SubmissionProof{
		IdempotencyKey: s.IdempotencyKey, Recipients: Parties(s.Recipients), Reference: s.SendersReference,
		Sender: s.Sender.Party, Service: s.ResourceID, SHA256: s.SHA256,
	}
}

// Question is whether the submission may be sent.
func (s Submission) Question() Question {
	q := Question{Action: ActionSend, From: s.Sender.Party, By: s.By, To: Parties(s.Recipients)}
	q.By.Party = s.Sender.Party
	return q
}

// Parties are the organisations of addressees, in their order.
func Parties(to []Addressee) []Party {
	out := make([]Party, len(to))
	for i, a := range to {
		out[i] = a.Party
	}
	return out
}

// Concerns tells whether the proof is of the transfer that a receipt is of, as far as that says.
func (p SubmissionProof) Concerns(r Receipt) error {
	key := p.IdempotencyKey
	switch {
	case p.Sender != r.Sender || p.Service != r.Service || Shortened(p.Reference, MaxReceiptText) != r.Reference:
		return errors.New("it is of another submission")
	case key != "" && IdempotentID(p.Sender, key) != r.Transfer:
		return errors.New("it is of another transfer")
	case r.To != nil && newReceiptParties(p.Recipients).SHA256 != r.To.SHA256:
		return errors.New("it is for other recipients")
	}
	return nil
}
