package receipts

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/formidling/formidling/models"
)

// LeafData is what a leaf of the log commits to; its hash is RFC 6962's of this text.
func LeafData(kind models.LeafKind, subject string, seq int64, hash string) []byte {
	return fmt.Appendf(nil, "%s\n%s\n%d\n%s\n", kind, subject, seq, hash)
}

// checkpointText is a C2SP tlog-checkpoint: who, how many leaves, their root.
func checkpointText(origin string, t tlog.Tree) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, t.N, base64.StdEncoding.EncodeToString(t.Hash[:]))
}

// noteSigner signs notes with the key for checkpoints.
type noteSigner struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

// Name implements note.Signer.
func (s noteSigner) Name() string { return s.name }

// KeyHash implements note.Signer.
func (s noteSigner) KeyHash() uint32 { return s.hash }

// Sign implements note.Signer.
func (s noteSigner) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.key, message), nil }

// logName is the name of the log and of its key in notes: the broker's address without the scheme.
func logName(issuer string) string {
	_, host, found := strings.Cut(issuer, "://")
	if !found {
		host = issuer
	}
	return strings.NewReplacer(" ", "_", "+", "_", "\n", "_").Replace(host) + "/receipts"
}

func verifierOf(name string, key ed25519.PublicKey) (note.Verifier, error) {
	text, err := note.NewEd25519VerifierKey(name, key)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(text)
}

// signCheckpoint signs the state of the log.
func (k *Keys) signCheckpoint(issuer string, t tlog.Tree) (string, error) {
	name := logName(issuer)
	verifier, err := verifierOf(name, k.log.Public().(ed25519.PublicKey))
	if err != nil {
		return "", fmt.Errorf("sign checkpoint: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: checkpointText(name, t)}, noteSigner{name, verifier.KeyHash(), k.log})
	return string(signed), err
}

// OpenCheckpoint verifies a signed checkpoint with published keys and returns the state of the log that it names.
func OpenCheckpoint(keys jose.JSONWebKeySet, signed string) (tlog.Tree, error) {
	name, _, _ := strings.Cut(signed, "\n")
	var verifiers []note.Verifier
	for _, k := range keys.Keys {
		if public, is := k.Key.(ed25519.PublicKey); is {
			v, err := verifierOf(name, public)
			if err != nil {
				return tlog.Tree{}, errors.New("its name cannot be that of a log")
			}
			verifiers = append(verifiers, v)
		}
	}
	n, err := note.Open([]byte(signed), note.VerifierList(verifiers...))
	if err != nil {
		return tlog.Tree{}, errors.New("no known key signed it")
	}
	return parseCheckpoint(n.Text)
}

func parseCheckpoint(text string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	malformed := errors.New("its text is not that of a checkpoint")
	if len(lines) < 4 {
		return tlog.Tree{}, malformed
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return tlog.Tree{}, malformed
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, malformed
	}
	return tlog.Tree{N: size, Hash: root}, nil
}
