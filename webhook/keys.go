package webhook

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/formidling/formidling/models"
)

// The purposes for which keys are derived from the installation's keys, one key each.
const (
	purposeSeal = "formidling webhook secrets, AES-256-GCM"
	purposeSign = "formidling webhook signatures, Ed25519"
)

// signers is how many keys sign each message: the newest, and the one before it for receivers that know only that.
const signers = 2

// Keys encrypt the secrets of subscriptions and sign for the installation. They are derived from the keys that encrypt
// Temporal's payloads, so there is nothing more to set up and all replicas have the same.
type Keys struct {
	current string
	seals   map[string]cipher.AEAD
	signing []signingKey // the newest first
}

type signingKey struct {
	id      string
	private ed25519.PrivateKey
}

// NewKeys reads keys of the form "id:base64" (32 bytes each), separated by commas, newest first.
func NewKeys(keys string) (*Keys, error) {
	k := &Keys{seals: map[string]cipher.AEAD{}}
	for entry := range strings.SplitSeq(keys, ",") {
		id, encoded, found := strings.Cut(strings.TrimSpace(entry), ":")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if !found || id == "" || err != nil || len(raw) != 32 {
			return nil, errors.New("read webhook keys: each must be of the form id:base64, of 32 bytes")
		}
		if err := k.add(id, raw); err != nil {
			return nil, fmt.Errorf("read webhook key %s: %w", id, err)
		}
	}
	return k, nil
}

func (k *Keys) add(id string, raw []byte) error {
	sealing, err := hkdf.Key(sha256.New, raw, nil, purposeSeal, 32)
	if err != nil {
		return err
	}
	seed, err := hkdf.Key(sha256.New, raw, nil, purposeSign, ed25519.SeedSize)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return err
	}
	if k.seals[id], err = cipher.NewGCM(block); err != nil {
		return err
	}
	k.signing = append(k.signing, signingKey{id, ed25519.NewKeyFromSeed(seed)})
	if k.current == "" {
		k.current = id
	}
	return nil
}

// PublicKeys verify what the installation signs and has signed with older keys, the newest first.
func (k *Keys) PublicKeys() []models.WebhookKey {
	out := make([]models.WebhookKey, len(k.signing))
	for i, key := range k.signing {
		public := key.private.Public().(ed25519.PublicKey)
		out[i] = models.WebhookKey{ID: key.id, Public: "whpk_" + base64.StdEncoding.EncodeToString(public)}
	}
	return out
}

// seal encrypts a secret of an owner; open decrypts it only for the same owner.
func (k *Keys) seal(owner string, secret []byte) (string, error) {
	aead := k.seals[k.current]
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("seal webhook secret: %w", err)
	}
	return k.current + "." + base64.RawURLEncoding.EncodeToString(aead.Seal(nonce, nonce, secret, []byte(owner))), nil
}

func (k *Keys) open(owner, sealed string) ([]byte, error) {
	point := strings.LastIndex(sealed, ".") // base64url has none
	id, encoded := sealed[:max(point, 0)], sealed[point+1:]
	aead, known := k.seals[id]
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if !known || err != nil || len(raw) < aead.NonceSize() {
		return nil, fmt.Errorf("open webhook secret: key %q is not configured or the secret is damaged", id)
	}
	secret, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], []byte(owner))
	if err != nil {
		return nil, fmt.Errorf("open webhook secret: %w", err)
	}
	return secret, nil
}
