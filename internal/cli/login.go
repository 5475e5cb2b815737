package cli

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/spf13/cobra"

	"github.com/formidling/formidling/client"
)

// user is who runs a client command: logged in at the broker, with somewhere to print.
type user struct {
	*config
	ctx    context.Context // of the one command that this process runs
	broker *client.Broker
	out    io.Writer // results
	show   *display  // progress and notices
}

// asUser logs in and runs a command.
func asUser(cmd *cobra.Command, c *config, run func(*user) error) error {
	u := &user{config: c, ctx: cmd.Context(), out: cmd.OutOrStdout(), show: newDisplay(cmd.ErrOrStderr(), c.quiet)}
	defer u.show.close()
	var err error
	if u.broker, err = c.connect(u.show); err != nil {
		return err
	}
	return run(u)
}

// connect makes the client that the settings describe. It does not talk to the broker yet.
func (c *config) connect(show *display) (*client.Broker, error) {
	o := client.Options{URL: c.URL, UserAgent: "formidling-cli", Retry: client.Retry{Patience: c.retryFor, Notify: show.retrying}}
	var err error
	if c.CA != "" {
		if o.CA, err = readRoots(c.CA); err != nil {
			return nil, usageError{err}
		}
	}
	if err := c.logIn(&o); err != nil {
		return nil, usageError{err}
	}
	broker, err := client.New(o)
	if err != nil {
		return nil, usageError{err}
	}
	return broker, nil
}

// logIn gives the client its credential.
func (c *config) logIn(o *client.Options) error {
	var err error
	switch c.loginMethod() {
	case "certificate":
		if c.OnBehalfOf != "" {
			return errors.New("FORMIDLING_ON_BEHALF_OF: needs FORMIDLING_LOGIN=certificate-token or key-token")
		}
		o.Certificate, err = c.readCertificate()
	case "certificate-token":
		g := client.TokenGrant{}
		if g.Certificate, err = c.readCertificate(); err == nil {
			o.Tokens, err = c.grant(g, o.CA)
		}
	case "key-token":
		g := client.TokenGrant{ClientID: c.ClientID}
		if g.Key, g.KeyID, err = readKey(c.ClientKey); err == nil {
			if c.ClientKeyID != "" {
				g.KeyID = c.ClientKeyID
			}
			o.Tokens, err = c.grant(g, o.CA)
		}
	case "token":
		switch {
		case c.Token != "":
			o.Tokens = client.StaticToken(c.Token)
		case c.TokenFile != "":
			o.Tokens = tokenFile(c.TokenFile)
		default:
			err = errors.New("FORMIDLING_LOGIN=token: needs FORMIDLING_TOKEN or FORMIDLING_TOKEN_FILE")
		}
	case "":
		err = errors.New("who are you? Set FORMIDLING_CERTIFICATE, FORMIDLING_TOKEN or FORMIDLING_CLIENT_KEY")
	default:
		err = fmt.Errorf("FORMIDLING_LOGIN=%q: it must be certificate, certificate-token, key-token or token", c.Login)
	}
	return err
}

func (c *config) loginMethod() string {
	switch {
	case c.Login != "":
		return c.Login
	case c.Token != "" || c.TokenFile != "":
		return "token"
	case c.ClientKey != "":
		return "key-token"
	case c.Certificate != "":
		return "certificate"
	}
	return ""
}

// grant buys tokens without the certificate on the connection: else they would be of use only with it.
func (c *config) grant(g client.TokenGrant, roots *x509.CertPool) (client.TokenSource, error) {
	g.URL, g.Audience, g.ConsumerOrganization = c.URL, c.Audience, c.OnBehalfOf
	g.Transport = client.NewTransport(roots, nil)
	return client.NewTokens(g)
}

func (c *config) readCertificate() (*tls.Certificate, error) {
	key := c.CertificateKey
	if key == "" {
		key = c.Certificate
	}
	own, err := tls.LoadX509KeyPair(c.Certificate, key)
	if err != nil {
		return nil, fmt.Errorf("FORMIDLING_CERTIFICATE: %w", err)
	}
	return &own, nil
}

// prover is the certificate with which proofs are signed, if they are wanted; however its user logs in.
func (u *user) prover(wanted bool) (*tls.Certificate, error) {
	if !wanted {
		return nil, nil //nolint:nilnil // none is what is wanted
	}
	if u.Certificate == "" {
		return nil, usageError{errors.New("--proof: needs FORMIDLING_CERTIFICATE")}
	}
	c, err := u.readCertificate()
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

func readRoots(file string) (*x509.CertPool, error) {
	raw, err := os.ReadFile(file) //nolint:gosec // G304: its user named it
	if err != nil {
		return nil, fmt.Errorf("FORMIDLING_CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("FORMIDLING_CA: %s has no certificate in it", file)
	}
	return roots, nil
}

// readKey reads a private key: a JSON Web Key, which names itself, or PEM.
func readKey(file string) (crypto.Signer, string, error) {
	raw, err := os.ReadFile(file) //nolint:gosec // G304: its user named it
	if err != nil {
		return nil, "", fmt.Errorf("FORMIDLING_CLIENT_KEY: %w", err)
	}
	if json.Valid(raw) {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(raw); err != nil {
			return nil, "", errors.New("FORMIDLING_CLIENT_KEY: the file is no JSON Web Key")
		}
		signer, ok := key.Key.(crypto.Signer)
		if !ok {
			return nil, "", errors.New("FORMIDLING_CLIENT_KEY: this is not a private key")
		}
		return signer, key.KeyID, nil
	}
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if signer := parseKey(block); signer != nil {
			return signer, "", nil
		}
	}
	return nil, "", errors.New("FORMIDLING_CLIENT_KEY: the file has no private key in it, as a JSON Web Key or PEM")
}

func parseKey(block *pem.Block) crypto.Signer {
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		signer, _ := key.(crypto.Signer)
		return signer
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key
	}
	return nil
}

// tokenFile is a token that another program keeps fresh in a file.
type tokenFile string

// Token implements client.TokenSource.
func (f tokenFile) Token(context.Context) (string, error) {
	raw, err := os.ReadFile(string(f))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || strings.ContainsAny(token, "\r\n") {
		return "", fmt.Errorf("FORMIDLING_TOKEN_FILE: %s does not hold one token", string(f))
	}
	return token, nil
}
