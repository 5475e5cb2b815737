package identity

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// trustBundle is the file that says whom to trust. Its paths are relative to it.
type trustBundle struct {
	Development bool           `json:"development"`
	Roots       []string       `json:"roots"`
	Issuers     []bundleIssuer `json:"issuers"`
}

type bundleIssuer struct {
	Name        string   `json:"name"`
	Certificate string   `json:"certificate"`
	Policies    []string `json:"policies"`
	CRL         string   `json:"crl"`
}

// LoadTrust reads a bundle, and the revocation lists that are files. Those that are addresses are fetched by
// Refresh or Run; until then their issuers' certificates are refused.
func LoadTrust(file string, o TrustOptions) (*Trust, error) {
	b, err := readBundle(file)
	if err != nil {
		return nil, fmt.Errorf("read trust bundle %s: %w", file, err)
	}
	dir := filepath.Dir(file)
	roots := make([]*x509.Certificate, len(b.Roots))
	for i, r := range b.Roots {
		if roots[i], err = readCertificate(within(dir, r)); err != nil {
			return nil, fmt.Errorf("read trust bundle %s: roots[%d]: %w", file, i, err)
		}
	}
	issuers := make([]IssuingCA, len(b.Issuers))
	for i, e := range b.Issuers {
		if issuers[i], err = e.read(dir); err != nil {
			return nil, fmt.Errorf("read trust bundle %s: issuers[%d] %q: %w", file, i, e.Name, err)
		}
	}
	t, err := NewTrust(b.Development, roots, issuers, o)
	if err != nil {
		return nil, fmt.Errorf("read trust bundle %s: %w", file, err)
	}
	for _, ca := range t.issuers {
		if !isAddress(ca.CRL) {
			_ = ca.revoked.refresh(context.Background()) // it is logged, and certificates are refused until it is there
		}
	}
	return t, nil
}

func readBundle(file string) (trustBundle, error) {
	var b trustBundle
	raw, err := os.ReadFile(file)
	if err != nil {
		return b, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return b, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return b, errors.New("something follows the bundle")
	}
	return b, nil
}

func (e bundleIssuer) read(dir string) (IssuingCA, error) {
	c, err := readCertificate(within(dir, e.Certificate))
	if err != nil {
		return IssuingCA{}, fmt.Errorf("certificate: %w", err)
	}
	location := e.CRL
	if strings.Contains(location, "://") {
		u, err := url.Parse(location)
		if err != nil || !isAddress(location) || u.Host == "" || u.User != nil {
			return IssuingCA{}, fmt.Errorf("crl %q: it must be a file, or an address that begins with https:// or http://", location)
		}
	} else if location != "" {
		location = within(dir, location)
	}
	return IssuingCA{Name: e.Name, Certificate: c, Policies: e.Policies, CRL: location}, nil
}

// within is a path as the bundle means it.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// readCertificate reads one certificate, in PEM or in DER.
func readCertificate(file string) (*x509.Certificate, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if block, rest := pem.Decode(raw); block != nil {
		if next, _ := pem.Decode(rest); next != nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s: it must hold one certificate and nothing else", file)
		}
		raw = block.Bytes
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}
