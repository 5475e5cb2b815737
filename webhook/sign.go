package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/formidling/formidling/models"
)

// The headers of Standard Webhooks.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// sign writes the headers of Standard Webhooks: v1 is HMAC-SHA256 with each secret, v1a is Ed25519 with the keys of
// the installation, all over id, timestamp and body.
func (k *Keys) sign(h http.Header, m models.Message, at time.Time) error {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signed := fmt.Appendf(nil, "%s.%s.%s", m.ID, timestamp, m.Body)
	var signatures []string
	for i, sealed := range m.Secrets {
		secret, err := k.open(string(m.Party), sealed)
		if err != nil && i > 0 {
			continue // an older secret that cannot be read must not keep the newest from signing
		}
		if err != nil {
			return err
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write(signed)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	for _, key := range k.signing[:min(signers, len(k.signing))] {
		signatures = append(signatures, "v1a,"+base64.StdEncoding.EncodeToString(ed25519.Sign(key.private, signed)))
	}
	h.Set(HeaderID, m.ID.String())
	h.Set(HeaderTimestamp, timestamp)
	h.Set(HeaderSignature, strings.Join(signatures, " "))
	return nil
}
