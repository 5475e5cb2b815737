package client

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds of failure, for errors.Is.
var (
	// ErrUnauthorized: one side did not prove who it is, or the caller may not do this.
	ErrUnauthorized = errors.New("not authorized")
	// ErrNotFound: there is no such thing, or the caller takes no part in it.
	ErrNotFound = errors.New("not found")
	// ErrRefused: the request breaks a rule; sent again as it is, it is refused again.
	ErrRefused = errors.New("refused")
	// ErrUnavailable: the broker was not reached, or could not answer now; the same call may succeed later.
	ErrUnavailable = errors.New("not available")
	// ErrChecksum: the bytes are not those that were declared.
	ErrChecksum = errors.New("checksum mismatch")
	// ErrEnded: the transfer has failed, was cancelled, or its file is deleted.
	ErrEnded = errors.New("transfer ended")
)

// Error is a refusal by the broker, as its problem document tells it.
type Error struct {
	Op        string // what was asked for, such as "POST /broker/api/v1/filetransfer"
	Status    int    // of HTTP
	Code      string // such as BRO-00006; empty when the answer was no problem document
	Title     string
	Detail    string
	Fields    map[string][]string // what is wrong with each field
	TraceID   string              // quote it when asking about the failure
	Retryable bool                // the same request may succeed later
	// RetryAfter is how long the broker asks to wait; 0 when it does not say.
	RetryAfter time.Duration
	// Limit and Actual tell by how much a limit was exceeded, in bytes or entries.
	Limit, Actual *int64

	newToken bool // it was the token, and the next request will have another one
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d", e.Op, e.Status)
	for _, part := range []string{e.Code, firstOf(e.Detail, e.Title, http.StatusText(e.Status))} {
		if part != "" {
			b.WriteString(" " + part)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		fmt.Fprintf(&b, "; %s: %s", name, strings.Join(e.Fields[name], " "))
	}
	if e.Limit != nil && e.Actual != nil {
		fmt.Fprintf(&b, " (limit %d, actual %d)", *e.Limit, *e.Actual)
	}
	if e.TraceID != "" {
		b.WriteString(" [trace " + e.TraceID + "]")
	}
	return b.String()
}

// Codes of the broker that decide what a client does next.
const (
	codeNotReady        = "BRO-00007"
	codeChecksum        = "BRO-00009"
	codeUnauthenticated = "FMD-00008"
	statusTusChecksum   = 460
)

// Is tells the kind of the refusal.
func (e *Error) Is(target error) bool { return target == e.kind() }

func (e *Error) kind() error {
	switch {
	case e.Code == codeChecksum, e.Status == statusTusChecksum:
		return ErrChecksum
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden && e.Code != codeNotReady:
		return ErrUnauthorized
	case e.Status == http.StatusNotFound, e.Status == http.StatusGone:
		return ErrNotFound
	case e.Status >= 500, e.mayPass():
		return ErrUnavailable
	}
	return ErrRefused
}

// mayPass tells whether the same request may succeed later.
func (e *Error) mayPass() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.Retryable
}

// NetworkError says that no answer, or not all of it, came from the broker.
type NetworkError struct {
	Op  string
	Err error
}

// Error implements error.
func (e *NetworkError) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *NetworkError) Unwrap() error { return e.Err }

// Is tells that the broker is not available; or not authorized, when one side refused the other's certificate.
func (e *NetworkError) Is(target error) bool {
	if e.untrusted() {
		return target == ErrUnauthorized
	}
	return target == ErrUnavailable
}

// untrusted tells whether the TLS handshake failed because of a certificate; trying again does not help.
func (e *NetworkError) untrusted() bool {
	var theirs *tls.CertificateVerificationError
	var ours *net.OpError
	var plain tls.RecordHeaderError
	return errors.As(e.Err, &theirs) || errors.As(e.Err, &plain) || errors.As(e.Err, &ours) && ours.Op == "remote error"
}

// ChecksumError says that bytes arrived which are not the file's. None of them is to be used.
type ChecksumError struct {
	Declared, Actual         string // SHA-256, lower-case hexadecimal
	DeclaredSize, ActualSize int64  // bytes
}

// Error implements error.
func (e *ChecksumError) Error() string {
	if e.DeclaredSize != e.ActualSize {
		return fmt.Sprintf("the file has %d bytes, and %d were declared", e.ActualSize, e.DeclaredSize)
	}
	return fmt.Sprintf("the file's SHA-256 is %s, and %s was declared", e.Actual, e.Declared)
}

// Is tells that this is a checksum mismatch.
func (e *ChecksumError) Is(target error) bool { return target == ErrChecksum }

// EndedError says that a transfer ended in a status other than the one waited for.
type EndedError struct {
	Status FileTransferStatus
	Text   string // the broker's words
}

// Error implements error.
func (e *EndedError) Error() string {
	return fmt.Sprintf("the transfer is %s: %s", e.Status, e.Text)
}

// Is tells that the transfer ended.
func (e *EndedError) Is(target error) bool { return target == ErrEnded }

// maxProblem bounds what is read of a refusal, in bytes.
const maxProblem = 1 << 20

// refusal reads the answer to a request that did not succeed, and closes it.
func refusal(op string, response *http.Response) *Error {
	defer func() { _ = response.Body.Close() }()
	e := &Error{Op: op, Status: response.StatusCode, RetryAfter: retryAfter(response.Header.Get("Retry-After"), time.Now())}
	raw, _ := io.ReadAll(io.LimitReader(response.Body, maxProblem)) // a half answer is as good as none
	var p Problem
	kind := response.Header.Get("Content-Type")
	switch {
	case strings.Contains(kind, "json") && json.Unmarshal(raw, &p) == nil:
		e.Code, e.Title, e.Detail, e.Fields = p.Code, p.Title, p.Detail, p.Errors
		e.TraceID, e.Retryable, e.Limit, e.Actual = p.TraceID, p.Retryable, p.Limit, p.Actual
	case strings.HasPrefix(kind, "text/plain"):
		e.Detail = printable(strings.TrimSpace(string(raw[:min(len(raw), 500)])))
	}
	return e
}

// retryAfter reads the header (RFC 9110, 10.2.3): seconds or a date; 0 when it says neither.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
