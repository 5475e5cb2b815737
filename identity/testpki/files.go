package testpki

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const readme = `A test PKI for Formidling, written by formidling testpki. Its certificates identify nobody: the keys of
its CAs lie in ca/, so whoever reads this directory can be any organisation. Trust it on test machines only.

  trust.json      what a broker reads to trust these organisations
  root.pem        what a client trusts to reach the broker: curl --cacert root.pem
  server.pem      certificate and key of the broker on this machine
  NUMBER.pem      certificate and key of an organisation: curl --cert NUMBER.pem
  issuing*.pem    the CAs of the organisations
  crl/            what they revoked
  ca/             every CA with its key
  cases/          a certificate for every reason to accept or refuse one; cases/trust.json trusts also the
                  CAs among them, so that each is refused for its own reason

To say formidling testpki DIR --org NUMBER again adds an organisation, keeps the CAs, and renews what expires.

The cases, all of organisation 310000019, and what a broker must make of them (seid1: only when it reads SEID v1):

`

// bundle is what a broker reads to trust this PKI.
type bundle struct {
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

// publishTexts writes the CA certificates, the bundles and the README. The bundle of the cases trusts the
// CAs that something is wrong with too, so that their certificates are refused for that and nothing else.
func (p *PKI) publishTexts() error {
	sound := bundle{Development: true, Roots: []string{root + ".pem"}}
	all := bundle{Development: true, Roots: []string{"../" + root + ".pem"}}
	for _, def := range authorityDefinitions() {
		certificate := def.name + ".pem"
		if def.ofCase {
			certificate = filepath.Join(caseDir, "ca-"+certificate)
		}
		raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.authorities[def.name].certificate.Raw})
		if err := place(p.path(certificate), raw); err != nil {
			return err
		}
		if def.name == root || def.name == impostor {
			continue
		}
		entry := bundleIssuer{Name: "Formidling Test " + def.called, Certificate: certificate, Policies: []string{Policy}, CRL: listDir + "/" + def.name + ".crl"}
		if !def.ofCase {
			sound.Issuers = append(sound.Issuers, entry)
		}
		entry.Certificate, entry.CRL = "../"+entry.Certificate, "../"+entry.CRL
		all.Issuers = append(all.Issuers, entry)
	}
	for file, content := range map[string]bundle{"trust.json": sound, caseDir + "/trust.json": all} {
		raw, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return err
		}
		if err := place(p.path(file), append(raw, '\n')); err != nil {
			return err
		}
	}
	return replace(p.path("README.txt"), append([]byte(readme), p.caseList()...))
}

// caseList is one line for each case.
func (p *PKI) caseList() []byte {
	var out bytes.Buffer
	for _, c := range p.cases {
		verdict := "refused "
		if c.Accepted {
			verdict = "accepted"
		}
		fmt.Fprintf(&out, "  %s  %-34s %s\n", verdict, c.Name, c.What)
	}
	return out.Bytes()
}

// encode is the chain and the key in one PEM, as `curl --cert` takes it.
func encode(c tls.Certificate) ([]byte, error) {
	var out bytes.Buffer
	for _, der := range c.Certificate {
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return nil, err
		}
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, err
	}
	err = pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return out.Bytes(), err
}

func read(file string) (tls.Certificate, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return tls.Certificate{}, err
	}
	c, err := tls.X509KeyPair(raw, raw)
	if err != nil {
		return c, fmt.Errorf("read %s: %w", file, err)
	}
	return c, nil
}

// signer is the key of a certificate of ours: every kind that is made here signs.
func signer(c tls.Certificate) crypto.Signer {
	s, _ := c.PrivateKey.(crypto.Signer)
	return s
}

// place writes a file unless it is there already; of two writers the first one wins.
func place(file string, raw []byte) error {
	return viaDraft(file, raw, func(draft string) error {
		if err := os.Link(draft, file); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// replace writes a file so that its readers see the old content or the new one, never half of it.
func replace(file string, raw []byte) error {
	return viaDraft(file, raw, func(draft string) error { return os.Rename(draft, file) })
}

func viaDraft(file string, raw []byte, move func(draft string) error) error {
	draft, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*") // mode 0600
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
	return move(draft.Name())
}
