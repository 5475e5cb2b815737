package testpki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Where things lie in a PKI's directory. Every file is readable by its owner only, for most hold a key.
const (
	caDir      = "ca"
	caseDir    = "cases"
	listDir    = "crl"
	serverFile = "server.pem"
)

// renewBefore is how long before its end a certificate on disk is replaced.
const renewBefore = 30 * 24 * time.Hour

// Organisations are those that `formidling run`, `demo` and `testpki` make certificates for. They are synthetic: no real
// organisation number begins with 3.
var Organisations = []string{"310000019", "310000027", "310000035", "310000043", "310000051"}

// Open reads the PKI in a directory, or makes one there. Its CAs stay; its revocation lists are issued anew,
// and what is missing or about to expire is made. Processes that open one directory at once share one PKI.
func Open(dir string, now time.Time) (*PKI, error) {
	p := &PKI{now: now.Truncate(time.Second).UTC(), authorities: map[string]*authority{}, enrolled: map[string]tls.Certificate{}}
	err := p.load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		made, newErr := New(now)
		if newErr != nil {
			return nil, newErr
		}
		if err = made.Write(dir); err == nil {
			return made, nil
		}
		if errors.Is(err, fs.ErrExist) { // somebody else was faster
			err = p.load(dir)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open test PKI: %w", err)
	}
	if err := p.publish(); err != nil {
		return nil, fmt.Errorf("write test PKI: %w", err)
	}
	return p, nil
}

// Write puts a PKI that was made in memory into a directory, which must hold none yet. From then on Enrol
// and Revoke write there too.
func (p *PKI) Write(dir string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.install(dir); err != nil {
		return fmt.Errorf("write test PKI: %w", err)
	}
	p.dir = dir
	if err := p.publish(); err != nil {
		return fmt.Errorf("write test PKI: %w", err)
	}
	return nil
}

// install writes the CAs beside their place and renames their directory, so that of two PKIs one wins whole.
func (p *PKI) install(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := vacant(dir); err != nil {
		return err
	}
	draft, err := os.MkdirTemp(dir, ".ca-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(draft) }()
	for name, a := range p.authorities {
		raw, err := encode(tls.Certificate{Certificate: [][]byte{a.certificate.Raw}, PrivateKey: a.key})
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(draft, name+".pem"), raw, 0o600); err != nil {
			return err
		}
	}
	return os.Rename(draft, filepath.Join(dir, caDir)) // refused when there is one, since it is not empty
}

// vacant refuses directories that hold a PKI, with fs.ErrExist, or anything else.
func vacant(dir string) error {
	there, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range there {
		if e.Name()[0] == '.' || e.Name() == "lost+found" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, caDir)); err == nil {
			return fmt.Errorf("%s: %w", dir, fs.ErrExist)
		}
		return fmt.Errorf("%s is no test PKI, and not empty: it has %s", dir, e.Name())
	}
	return nil
}

// load reads the CAs and the revocation lists that they published last.
func (p *PKI) load(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, caDir)); err != nil {
		return err
	}
	p.dir = dir
	for _, def := range authorityDefinitions() {
		c, err := read(p.path(caDir, def.name+".pem"))
		if err != nil {
			return err
		}
		a := &authority{certificate: c.Leaf, key: signer(c)}
		p.authorities[def.name] = a
		if !def.lists {
			continue
		}
		der, err := os.ReadFile(p.listPath(def.name))
		switch {
		case errors.Is(err, fs.ErrNotExist): // the process that makes this PKI has not come that far, or was killed
			err = p.firstList(def.name)
		case err == nil:
			err = a.readList(der)
		}
		if err != nil {
			return err
		}
		if def.name != withStaleList {
			a.list.from, a.list.to = p.now.Add(-time.Minute), p.now.Add(listLife)
		}
	}
	return nil
}

// publish writes whatever is not in the directory yet, and the revocation lists as they are now.
func (p *PKI) publish() error {
	for _, sub := range []string{caseDir, listDir} {
		if err := os.MkdirAll(p.path(sub), 0o700); err != nil {
			return err
		}
	}
	made := p.cases
	err := p.makeCases(func(c caseOf) (tls.Certificate, error) {
		return p.keep(p.path(caseDir, c.name+".pem"), nil, func() (tls.Certificate, error) {
			for _, m := range made {
				if m.Name == c.name {
					return m.Certificate, nil
				}
			}
			return p.issueCase(c)
		})
	})
	if err != nil {
		return err
	}
	for number, c := range p.enrolled {
		if p.enrolled[number], err = p.keepOrganisation(number, c); err != nil {
			return err
		}
	}
	if err := p.keepServer(); err != nil {
		return err
	}
	if err := p.publishLists(); err != nil {
		return err
	}
	return p.publishTexts()
}

// publishLists signs and writes every revocation list.
func (p *PKI) publishLists() error {
	for name, a := range p.authorities {
		if a.list == nil {
			continue
		}
		if err := a.sign(); err != nil {
			return err
		}
		if err := replace(p.listPath(name), a.list.der); err != nil {
			return err
		}
	}
	return nil
}

// keepOrganisation keeps the certificate in the directory until it is about to expire.
func (p *PKI) keepOrganisation(number string, c tls.Certificate) (tls.Certificate, error) {
	return p.keep(p.path(number+".pem"), p.lasts, func() (tls.Certificate, error) { return c, nil })
}

// KeepServer makes sure that the directory's server certificate is for this machine and for these hosts.
func (p *PKI) KeepServer(hosts ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keepServer(hosts...)
}

func (p *PKI) keepServer(hosts ...string) error {
	hosts = append(localHosts(), hosts...)
	good := func(c *x509.Certificate) bool {
		for _, h := range hosts {
			if c.VerifyHostname(h) != nil {
				return false
			}
		}
		return p.lasts(c)
	}
	if _, err := p.keep(p.path(serverFile), good, func() (tls.Certificate, error) { return p.server(hosts...) }); err != nil {
		return fmt.Errorf("make server certificate: %w", err)
	}
	return nil
}

func (p *PKI) lasts(c *x509.Certificate) bool { return p.now.Add(renewBefore).Before(c.NotAfter) }

// keep returns the certificate in a file. When there is none, or a good one is asked for and this is none,
// it writes a new one; the first writer of an absent file wins.
func (p *PKI) keep(file string, good func(*x509.Certificate) bool, issue func() (tls.Certificate, error)) (tls.Certificate, error) {
	c, err := read(file)
	if err == nil && (good == nil || good(c.Leaf)) {
		return c, nil
	}
	absent := errors.Is(err, fs.ErrNotExist)
	if err != nil && !absent {
		return c, err
	}
	if c, err = issue(); err != nil {
		return c, err
	}
	raw, err := encode(c)
	if err != nil {
		return c, err
	}
	if !absent {
		return c, replace(file, raw)
	}
	if err := place(file, raw); err != nil {
		return c, err
	}
	return read(file)
}

func (p *PKI) path(parts ...string) string {
	return filepath.Join(append([]string{p.dir}, parts...)...)
}

func (p *PKI) listPath(name string) string { return p.path(listDir, name+".crl") }
