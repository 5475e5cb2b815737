package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"github.com/formidling/formidling/models"
)

// secretBytes is within the 24 to 64 bytes of Standard Webhooks.
const secretBytes = 32

const secretPrefix = "whsec_"

// NewSecret makes a signing secret for an organisation: in clear, for it to keep, and sealed, for us to store.
func (k *Keys) NewSecret(of models.Party) (clear, sealed string, err error) {
	raw := make([]byte, secretBytes)
	if _, err := rand.Read(raw); err != nil {
		return "", "", fmt.Errorf("make webhook secret: %w", err)
	}
	sealed, err = k.seal(string(of), raw)
	return secretPrefix + base64.StdEncoding.EncodeToString(raw), sealed, err
}

// Secret decrypts a sealed secret of an organisation.
func (k *Keys) Secret(of models.Party, sealed string) (string, error) {
	raw, err := k.open(string(of), sealed)
	return secretPrefix + base64.StdEncoding.EncodeToString(raw), err
}
