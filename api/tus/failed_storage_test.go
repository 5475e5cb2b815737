package tus_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/tus"
	"github.com/formidling/formidling/models"
)

// unflushed is a storage on which the first bytes that come cannot be made durable.
type unflushed struct{ tus.Drafts }

func (u unflushed) Append(_ context.Context, _ models.TusDraft, body io.Reader, a models.TusAppend) error {
	if _, err := a.Claim(); err != nil {
		return err
	}
	if _, err := body.Read(make([]byte, 1)); err != nil {
		return err
	}
	failure := fmt.Errorf("flush: %w", models.ErrUnavailable)
	go a.Failed(failure)
	_, _ = io.Copy(io.Discard, body) // until somebody wakes it
	return failure
}

// A client that has sent what it has is told at once that it could not be stored, not when it has stood still for long.
func TestTusAppend_EndsAtOnceWhenTheStorageFails(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) { s.Drafts = unflushed{s.Drafts} })
	_, path := b.Open(1000)
	conn := b.Half(path, 0, 1000, []byte("some"))
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(apitest.WaitABit))) // a stall ends after a minute
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	require.NotEmpty(t, answer.Header.Get("Retry-After"))
	require.Equal(t, "0", b.Offset(path))
}

// Whose request was ended, and who sends no more and does not hang up either, keeps nothing here.
func TestTusAppend_ThatWasEndedLetsGoOfItsConnection(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	_, path := b.Open(1000)
	conn := b.Half(path, 0, 1000, []byte("some"))
	defer func() { _ = conn.Close() }()
	require.Eventually(t, func() bool { return len(b.Stored()) == 1 }, apitest.WaitABit, apitest.Tick, "it writes")
	b.TusCall(alice, "DELETE", path, nil).Is(http.StatusNoContent, "")
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(apitest.WaitABit)))
	answer, err := io.ReadAll(conn) // to its end
	require.NoError(t, err)
	require.Contains(t, string(answer), "410 Gone")
}
