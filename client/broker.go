package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options say where the broker is and who the caller is. The caller needs a Certificate, or Tokens, or both when the
// tokens are bound to the certificate.
type Options struct {
	// URL is the broker's address, such as https://broker.example; the paths of the API follow it.
	URL string
	// Certificate is the caller's enterprise certificate with its chain and key; the URL is then that of the listener
	// for certificates.
	Certificate *tls.Certificate
	// Tokens gives bearer tokens: a StaticToken, or Tokens that are bought with a key and renewed.
	Tokens TokenSource
	// CA is whom to trust for the broker's own certificate; nil takes the system's.
	CA *x509.CertPool
	// Transport replaces the transport that CA and Certificate configure.
	Transport http.RoundTripper
	// Retry says how to go on over failures.
	Retry Retry
	// Stall is how long a body may stand still before the connection is given up and a new one is made; 1 minute
	// by default.
	Stall time.Duration
	// UserAgent is sent with each request; "formidling-go" by default.
	UserAgent string
}

// Broker is one broker, as one organisation sees it. It is safe for concurrent use.
type Broker struct {
	// API is every operation of the broker. Requests that are safe to repeat are repeated as Retry says.
	API *API

	base      *url.URL
	http      *http.Client
	tokens    TokenSource
	retry     Retry
	stall     time.Duration
	userAgent string
}

// How long an answer may take.
const (
	callTimeout   = time.Minute      // of a request without a file
	answerTimeout = 15 * time.Minute // after the last byte of a file: it is being made durable and verified
)

// New makes a Broker. It does not talk to the broker yet.
func New(o Options) (*Broker, error) {
	base, err := url.Parse(strings.TrimRight(o.URL, "/"))
	if err != nil {
		return nil, fmt.Errorf("read the broker's address: %w", err)
	}
	if base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fmt.Errorf("the broker's address %q must begin with https:// or http://", o.URL)
	}
	if o.Transport == nil {
		o.Transport = NewTransport(o.CA, o.Certificate)
	}
	b := &Broker{base: base, tokens: o.Tokens, retry: o.Retry, stall: o.Stall, userAgent: firstOf(o.UserAgent, "formidling-go")}
	if b.stall <= 0 {
		b.stall = time.Minute
	}
	b.http = &http.Client{Transport: o.Transport, CheckRedirect: noRedirect}
	b.API, err = NewClient(base.String(), WithHTTPClient(b))
	return b, err
}

// noRedirect keeps a client where it asked: the broker does not redirect; who else does gets no credential.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// NewTransport makes the transport that a Broker uses: TLS 1.2 or later, and HTTP/1.1, because one connection for
// each part of a file is faster than all parts on one.
func NewTransport(ca *x509.CertPool, certificate *tls.Certificate) *http.Transport {
	settings := &tls.Config{RootCAs: ca, MinVersion: tls.VersionTLS12}
	if certificate != nil {
		settings.Certificates = []tls.Certificate{*certificate}
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSClientConfig: settings,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: answerTimeout, ExpectContinueTimeout: 2 * time.Second,
		IdleConnTimeout: 30 * time.Second, MaxIdleConnsPerHost: 16,
		DisableCompression: true, // a digest is of the bytes as they are
		WriteBufferSize:    256 << 10, ReadBufferSize: 256 << 10,
	}
}

// Do sends a request as this caller. It is repeated on failure when that is safe: reading ones, and ones that carry
// an Idempotency-Key and whose body can be had again. An answer that is a refusal is returned as it is.
func (b *Broker) Do(r *http.Request) (*http.Response, error) { return b.do(r, b.retry.begin()) }

