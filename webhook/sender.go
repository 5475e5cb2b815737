package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/formidling/formidling/internal/semaphore"
	"github.com/formidling/formidling/models"
)

// Bounds of one attempt.
const (
	attemptWait   = 10 * time.Second // for all of it
	dialWait      = 5 * time.Second
	drainWait     = time.Second // for the body of an answer whose status is known already
	maxAnswer     = 64 << 10    // bytes of headers, and of body
	maxRetryAfter = time.Hour
)

// Content types and names of a message.
const (
	contentType = "application/cloudevents+json"
	userAgent   = "Formidling-Webhook/1.0"
)

// Options bound what a process sends at once. The zero value has sensible bounds.
type Options struct {
	PerHost  int            // to one host; 0: 4
	PerParty int            // of one organisation; 0: 8
	Roots    *x509.CertPool // whom endpoints' certificates must be from; nil: the system's
	Now      func() time.Time
}

// Sender sends messages. It is safe for concurrent use.
type Sender struct {
	keys          *Keys
	secure, plain *http.Client
	hosts         *semaphore.Keyed[string]
	parties       *semaphore.Keyed[models.Party]
	now           func() time.Time
}

// NewSender makes a sender that goes only where the guard lets it.
func NewSender(k *Keys, g *Guard, o Options) *Sender {
	s := &Sender{
		keys: k, now: o.Now,
		hosts: semaphore.New[string](0, cmp.Or(o.PerHost, 4)), parties: semaphore.New[models.Party](0, cmp.Or(o.PerParty, 8)),
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.secure, s.plain = clientOf(g.dialer(false), o.Roots), clientOf(g.dialer(true), o.Roots)
	return s
}

func clientOf(dial func(ctx context.Context, network, address string) (net.Conn, error), roots *x509.CertPool) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: nil, DialContext: dial, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			TLSHandshakeTimeout: dialWait, MaxResponseHeaderBytes: maxAnswer, DisableCompression: true,
			MaxIdleConnsPerHost: 4, MaxIdleConns: 256, IdleConnTimeout: 30 * time.Second,
		},
	}
}

// Send makes one attempt. The answer says what went wrong at the endpoint; an error is a fault of ours, or the end of
// ctx.
func (s *Sender) Send(ctx context.Context, m models.Message) (models.Answer, error) {
	u, err := url.Parse(m.EndPoint)
	if err != nil {
		return models.Answer{Fault: "The endpoint is no URL."}, nil
	}
	client := s.secure
	if u.Scheme == "http" {
		client = s.plain
	}
	leave, free := semaphore.Both(s.hosts, hostOf(u), s.parties, m.Party)
	if !free {
		return models.Answer{Busy: true}, nil
	}
	defer leave()
	attempt, cancel := context.WithTimeout(ctx, attemptWait)
	defer cancel()
	r, err := s.request(attempt, m)
	if err != nil {
		return models.Answer{}, err
	}
	response, err := client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return models.Answer{}, ctx.Err()
		}
		return models.Answer{Fault: faultOf(err)}, nil
	}
	defer func() { _ = response.Body.Close() }()
	drain(response, cancel)
	return s.answerOf(response), nil
}

func (s *Sender) request(ctx context.Context, m models.Message) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.EndPoint, bytes.NewReader(m.Body))
	if err != nil {
		return nil, errors.New("make webhook request: the endpoint is no URL") // its own error repeats it
	}
	var span [8]byte
	if _, err := rand.Read(span[:]); err != nil {
		return nil, fmt.Errorf("make webhook request: %w", err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", userAgent)
	// all attempts to send one event are one trace
	r.Header.Set("Traceparent", fmt.Sprintf("00-%s-%s-01", hex.EncodeToString(m.ID[:]), hex.EncodeToString(span[:])))
	r.Header["Idempotency-Key"] = nil // nil is not sent, but allows net/http to try again if the connection was closed meanwhile
	return r, s.keys.sign(r.Header, m, s.now())
}

// drain reads a little of the body, although only the status counts, so that the connection can be used again.
func drain(response *http.Response, cancel context.CancelFunc) {
	enough := time.AfterFunc(drainWait, cancel)
	defer enough.Stop()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer) // neither the bytes nor an error change the outcome
}

func (s *Sender) answerOf(r *http.Response) models.Answer {
	a := models.Answer{Status: r.StatusCode, Gone: r.StatusCode == http.StatusGone}
	switch r.StatusCode / 100 {
	case 2:
		return a
	case 3:
		a.Fault = fmt.Sprintf("It answered %d; redirects are not followed.", r.StatusCode)
	default:
		a.Fault = fmt.Sprintf("It answered %d.", r.StatusCode)
	}
	if text := r.Header.Get("Retry-After"); text != "" {
		if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
			a.RetryAfter = min(time.Duration(seconds)*time.Second, maxRetryAfter)
		} else if at, err := http.ParseTime(text); err == nil {
			a.RetryAfter = min(max(at.Sub(s.now()), 0), maxRetryAfter)
		}
	}
	return a
}

// faultOf says in our own words why there was no answer: errors of net/http repeat the URL, which may hold a token.
func faultOf(err error) string {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var network net.Error
	switch {
	case errors.Is(err, errNetwork), errors.Is(err, errPlain), errors.Is(err, errPort):
		return "It was not tried: its address is one that webhooks are not sent to."
	case errors.As(err, &name):
		return "Its name could not be resolved."
	case errors.As(err, &certificate):
		return "Its certificate was not accepted: " + certificate.Err.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "It refused the connection."
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return "It closed the connection without an answer."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("It did not answer within %s.", attemptWait)
	}
	return "What it answered was no HTTP."
}
