package workflows

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

// Metadata of an encrypted payload.
const (
	encodingEncrypted = "binary/encrypted"
	metadataKeyID     = "encryption-key-id"
)

// Encryption is a payload codec: everything that Temporal stores of our messages is AES-256-GCM under
// the first key; older keys still decrypt. Search attributes, ids and names are outside of it.
type Encryption struct {
	current string
	keys    map[string]cipher.AEAD
}

// NewEncryption reads keys of the form "id:base64" (32 bytes each), separated by commas, newest first.
func NewEncryption(keys string) (*Encryption, error) {
	e := &Encryption{keys: map[string]cipher.AEAD{}}
	for entry := range strings.SplitSeq(keys, ",") {
		id, encoded, found := strings.Cut(strings.TrimSpace(entry), ":")
		if !found || id == "" {
			return nil, errors.New("read payload keys: each must be of the form id:base64")
		}
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(raw) != 32 {
			return nil, fmt.Errorf("read payload key %s: it must be 32 bytes in base64", id)
		}
		block, err := aes.NewCipher(raw)
		if err != nil {
			return nil, fmt.Errorf("read payload key %s: %w", id, err)
		}
		if e.keys[id], err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("read payload key %s: %w", id, err)
		}
		if e.current == "" {
			e.current = id
		}
	}
	return e, nil
}

// Encode implements converter.PayloadCodec.
func (e *Encryption) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encrypt payload: %w", err)
		}
		aead := e.keys[e.current]
		nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
		if _, err := rand.Read(nonce); err != nil {
			return nil, fmt.Errorf("encrypt payload: %w", err)
		}
		out[i] = &commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encodingEncrypted), metadataKeyID: []byte(e.current)},
			Data:     aead.Seal(nonce, nonce, plain, []byte(e.current)),
		}
	}
	return out, nil
}

// Decode implements converter.PayloadCodec. Payloads that are not encrypted pass as they are.
func (e *Encryption) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != encodingEncrypted {
			out[i] = p
			continue
		}
		id := string(p.GetMetadata()[metadataKeyID])
		aead, known := e.keys[id]
		if !known || len(p.GetData()) < aead.NonceSize() {
			return nil, fmt.Errorf("decrypt payload: key %q is not configured or the payload is damaged", id)
		}
		nonce, sealed := p.GetData()[:aead.NonceSize()], p.GetData()[aead.NonceSize():]
		plain, err := aead.Open(nil, nonce, sealed, []byte(id))
		if err != nil {
			return nil, fmt.Errorf("decrypt payload: %w", err)
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, out[i]); err != nil {
			return nil, fmt.Errorf("decrypt payload: %w", err)
		}
	}
	return out, nil
}
