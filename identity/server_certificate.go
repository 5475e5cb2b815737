package identity

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// ServerCertificate is a server's certificate in files. It is read again when they change, so that a renewed
// one needs no restart.
type ServerCertificate struct {
	certificate, key string
	log              *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	read    [2]stamp
}

// stamp tells a changed file.
type stamp struct {
	size     int64
	modified time.Time
}

// LoadServerCertificate reads a certificate with its chain and the key, in PEM; both may lie in one file.
func LoadServerCertificate(certificate, key string, log *slog.Logger) (*ServerCertificate, error) {
	s := &ServerCertificate{certificate: certificate, key: key, log: log}
	if err := s.load(s.stamps()); err != nil {
		return nil, fmt.Errorf("read server certificate: %w", err)
	}
	return s, nil
}

// Get is for tls.Config.GetCertificate. While the files do not fit together, as in the middle of a renewal,
// it serves the certificate that it had.
func (s *ServerCertificate) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.stamps(); now != s.read {
		if err := s.load(now); err != nil {
			s.log.ErrorContext(hello.Context(), "server certificate not renewed", "error", err)
		} else {
			s.log.InfoContext(hello.Context(), "server certificate renewed", "expires", s.current.Leaf.NotAfter)
		}
	}
	return s.current, nil
}

// load remembers the stamps of a pair that cannot be read too, so that one failure is logged once.
func (s *ServerCertificate) load(now [2]stamp) error {
	s.read = now
	c, err := tls.LoadX509KeyPair(s.certificate, s.key)
	if err == nil {
		s.current = &c
	}
	return err
}

func (s *ServerCertificate) stamps() [2]stamp {
	var found [2]stamp
	for i, file := range []string{s.certificate, s.key} {
		if info, err := os.Stat(file); err == nil {
			found[i] = stamp{size: info.Size(), modified: info.ModTime()}
		}
	}
	return found
}