func (b *Broker) do(r *http.Request, p *patience) (*http.Response, error) {
	for renewed := false; ; {
		response, err := b.timed(r)
		if !replayable(r) || err == nil && response.StatusCode < 400 {
			return response, err
		}
		switch {
		case err == nil && !renewed && b.renew(r, response):
			renewed = true
		case err == nil && !mayPass(response):
			return response, nil
		default:
			if err == nil {
				err = refusal(operation(r), response)
			}
			if err := p.pause(r.Context(), err); err != nil {
				return nil, err
			}
		}
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// timed sends a request once, and gives up when its answer does not begin in time.
func (b *Broker) timed(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	late := time.AfterFunc(callTimeout, func() { cancel(errStalled) })
	response, err := b.once(r.WithContext(ctx))
	late.Stop()
	if err != nil {
		cancel(err)
		return nil, err
	}
	response.Body = &closing{ReadCloser: response.Body, then: func() { cancel(nil) }}
	return response, nil
}

// closing does something more when a body is closed.
type closing struct {
	io.ReadCloser
	then func()
}

func (c *closing) Close() error {
	defer c.then()
	return c.ReadCloser.Close()
}

func mayPass(response *http.Response) bool {
	return (&Error{Status: response.StatusCode, Retryable: response.StatusCode == http.StatusInsufficientStorage}).mayPass()
}

// replayable tells whether a request may be sent twice without harm.
func replayable(r *http.Request) bool {
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return r.Header.Get("Idempotency-Key") != "" || r.Header.Get(repeatable) != ""
}

// repeatable marks a request that may be sent twice without harm. It is not sent.
const repeatable = "X-Client-Repeatable"

func markRepeatable(_ context.Context, r *http.Request) error {
	r.Header.Set(repeatable, "yes")
	return nil
}

// renew forgets a token that the broker refused, and reports whether there may be a better one.
func (b *Broker) renew(r *http.Request, response *http.Response) bool {
	from, ok := b.tokens.(interface{ Forget(token string) bool })
	if !ok || response.StatusCode != http.StatusUnauthorized {
		return false
	}
	raw, _ := io.ReadAll(io.LimitReader(response.Body, maxProblem))
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(raw)) // for who reads the refusal
	var p Problem
	if json.Unmarshal(raw, &p) == nil && p.Code != codeUnauthenticated { // an answer without a problem document may be about the token too
		return false
	}
	return from.Forget(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
}

// once sends a request, once.
func (b *Broker) once(r *http.Request) (*http.Response, error) {
	if b.tokens != nil {
		token, err := b.tokens.Token(r.Context())
		if err != nil {
			return nil, fmt.Errorf("log in: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("User-Agent", b.userAgent)
	sent := r
	if r.Header.Get(repeatable) != "" {
		sent = r.Clone(r.Context())
		sent.Header.Del(repeatable)
	}
	response, err := b.http.Do(sent)
	if err != nil {
		return nil, broken(r.Context(), operation(r), err)
	}
	return response, nil
}

// broken names a failure to get an answer; the end of the caller's own context stays what it is.
func broken(ctx context.Context, op string, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errStalled) {
		return cause
	} else if cause != nil {
		err = cause
	}
	var address *url.Error
	if errors.As(err, &address) { // its text repeats method and address
		err = address.Err
	}
	return &NetworkError{Op: op, Err: err}
}

func operation(r *http.Request) string { return r.Method + " " + r.URL.Path }

// Decode reads the answer to an operation of API. A refusal comes back as an *Error. T is struct{} where the answer
// has no body.
func Decode[T any](response *http.Response, err error) (T, error) {
	var out T
	if err != nil {
		return out, err
	}
	op := operation(response.Request)
	if response.StatusCode >= 300 {
		return out, refusal(op, response)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return out, broken(response.Request.Context(), op, err)
	}
	if _, none := any(out).(struct{}); none || len(raw) == 0 {
		return out, nil
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("%s: the answer is not what the API promises: %w", op, err)
	}
	return out, nil
}

// Me is who the broker takes the caller for.
func (b *Broker) Me(ctx context.Context) (Me, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return Decode[Me](b.API.GetMe(ctx))
}

// Overview is the state of a transfer.
func (b *Broker) Overview(ctx context.Context, id FileTransferID) (FileTransferOverview, error) {
	return Decode[FileTransferOverview](b.API.GetFileTransfer(ctx, id))
}

// Confirm tells the sender that the caller has the file. Confirming again is success.
func (b *Broker) Confirm(ctx context.Context, id FileTransferID) error {
	_, err := Decode[struct{}](b.API.ConfirmDownloadWithBody(ctx, id, "application/json", http.NoBody, markRepeatable))
	return err
}

// Cancel takes a transfer back, until its first download begins. Cancelling again is success.
func (b *Broker) Cancel(ctx context.Context, id FileTransferID) error {
	_, err := Decode[struct{}](b.API.CancelFileTransfer(ctx, id, markRepeatable))
	return err
}
