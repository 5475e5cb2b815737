package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tusUpload is one tus upload, seen by a client that does one request at a time and remembers nothing.
type tusUpload struct {
	t                   *testing.T
	http                *http.Client
	server, path, token string
	size, acked         int64 // bytes; acked is the last offset that an answer named
}

// refusedError is an answer to HEAD or PATCH that is no success.
type refusedError struct {
	status int
	said   string
}

func (e *refusedError) Error() string { return fmt.Sprintf("%d: %s", e.status, e.said) }

// tus creates the tus upload of a transfer at a server and returns it.
func (i *installation) tus(server, id string, size int64) *tusUpload {
	i.t.Helper()
	u := (&tusUpload{t: i.t, path: "/broker/api/v1/filetransfer/upload/tus/" + id, token: i.as(testSender).Token, size: size}).at(server)
	_, err := u.do(i.t.Context(), http.MethodPost, nil, 0, "Upload-Length", strconv.FormatInt(size, 10))
	require.NoError(i.t, err)
	return u
}

// at is the same upload at another server, over connections of its own.
func (u *tusUpload) at(server string) *tusUpload {
	other := *u
	other.server = server
	other.http = &http.Client{Transport: &http.Transport{WriteBufferSize: 64 << 10}}
	u.t.Cleanup(other.http.CloseIdleConnections)
	return &other
}

// do makes one request; headers come in pairs.
func (u *tusUpload) do(ctx context.Context, method string, body io.Reader, size int64, headers ...string) (http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, method, u.server+u.path, body)
	if err != nil {
		return nil, err
	}
	r.ContentLength = size
	r.Header.Set("Authorization", "Bearer "+u.token)
	r.Header.Set("Tus-Resumable", "1.0.0")
	for n := 0; n < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	response, err := u.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return nil, &refusedError{response.StatusCode, string(said)}
	}
	return response.Header, nil
}

// head asks how far the upload has got. It must never be less than what was acknowledged.
func (u *tusUpload) head(ctx context.Context) (int64, error) {
	header, err := u.do(ctx, http.MethodHead, nil, 0)
	if err != nil {
		return 0, err
	}
	return u.offset(header)
}

// patch sends bytes at an offset and returns the offset that the server acknowledges.
func (u *tusUpload) patch(ctx context.Context, at int64, body io.Reader, n int64) (int64, error) {
	header, err := u.do(ctx, http.MethodPatch, body, n, "Upload-Offset", strconv.FormatInt(at, 10), "Content-Type", "application/offset+octet-stream")
	if err != nil {
		return 0, err
	}
	return u.offset(header)
}

func (u *tusUpload) offset(header http.Header) (int64, error) {
	at, err := strconv.ParseInt(header.Get("Upload-Offset"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read Upload-Offset %q: %w", header.Get("Upload-Offset"), err)
	}
	if at < u.acked || at > u.size {
		return 0, fmt.Errorf("the offset is %d, after %d were acknowledged of %d", at, u.acked, u.size)
	}
	u.acked = at
	return at, nil
}

// errLost is what no number of tries can mend.
var errLost = errors.New("the upload cannot go on")

// finish goes on until all is there: asks how far it is, sends the rest, and does so again when that fails. It
// returns how many tries failed.
func (u *tusUpload) finish(content pattern) (failed int) {
	u.t.Helper()
	var last error
	require.Eventually(u.t, func() bool {
		at, err := u.head(u.t.Context())
		if err == nil && at < u.size {
			at, err = u.patch(u.t.Context(), at, content.from(at, u.size), u.size-at)
		}
		last = err
		if err != nil {
			failed++
			u.t.Logf("after byte %d: %.160v", u.acked, err)
		}
		var refused *refusedError
		if errors.As(err, &refused) && refused.status == http.StatusConflict { // so that two of one upload do not overtake each other for ever
			<-time.After(rand.N(time.Duration(min(failed, 20)) * 250 * time.Millisecond))
		}
		if errors.As(err, &refused) && refused.status < 500 && refused.status != http.StatusConflict && refused.status != http.StatusLocked {
			last = fmt.Errorf("%w: %w", errLost, err)
			return true
		}
		return err == nil && at == u.size
	}, 90*time.Second, 50*time.Millisecond, "the last try tells why")
	require.NotErrorIs(u.t, last, errLost)
	return failed
}
