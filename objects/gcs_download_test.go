package objects

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/gcsemu"
	"github.com/formidling/formidling/models"
)

// halfway sends a part of the answer, and then lets the fault happen.
func halfway(emu *gcsemu.Server, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := answer(emu, r)
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()))
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		then(w, r)
	}
}

// stalled sends nothing more and keeps the connection.
func stalled(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestGCS_DownloadGoesOnAfterPassingFaults(t *testing.T) {
	t.Parallel()
	faults := map[string]func(*gcsemu.Server) http.HandlerFunc{
		"cut in the middle":     func(emu *gcsemu.Server) http.HandlerFunc { return halfway(emu, cut) },
		"stalled in the middle": func(emu *gcsemu.Server) http.HandlerFunc { return halfway(emu, stalled) },
		"answered 503":          func(*gcsemu.Server) http.HandlerFunc { return overloaded },
		"cut before anything":   func(*gcsemu.Server) http.HandlerFunc { return cut },
		"cut, then 503, then stalled": func(emu *gcsemu.Server) http.HandlerFunc {
			return inTurn(halfway(emu, cut), overloaded, halfway(emu, stalled))
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, emu, b := newGCS(t)
			g.limits.stall = 300 * time.Millisecond
			c := put(t, b, "ft/a/b", 5*mib+7)
			for _, r := range [][2]int64{{0, -1}, {3, 4 * mib}, {5 * mib, 7}} {
				seen := faultFirst(emu, 3, isDownload, fault(emu))
				in, err := g.Open(t.Context(), c, r[0], r[1])
				require.NoError(t, err)
				got, err := io.ReadAll(in)
				require.NoError(t, err)
				require.NoError(t, in.Close())
				require.True(t, bytes.Equal(patternRange(5*mib+7, r[0], r[1]), got), "one unbroken stream of the right bytes")
				require.Greater(t, seen.Load(), int32(3), "the faults were met")
			}
		})
	}
}

// inTurn uses one fault after the other.
func inTurn(faults ...http.HandlerFunc) http.HandlerFunc {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) { faults[int(n.Add(1)-1)%len(faults)](w, r) }
}

// patternRange is a range of a pattern of this size; length -1 means to the end.
func patternRange(size, offset, length int64) []byte {
	if length == -1 {
		length = size - offset
	}
	p := newPattern(size)
	_, _ = io.CopyN(io.Discard, p, offset)
	out := make([]byte, length)
	_, _ = io.ReadFull(p, out)
	return out
}

func TestGCS_DownloadThatStaysBrokenIsGivenUp(t *testing.T) {
	t.Parallel()
	g, emu, b := newGCS(t)
	c := put(t, b, "ft/a/b", 5*mib)
	g.limits.stall, g.limits.attempts = 100*time.Millisecond, 2
	var first atomic.Bool
	faultFirst(emu, 1000, isDownload, func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(false, true) {
			halfway(emu, stalled)(w, r)
			return
		}
		overloaded(w, r)
	})
	r, err := g.Open(t.Context(), c, 0, -1)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, r)
	require.ErrorIs(t, err, models.ErrUnavailable)
	require.NoError(t, r.Close())
	_, err = r.Read(make([]byte, 1))
	require.Error(t, err)
}

// Between two tries another object is stored under the key: the rest must not come from it.
func TestGCS_DownloadNeverGoesOnWithAnotherGeneration(t *testing.T) {
	t.Parallel()
	g, emu, b := newGCS(t)
	c := put(t, b, "ft/a/b", 5*mib)
	seen := faultFirst(emu, 1, isDownload, halfway(emu, func(w http.ResponseWriter, r *http.Request) {
		if err := g.DeleteAll(context.WithoutCancel(r.Context()), "ft/a"); err != nil {
			t.Error(err)
		}
		other := bytes.Repeat([]byte{7}, 5*mib)
		if _, err := g.Put(context.WithoutCancel(r.Context()), "ft/a/b", bytes.NewReader(other), noLimit); err != nil {
			t.Error(err)
		}
		cut(w, r)
	}))
	r, err := g.Open(t.Context(), c, 0, -1)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.ErrorIs(t, err, models.ErrObjectNotFound)
	require.Less(t, len(got), 5*mib)
	require.True(t, bytes.Equal(patternRange(5*mib, 0, int64(len(got))), got), "what came is of the old one")
	require.NoError(t, r.Close())
	require.EqualValues(t, 2, seen.Load(), "what is gone is not asked for again")
}

