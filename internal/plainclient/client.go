package plainclient

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

	"github.com/formidling/formidling/client"
)

// Client is logged in as one organisation.
type Client struct {
	HTTP  *http.Client
	Base  string // URL that the paths of requests follow
	Token string // empty for who logs in with its certificate
}

// RefusedError is an answer that is no success.
type RefusedError struct {
	Status       int
	Code, Detail string
	request      string
}

// Error implements error.
func (r *RefusedError) Error() string {
	return fmt.Sprintf("%s: %d %s %s", r.request, r.Status, r.Code, r.Detail)
}

// brokerAPI is where the API of transfers and services lies.
const brokerAPI = "/broker/api/v1"

// WithToken makes a client of the broker at a URL that sends a token.
func WithToken(url, token string) *Client {
	return &Client{HTTP: http.DefaultClient, Base: url + brokerAPI, Token: token}
}

// WithCertificate makes a client that logs in with the enterprise certificate in a file, at a broker whose own
// certificate the root in another file signed.
func WithCertificate(url, root, file string) (*Client, error) {
	certified, err := Certified(root, file)
	if err != nil {
		return nil, err
	}
	return &Client{HTTP: certified, Base: url + brokerAPI}, nil
}

// Certified makes an HTTP client with a certificate; it trusts one root only.
func Certified(root, file string) (*http.Client, error) {
	own, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	raw, err := os.ReadFile(root)
	if err != nil {
		return nil, fmt.Errorf("read root certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(raw)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12,
	}}}, nil
}

// BuyToken asks the broker at a URL for one token, with the enterprise certificate in a file. consumer is the
// organisation that a supplier acts for, or empty.
func BuyToken(ctx context.Context, url, file, consumer string, scopes []string) (string, error) {
	own, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return "", fmt.Errorf("read certificate: %w", err)
	}
	tokens, err := client.NewTokens(client.TokenGrant{URL: url, Certificate: &own, Scopes: scopes, ConsumerOrganization: consumer})
	if err != nil {
		return "", fmt.Errorf("buy token: %w", err)
	}
	return tokens.Token(ctx)
}

// Post sends a document, and reads the answer into out unless that is nil.
func (c *Client) Post(ctx context.Context, path string, body, out any) error {
	return c.call(ctx, http.MethodPost, path, body, out)
}

// Put sends a document.
func (c *Client) Put(ctx context.Context, path string, body any) error {
	return c.call(ctx, http.MethodPut, path, body, nil)
}

// Get reads a document.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, nil, out)
}

func (c *Client) call(ctx context.Context, method, path string, body, out any) error {
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(raw)
	}
	response, err := c.Do(ctx, method, path, "application/json", sent)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if out == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(out)
}

// Do sends a request; an answer that is no success is an error that says what the broker said.
func (c *Client) Do(ctx context.Context, method, path, kind string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return nil, err
	}
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if body != nil {
		r.Header.Set("Content-Type", kind)
	}
	response, err := c.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		defer func() { _ = response.Body.Close() }()
		refused := &RefusedError{Status: response.StatusCode, request: method + " " + path}
		_ = json.NewDecoder(io.LimitReader(response.Body, 4<<10)).Decode(refused) // what is no problem document has no code
		return nil, refused
	}
	return response, nil
}

// Upload sends a file and returns what it hashes to and its size.
func (c *Client) Upload(ctx context.Context, id, file string) (sum string, n int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	counted := &counter{}
	response, err := c.Do(ctx, http.MethodPost, "/filetransfer/"+id+"/upload", "application/octet-stream", io.TeeReader(f, io.MultiWriter(hash, counted)))
	if err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(hash.Sum(nil)), counted.n, response.Body.Close()
}

// Download reads the file and returns what it hashes to and its size.
func (c *Client) Download(ctx context.Context, id string) (sum string, n int64, err error) {
	response, err := c.Do(ctx, http.MethodGet, "/filetransfer/"+id+"/download", "", nil)
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
