package receipts

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-jose/go-jose/v4"
)

// Keys are the keys of one installation: the first of each kind signs, all are published.
type Keys struct {
	signing *ecdsa.PrivateKey  // P-256, signs receipts
	kid     string             // of signing
	log     ed25519.PrivateKey // signs checkpoints
	public  []jose.JSONWebKey
}

// OpenKeys reads a JSON Web Key Set. Its first private P-256 key signs receipts, its first private Ed25519 key signs
// checkpoints of the log; all others are only published, private or public. So to rotate, put the new key in front and
// leave the old one's public half in the set for ever: receipts outlive it.
func OpenKeys(file string) (*Keys, error) {
	raw, err := os.ReadFile(file) //nolint:gosec // the operator named it
	if err != nil {
		return nil, fmt.Errorf("open receipt keys: %w", err)
	}
	k, err := parseKeys(raw)
	if err != nil {
		return nil, fmt.Errorf("open receipt keys %s: %w", file, err)
	}
	return k, nil
}

func parseKeys(raw []byte) (*Keys, error) {
	k, err := parse(raw)
	switch {
	case err != nil:
		return nil, err
	case k.signing == nil:
		return nil, errors.New("no private P-256 key is there to sign receipts")
	case k.log == nil:
		return nil, errors.New("no private Ed25519 key is there to sign checkpoints")
	}
	return k, nil
}

func parse(raw []byte) (*Keys, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("parse key set: %w", err)
	}
	k := &Keys{}
	for n, key := range set.Keys {
		if _, twice := find(k.public, key.KeyID); key.KeyID == "" || twice {
			return nil, fmt.Errorf("key %d: it needs a kid of its own", n+1)
		}
		algorithm := jose.EdDSA
		switch private := key.Key.(type) {
		case *ecdsa.PrivateKey:
			if k.signing == nil && isP256(private.Public()) {
				k.signing, k.kid = private, key.KeyID
			}
		case ed25519.PrivateKey:
			if k.log == nil {
				k.log = private
			}
		}
		public := key.Public()
		if _, edwards := public.Key.(ed25519.PublicKey); !edwards {
			if algorithm = jose.ES256; !isP256(public.Key) {
				return nil, fmt.Errorf("key %d (%q): it is neither P-256 nor Ed25519", n+1, key.KeyID)
			}
		}
		k.public = append(k.public, jose.JSONWebKey{Key: public.Key, KeyID: key.KeyID, Algorithm: string(algorithm), Use: "sig"})
	}
	return k, nil
}

func isP256(key crypto.PublicKey) bool {
	k, is := key.(*ecdsa.PublicKey)
	return is && k.Curve == elliptic.P256()
}

func find(keys []jose.JSONWebKey, kid string) (jose.JSONWebKey, bool) {
	for _, k := range keys {
		if k.KeyID == kid {
			return k, true
		}
	}
	return jose.JSONWebKey{}, false
}

// KeySet is what is published: all public keys, including retired ones.
func (k *Keys) KeySet() jose.JSONWebKeySet { return jose.JSONWebKeySet{Keys: k.public} }

// MakeKeys is OpenKeys, but first makes the file, with one key of each kind, if it does not exist.
func MakeKeys(file string) (*Keys, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if err := writeNewKeys(file); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make receipt keys: %w", err)
		}
	}
	return OpenKeys(file)
}

// writeNewKeys makes the whole file or none, so that two processes that start at once read the same keys.
func writeNewKeys(file string) error {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	_, log, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: ec, KeyID: "receipts-" + rand.Text()[:8], Algorithm: string(jose.ES256), Use: "sig"},
		{Key: log, KeyID: "log-" + rand.Text()[:8], Algorithm: string(jose.EdDSA), Use: "sig"},
	}}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	if _, err := draft.Write(raw); err != nil {
		return errors.Join(err, draft.Close())
	}
	if err := draft.Close(); err != nil {
		return err
	}
	return os.Link(draft.Name(), file)
}
