package identity

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServerCertificate_IsRenewedWithoutARestart(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	file := filepath.Join(b.dir, "server.pem")
	var logged bytes.Buffer
	s, err := LoadServerCertificate(file, file, slog.New(slog.NewTextHandler(&logged, nil)))
	require.NoError(t, err)
	config := b.ServerConfig(tls.Certificate{})
	require.Empty(t, config.Certificates)
	config.GetCertificate = s.Get
	served := func() *tls.Certificate {
		c, err := config.GetCertificate(&tls.ClientHelloInfo{})
		require.NoError(t, err)
		return c
	}
	first := served()
	require.Same(t, first, served())

	good, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, good[:len(good)/2], 0o600))
	require.Same(t, first, served(), "half a file changes nothing")
	require.Same(t, first, served())
	require.Equal(t, 1, bytes.Count(logged.Bytes(), []byte("not renewed")))

	require.NoError(t, os.WriteFile(file, good, 0o600))
	require.NoError(t, os.Chtimes(file, time.Time{}, time.Now().Add(time.Minute)))
	require.NoError(t, b.pki.KeepServer("broker.example"))
	require.NoError(t, served().Leaf.VerifyHostname("broker.example"))
	require.Contains(t, logged.String(), "server certificate renewed")

	require.NoError(t, os.Remove(file))
	require.NoError(t, served().Leaf.VerifyHostname("broker.example"))
	_, err = LoadServerCertificate(file, file, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, os.ErrNotExist)
}
