package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/formidling/formidling/models"
)

// OpenProof verifies a detached JWS (RFC 7515, appendix F) over a payload with the key of the first certificate in its
// x5c, and returns the certificates. Trust.VerifySeal decides whether they are to be trusted.
func OpenProof(detached string, payload []byte) ([]*x509.Certificate, error) {
	header, err := readAssertionHeader(detached)
	if err != nil || header.Chain == nil {
		return nil, errors.New("it is no compact JWS with x5c, and without crit, jku, jwk, x5u and kid")
	}
	token, err := jose.ParseDetached(detached, payload, Algorithms())
	if err != nil {
		return nil, errors.New("it is no detached JWS with an algorithm that is accepted")
	}
	chain, err := parseChain(header.Chain)
	if err != nil {
		return nil, errors.New("its x5c cannot be read")
	}
	if !fits(header.Algorithm, chain[0].PublicKey) {
		return nil, errors.New("its certificate's key does not fit its algorithm")
	}
	if err := token.DetachedVerify(payload, chain[0].PublicKey); err != nil {
		return nil, errors.New("its signature is not that of its certificate over this payload")
	}
	return chain, nil
}

// VerifySeal is Verify for a certificate that signed something to be kept. There nonRepudiation is as good as
// digitalSignature, with which alone one logs in, and an extended key usage says nothing.
func (t *Trust) VerifySeal(presented []*x509.Certificate) (models.Party, error) {
	if len(presented) == 0 {
		return "", refuse("there is no certificate")
	}
	leaf, now := presented[0], t.options.Now()
	v, err := t.chain(leaf, now, x509.ExtKeyUsageAny)
	if err != nil {
		return "", err
	}
	switch {
	case leaf.IsCA || leaf.KeyUsage&x509.KeyUsageCertSign != 0:
		return "", refuse("it is a CA's certificate")
	case leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0:
		return "", refuse("its key usage has neither nonRepudiation nor digitalSignature")
	case !v.issuer.allows(leaf.Policies):
		return "", refuse("it has no policy that is accepted of " + v.issuer.Name)
	}
	party, err := organisation(leaf, t.options.SEID1)
	if err != nil {
		return "", err
	}
	return party, v.issuer.revoked.check(serialKey(leaf.SerialNumber), now)
}

// CheckProof accepts a party's own signature for a transfer's content, and refuses any other: models.ErrProofInvalid.
func (t *Trust) CheckProof(p models.Party, detached string, payload []byte) error {
	chain, err := OpenProof(detached, payload)
	if err != nil {
		return models.ErrProofInvalid.Because("%s.", err.Error())
	}
	signer, err := t.VerifySeal(chain)
	if err != nil {
		return models.ErrProofInvalid.Because("The certificate is not accepted.")
	}
	if signer != p {
		return models.ErrProofInvalid.Because("The certificate is that of %s.", signer)
	}
	return nil
}

// SignProof makes a detached JWS over a payload with an enterprise certificate and its key: what a party sends as proof.
func SignProof(c tls.Certificate, payload []byte) (string, error) {
	algorithm := jose.ES256
	switch k := c.PrivateKey.(crypto.Signer).Public().(type) {
	case *rsa.PublicKey:
		algorithm = jose.RS256
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P384() {
			algorithm = jose.ES384
		}
	}
	chain := make([]string, len(c.Certificate))
	for n, der := range c.Certificate {
		chain[n] = base64.StdEncoding.EncodeToString(der)
	}
	o := &jose.SignerOptions{}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: c.PrivateKey}, o.WithHeader("x5c", chain))
	if err != nil {
		return "", fmt.Errorf("sign proof: %w", err)
	}
	token, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign proof: %w", err)
	}
	return token.DetachedCompactSerialize()
}
