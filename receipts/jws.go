package receipts

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/go-jose/go-jose/v4"

	"github.com/formidling/formidling/models"
)

// The types of signed documents, so that one is never taken for another (RFC 8725, 3.11).
const (
	TypeReceipt = "receipt+jws"
	TypeBundle  = "receipt-bundle+jws"
)

// header is the JOSE header. Its members are written in the order of the fields.
type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ"`
}

// sign makes a compact JWS (RFC 7515, 7.1) of a payload.
func (k *Keys) sign(typ string, payload any) (string, error) {
	head, err := json.Marshal(header{Algorithm: string(jose.ES256), KeyID: k.kid, Type: typ})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	digest := sha256.Sum256([]byte(signed))
	der, err := ecdsa.SignASN1(rand.Reader, k.signing, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", k.kid, err)
	}
	signature, err := fixedForm(der)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", k.kid, err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// Sign signs a receipt.
func (k *Keys) Sign(r models.Receipt) (string, error) {
	return k.sign(TypeReceipt, r)
}

// fixedForm is r and s with 32 bytes each, as RFC 7518, 3.4 wants them.
func fixedForm(der []byte) ([]byte, error) {
	var rs struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &rs); err != nil || len(rest) > 0 || rs.R.Sign() <= 0 || rs.S.Sign() <= 0 || rs.R.BitLen() > 256 || rs.S.BitLen() > 256 {
		return nil, errors.New("the signature is no ECDSA P-256 signature in DER")
	}
	out := make([]byte, 64)
	rs.R.FillBytes(out[:32])
	rs.S.FillBytes(out[32:])
	return out, nil
}

// open verifies a compact JWS of a type with one of the keys, and reads its payload.
func open(keys []jose.JSONWebKey, typ, compact string, into any) error {
	token, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return errors.New("it is no JWS with ES256")
	}
	protected := token.Signatures[0].Protected
	key, known := find(keys, protected.KeyID)
	switch {
	case protected.ExtraHeaders[jose.HeaderType] != typ:
		return fmt.Errorf("it is not of the type %s", typ)
	case !known || !isP256(key.Key):
		return fmt.Errorf("no key %q is known", protected.KeyID)
	}
	payload, err := token.Verify(key.Key)
	if err != nil {
		return fmt.Errorf("its signature is not that of key %q", protected.KeyID)
	}
	if err := json.Unmarshal(payload, into); err != nil {
		return errors.New("its payload cannot be read")
	}
	return nil
}

// Open verifies a receipt with published keys.
func Open(keys jose.JSONWebKeySet, compact string) (models.Receipt, error) {
	var r models.Receipt
	return r, open(keys.Keys, TypeReceipt, compact, &r)
}
