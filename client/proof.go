package client

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// SignProof signs a payload with an enterprise certificate: a detached JWS (RFC 7515, appendix F) with x5c, as the broker
// takes it for a proof. ContentProof and SubmissionProof make what is signed.
func SignProof(c *tls.Certificate, payload []byte) (string, error) {
	if len(c.Certificate) == 0 {
		return "", errors.New("sign proof: there is no certificate")
	}
	key, _ := c.PrivateKey.(crypto.Signer)
	algorithm, err := algorithmOf(key)
	if err != nil {
		return "", fmt.Errorf("sign proof: %w", err)
	}
	options := (&jose.SignerOptions{}).WithHeader("x5c", c.Certificate)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		return "", fmt.Errorf("sign proof: %w", err)
	}
	token, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign proof: %w", err)
	}
	return token.DetachedCompactSerialize()
}

// ContentProof is what a party signs for a transfer's content: its SHA-256 in lower-case hex.
func ContentProof(id FileTransferID, sha256 string) []byte {
	return []byte(`{"transfer":"` + id.String() + `","sha256":"` + sha256 + `"}`)
}

// SubmissionProof is what a sender signs with initialize: canonical JSON (RFC 8785) of what it asks for. key is the
// Idempotency-Key, or empty; the SHA-256 must be declared.
func SubmissionProof(b FileTransferInitialize, key string) []byte {
	var to []string
	for _, r := range b.Recipients {
		if r = plainOrganization(r); !slices.Contains(to, r) {
			to = append(to, r)
		}
	}
	var out strings.Builder
	out.WriteByte('{')
	if key != "" {
		out.WriteString(`"idempotencyKey":` + canonical(key) + `,`)
	}
	out.WriteString(`"recipients":[`)
	for i, r := range to {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(canonical(r))
	}
	sum := ""
	if b.Sha256 != nil {
		sum = *b.Sha256
	}
	fmt.Fprintf(&out, `],"reference":%s,"sender":%s,"service":%s,"sha256":%s}`, canonical(b.SendersFileTransferReference),
		canonical(plainOrganization(b.Sender)), canonical(strings.TrimPrefix(b.ResourceID, "urn:altinn:resource:")), canonical(sum))
	return []byte(out.String())
}

// plainOrganization is an organisation in the form 0192:310000027, given also as a URN.
func plainOrganization(text string) string {
	if number, isURN := strings.CutPrefix(text, "urn:altinn:organization:identifier-no:"); isURN {
		return "0192:" + number
	}
	return text
}

// canonical is a string as RFC 8785 writes it.
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

// ConfirmProven is Confirm with the caller's own signature for what it found: neither it nor the broker can deny that
// later. sha256 is that of the bytes that it has. Nothing is confirmed when they are not the transfer's.
func (b *Broker) ConfirmProven(ctx context.Context, id FileTransferID, sha256 string, c *tls.Certificate) error {
	proof, err := SignProof(c, ContentProof(id, sha256))
	if err != nil {
		return err
	}
	return b.confirm(ctx, id, DownloadConfirmation{Sha256: &sha256, Proof: &proof})
}

func (b *Broker) confirm(ctx context.Context, id FileTransferID, said DownloadConfirmation) error {
	_, err := Decode[struct{}](b.API.ConfirmDownload(ctx, id, said, markRepeatable))
	return err
}

// proveSubmission signs for what is about to be asked for.
func (g *sending) proveSubmission(body *FileTransferInitialize) error {
	if g.o.Proof == nil || body.Sha256 == nil {
		return nil
	}
	proof, err := SignProof(g.o.Proof, SubmissionProof(*body, g.checkpoint.Key))
	body.Proof = &proof
	return err
}

// proveDeclared signs for the declared content of the transfer, once for all requests that carry it.
func (g *sending) proveDeclared() (err error) {
	if g.o.Proof != nil && g.checkpoint.SHA256 != "" {
		g.proof, err = SignProof(g.o.Proof, ContentProof(g.id, g.checkpoint.SHA256))
	}
	return err
}

// prove puts the proof of the declared content, if there is one, into a request.
func (g *sending) prove(r *http.Request) {
	if g.proof != "" {
		r.Header.Set("Formidling-Proof", g.proof)
	}
}

// proveSent signs for content whose checksum was known at its end only.
func (g *sending) proveSent(ctx context.Context) error {
	if g.o.Proof == nil || g.checkpoint.SHA256 != "" {
		return nil
	}
	proof, err := SignProof(g.o.Proof, ContentProof(g.id, hexSum(g.hashed.hash)))
	if err != nil {
		return err
	}
	_, err = Decode[struct{}](g.b.API.AcknowledgeTransfer(ctx, g.id, Acknowledgement{Proof: &proof}, markRepeatable))
	if err != nil {
		return fmt.Errorf("give proof: %w", err)
	}
	return nil
}
