package identity

import (
	"crypto/x509"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/identity/testpki"
	"github.com/formidling/formidling/models"
)

func TestCheckProof_TakesWhatDoesNotLogIn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pki")
	pki, err := testpki.Open(dir, time.Now())
	require.NoError(t, err)
	trust, err := LoadTrust(filepath.Join(dir, "trust.json"), TrustOptions{})
	require.NoError(t, err)
	require.NoError(t, trust.Refresh(t.Context()))
	payload := models.ProofPayload(uuid.New(), "00")
	signing := testpki.Change(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment })
	for name, options := range map[string][]testpki.Option{"P-256": {signing}, "RSA": {signing, pki.RSA()}, "authentication": {}} {
		c, err := pki.Organisation("310000027", options...)
		require.NoError(t, err)
		proof, err := SignProof(c, payload)
		require.NoError(t, err)
		require.NoError(t, trust.CheckProof("0192:310000027", proof, payload), name)
		require.ErrorIs(t, trust.CheckProof("0192:310000035", proof, payload), models.ErrProofInvalid)
		require.ErrorIs(t, trust.CheckProof("0192:310000027", proof, append(payload, ' ')), models.ErrProofInvalid)
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		require.NoError(t, err)
		if name != "authentication" { // that a proof was accepted lets nobody in
			_, err = trust.Recheck([]*x509.Certificate{leaf})
			require.ErrorIs(t, err, models.ErrUnauthenticated, name)
		}
	}
	_, err = trust.VerifySeal(nil)
	require.ErrorIs(t, err, models.ErrUnauthenticated)
}