// This storage ignores generations, as an emulator or a cache on the way may.
func TestGCS_DownloadChecksThatTheObjectIsTheOneWanted(t *testing.T) {
	t.Parallel()
	g, emu, b := newGCS(t)
	c := put(t, b, "ft/a/b", 3*mib)
	require.NoError(t, g.DeleteAll(t.Context(), "ft/a"))
	_, err := g.Put(t.Context(), "ft/a/b", bytes.NewReader(bytes.Repeat([]byte{7}, 3*mib)), noLimit)
	require.NoError(t, err)
	faultFirst(emu, 1000, isDownload, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		q.Del("generation")
		r.URL.RawQuery = q.Encode()
		rec := answer(emu, r)
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
	_, err = g.Open(t.Context(), c, 0, -1)
	require.ErrorIs(t, err, models.ErrObjectNotFound)
	_, err = g.Open(t.Context(), c, 10, 20)
	require.ErrorIs(t, err, models.ErrObjectNotFound)
}

func TestGCS_SlowRecipientIsNoStall(t *testing.T) {
	t.Parallel()
	g, emu, b := newGCS(t)
	g.limits.stall = 50 * time.Millisecond
	c := put(t, b, "ft/a/b", 5*mib)
	seen := faultFirst(emu, 0, isDownload, nil)
	r, err := b.store.Open(t.Context(), c, 0, -1)
	require.NoError(t, err)
	head := make([]byte, 1000)
	_, err = io.ReadFull(r, head)
	require.NoError(t, err)
	ahead, ok := r.(*readAhead)
	require.True(t, ok)
	require.Eventually(t, func() bool { return len(ahead.ready) == aheadBlocks-1 }, time.Minute, time.Millisecond, "it reads ahead")
	pause := time.NewTimer(4 * g.limits.stall) // the recipient's
	<-pause.C
	require.Len(t, ahead.ready, aheadBlocks-1, "and no further")
	require.Equal(t, c, contentOf(io.MultiReader(bytes.NewReader(head), r), c.Key, c.Generation))
	require.NoError(t, r.Close())
	require.EqualValues(t, 1, seen.Load(), "nothing was asked for twice")
}

func TestGCS_AbandonedDownloadEndsAtOnce(t *testing.T) {
	t.Parallel()
	g, emu, b := newGCS(t)
	c := put(t, b, "ft/a/b", 5*mib)
	faultFirst(emu, 1, isDownload, halfway(emu, stalled))
	r, err := g.Open(t.Context(), c, 0, -1)
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, r.Close())
	require.Less(t, time.Since(began), g.limits.stall/2)

	ctx, cancel := context.WithCancel(t.Context())
	faultFirst(emu, 1, isDownload, halfway(emu, stalled))
	r, err = g.Open(ctx, c, 0, -1)
	require.NoError(t, err)
	cancel()
	_, err = io.Copy(io.Discard, r)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, r.Close())
}

func TestGCS_DamagedDownloadIsAnError(t *testing.T) {
	t.Parallel()
	_, emu, b := newGCS(t)
	c := put(t, b, "ft/a/b", mib)
	faultFirst(emu, 1, isDownload, func(w http.ResponseWriter, r *http.Request) {
		rec := answer(emu, r)
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		body := rec.Body.Bytes()
		body[1000] ^= 1
		_, _ = w.Write(body)
	})
	r, err := b.store.Open(t.Context(), c, 0, -1)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, r)
	require.Error(t, err)
	require.Less(t, n, int64(mib), "the last bytes never come")
	require.NoError(t, r.Close())
}

// Not parallel: it counts the process's memory.
func TestGCS_SlowDownloadsHoldLittleMemory(t *testing.T) {
	_, _, b := newGCS(t)
	c := put(t, b, "ft/a/b", 20*mib)
	const downloads = 50
	var open []io.Closer
	used := allocated(func() {
		for range downloads {
			r, err := b.store.Open(t.Context(), c, 0, -1)
			require.NoError(t, err)
			_, err = io.ReadFull(r, make([]byte, 1))
			require.NoError(t, err)
			ahead, ok := r.(*readAhead)
			require.True(t, ok)
			require.Eventually(t, func() bool { return len(ahead.ready) == aheadBlocks-1 }, time.Minute, time.Millisecond)
			open = append(open, r)
		}
	})
	for _, r := range open {
		require.NoError(t, r.Close())
	}
	require.Less(t, used/downloads, uint64(mib+mib/4), "the emulator's part of it too")
}
