package objects

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/formidling/formidling/models"
)

// Any range gives the bytes that the whole file has there, from the disk and from Cloud Storage, even if every few answers
// of Cloud Storage break off, fail or stall.
func TestOpen_AnyRangeGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	l, onDisk := newLocal(t, false)
	g, emu, inCloud := newGCS(t)
	g.limits.stall = 100 * time.Millisecond
	const size = 2*mib + 977
	want := patternRange(size, 0, -1)
	disk, cloud := put(t, onDisk, "ft/a/b", size), put(t, inCloud, "ft/a/b", size)
	var n atomic.Int64
	emu.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get(inner) != "" || !isDownload(r) {
			return false
		}
		switch n.Add(1) % 17 {
		case 3, 9:
			halfway(emu, cut)(w, r)
		case 5:
			overloaded(w, r)
		case 12:
			halfway(emu, stalled)(w, r)
		default:
			return false
		}
		return true
	})
	rapid.Check(t, func(t *rapid.T) {
		offset := rapid.OneOf(rapid.Int64Range(0, size), rapid.SampledFrom([]int64{0, 1, blockBytes - 1, blockBytes, size - 1, size})).Draw(t, "offset")
		length := rapid.OneOf(rapid.Int64Range(-1, size-offset), rapid.SampledFrom([]int64{-1, 0, size - offset})).Draw(t, "length")
		until := size
		if length >= 0 {
			until = int(offset + length)
		}
		for name, open := range map[string]func() (io.ReadCloser, error){
			"disk":  func() (io.ReadCloser, error) { return openLimited(t.Context(), l, disk, offset, length) },
			"cloud": func() (io.ReadCloser, error) { return g.Open(t.Context(), cloud, offset, length) },
		} {
			r, err := open()
			require.NoError(t, err, name)
			got, err := io.ReadAll(r)
			require.NoError(t, err, name)
			require.NoError(t, r.Close())
			require.True(t, bytes.Equal(want[offset:until], got), name)
		}
	})
}

// openLimited ends the local store's reader where its range ends.
func openLimited(ctx context.Context, l *local, c models.Content, offset, length int64) (io.ReadCloser, error) {
	r, err := l.Open(ctx, c, offset, length)
	if err != nil || length < 0 {
		return r, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r, length), r}, nil
}
