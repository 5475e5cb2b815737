package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/formidling/formidling/models"
)

// demoClient is one organisation's system, speaking HTTP as any client would.
type demoClient struct {
	http        *http.Client
	base, token string // token is empty for who logs in with its certificate
}

// refusal is an answer that is no success.
type refusal struct {
	Status       int
	Code, Detail string
	request      string
}

// Error implements error.
func (r *refusal) Error() string {
	return fmt.Sprintf("%s: %d %s %s", r.request, r.Status, r.Code, r.Detail)
}

// loginWithCertificate makes a client that speaks TLS with an organisation's certificate, from a file as testpki
// writes it.
func loginWithCertificate(_ context.Context, c config, file string) (*demoClient, error) {
	certified, err := certifiedClient(c, file)
	if err != nil {
		return nil, err
	}
	return &demoClient{http: certified, base: c.MTLSURL + "/broker/api/v1"}, nil
}

// loginWithToken makes a client that has bought a token with the certificate.
func loginWithToken(ctx context.Context, c config, file string) (*demoClient, error) {
	token, err := buyToken(ctx, http.DefaultClient, c.PublicURL, file, models.AllScopes())
	if err != nil {
		return nil, err
	}
	return &demoClient{http: http.DefaultClient, base: c.PublicURL + "/broker/api/v1", token: token}, nil
}

// certifiedClient trusts the test PKI's server certificates only.
func certifiedClient(c config, file string) (*http.Client, error) {
	own, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	root, err := os.ReadFile(filepath.Join(c.pkiDirectory(), "root.pem"))
	if err != nil {
		return nil, fmt.Errorf("read root certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12,
	}}}, nil
}

func (c *demoClient) post(ctx context.Context, path string, body, out any) error {
	return c.call(ctx, http.MethodPost, path, body, out)
}

func (c *demoClient) put(ctx context.Context, path string, body any) error {
	return c.call(ctx, http.MethodPut, path, body, nil)
}

func (c *demoClient) get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, nil, out)
}

func (c *demoClient) call(ctx context.Context, method, path string, body, out any) error {
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(raw)
	}
	response, err := c.do(ctx, method, path, "application/json", sent)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if out == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(out)
}

// do sends a request; an answer that is no success is an error that says what the broker said.
func (c *demoClient) do(ctx context.Context, method, path, kind string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != nil {
		r.Header.Set("Content-Type", kind)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		defer func() { _ = response.Body.Close() }()
		refused := &refusal{Status: response.StatusCode, request: method + " " + path}
		_ = json.NewDecoder(io.LimitReader(response.Body, 4<<10)).Decode(refused) // what is no problem document has no code
		return nil, refused
	}
	return response, nil
}

// upload sends a file and returns what it hashes to and its size.
func (c *demoClient) upload(ctx context.Context, id, file string) (sum string, n int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	counted := &counter{}
	response, err := c.do(ctx, http.MethodPost, "/filetransfer/"+id+"/upload", "application/octet-stream", io.TeeReader(f, io.MultiWriter(hash, counted)))
	if err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(hash.Sum(nil)), counted.n, response.Body.Close()
}

// download reads the file and returns what it hashes to and its size.
func (c *demoClient) download(ctx context.Context, id string) (sum string, n int64, err error) {
	response, err := c.do(ctx, http.MethodGet, "/filetransfer/"+id+"/download", "", nil)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = response.Body.Close() }()
	hash := sha256.New()
	n, err = io.Copy(hash, response.Body)
	return hex.EncodeToString(hash.Sum(nil)), n, err
}

// counter counts what is written to it.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }
