package client

import (
	"bytes"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// opening answers the first requests that open a tus upload, and counts what came by which way.
func (p *proxy) opening(status int, first int64) (pieces, plain *atomic.Int64) {
	var opened atomic.Int64
	pieces, plain = &atomic.Int64{}, &atomic.Int64{}
	p.answers(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/upload"):
			plain.Add(1)
		case !strings.Contains(r.URL.Path, "/upload/tus/"):
		case r.Method == http.MethodPatch:
			pieces.Add(1)
		case r.Method == http.MethodPost && opened.Add(1) <= first:
			w.WriteHeader(status)
			return true
		}
		return false
	})
	return pieces, plain
}

func TestSend_OfASourceReadOnceIsPlainOnlyWhereTusIsNotThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(smallFile + 12_345)
	send := func(t *testing.T, p *proxy) (Sent, error) {
		t.Helper()
		return b.through(alice, p).Send(t.Context(), b.transfer(), FromReader(onlyReader{bytes.NewReader(content)}), SendOptions{})
	}
	for _, status := range []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			p := b.proxy()
			pieces, plain := p.opening(status, 100)
			sent, err := send(t, p)
			require.NoError(t, err)
			b.delivers(sent.ID, content)
			require.Zero(t, pieces.Load())
			require.EqualValues(t, 1, plain.Load())
		})
	}
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadGateway} {
		t.Run("again after "+http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			p := b.proxy()
			pieces, plain := p.opening(status, 2)
			sent, err := send(t, p)
			require.NoError(t, err)
			b.delivers(sent.ID, content)
			require.Positive(t, pieces.Load())
			require.Zero(t, plain.Load())
		})
	}
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusInternalServerError} {
		t.Run("an error for "+http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			p := b.proxy()
			_, plain := p.opening(status, 100)
			_, err := send(t, p)
			var refused *Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, status, refused.Status)
			require.Zero(t, plain.Load())
		})
	}
}
