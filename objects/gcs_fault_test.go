package objects

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/gcsemu"
	"github.com/formidling/formidling/models"
)

// Requests of the JSON API by what they do.
func isUpload(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/upload/") }

func isCompose(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/compose") }

func isDownload(r *http.Request) bool { return r.URL.Query().Get("alt") == "media" }

// inner marks a request that a fault has passed on to the emulator itself.
const inner = "X-Test-Inner"

// answer lets the emulator do r and returns what it would have answered.
func answer(emu *gcsemu.Server, r *http.Request) *httptest.ResponseRecorder {
	r = r.Clone(r.Context())
	r.Header.Set(inner, "1")
	rec := httptest.NewRecorder()
	emu.ServeHTTP(rec, r)
	return rec
}

// faultFirst installs fault for the first n requests that match, and counts all that match.
func faultFirst(emu *gcsemu.Server, n int32, match func(*http.Request) bool, fault http.HandlerFunc) *atomic.Int32 {
	var seen atomic.Int32
	emu.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get(inner) != "" || !match(r) || seen.Add(1) > n {
			return false
		}
		fault(w, r)
		return true
	})
	return &seen
}

// cut drops the connection.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func overloaded(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusServiceUnavailable)
}

// faultSizes are sent as one object from memory, as one object from segments, and as parts.
var faultSizes = []int64{1000, 20 * mib, 70 * mib}

func TestGCS_PutSurvivesPassingFaults(t *testing.T) {
	t.Parallel()
	faults := map[string]struct {
		match func(*http.Request) bool
		fault func(*gcsemu.Server) http.HandlerFunc
	}{
		"upload answered 503 twice":  {isUpload, func(*gcsemu.Server) http.HandlerFunc { return overloaded }},
		"compose answered 503 twice": {isCompose, func(*gcsemu.Server) http.HandlerFunc { return overloaded }},
		"connection cut mid upload": {isUpload, func(*gcsemu.Server) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.CopyN(io.Discard, r.Body, 500)
				cut(w, r)
			}
		}},
		"answer to upload lost": {isUpload, func(emu *gcsemu.Server) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { answer(emu, r); cut(w, r) }
		}},
		"answer to compose lost": {isCompose, func(emu *gcsemu.Server) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { answer(emu, r); cut(w, r) }
		}},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, emu, b := newGCS(t)
			for _, size := range faultSizes {
				key := fmt.Sprintf("ft/a/%d", size)
				faultFirst(emu, 2, f.match, f.fault(emu))
				c, err := b.store.Put(t.Context(), key, newPattern(size), noLimit)
				require.NoError(t, err, size)
				require.Equal(t, contentOf(newPattern(size), key, c.Generation), c)
				require.Equal(t, c, read(t, b, c))
				require.Equal(t, []string{key}, b.list(t, key))
			}
		})
	}
}

func TestGCS_LostAnswerIsNotTakenForSomebodyElsesObject(t *testing.T) {
	t.Parallel()
	_, emu, b := newGCS(t)
	other := put(t, b, "ft/a/b", 1000)
	seen := faultFirst(emu, 1, isUpload, func(w http.ResponseWriter, r *http.Request) { answer(emu, r); cut(w, r) })
	_, err := b.store.Put(t.Context(), "ft/a/b", newPattern(1000), noLimit)
	require.ErrorIs(t, err, models.ErrObjectExists, "the same bytes, but another upload's")
	require.EqualValues(t, 2, seen.Load())
	require.Equal(t, other, read(t, b, other))
}

func TestGCS_DifferingChecksumIsAnErrorAndTheObjectGoes(t *testing.T) {
	t.Parallel()
	for _, size := range faultSizes {
		_, emu, b := newGCS(t)
		faultFirst(emu, 100, func(r *http.Request) bool { return isUpload(r) && size < 64*mib || isCompose(r) },
			func(w http.ResponseWriter, r *http.Request) {
				rec := answer(emu, r)
				var object map[string]any
				if json.Unmarshal(rec.Body.Bytes(), &object) == nil {
					object["crc32c"] = "AAAAAA=="
				}
				w.WriteHeader(rec.Code)
				_ = json.NewEncoder(w).Encode(object)
			})
		_, err := b.store.Put(t.Context(), "ft/a/b", newPattern(size), noLimit)
		require.ErrorIs(t, err, models.ErrUnavailable)
		gone(t, b, "ft/a/b")
	}
}

// flipped changes one bit in the middle of a body on its way.
type flipped struct {
	io.ReadCloser
	at int
}

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if f.at >= 0 && f.at < n {
		p[f.at] ^= 4
	}
	f.at -= n
	return n, err
}

// Storage refuses bytes that do not have the declared checksum, and they are sent again.
func TestGCS_BytesDamagedOnTheirWayAreSentAgain(t *testing.T) {
	t.Parallel()
	for _, size := range faultSizes[1:] {
		_, emu, b := newGCS(t)
		var uploads atomic.Int32
		emu.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
			if isUpload(r) && uploads.Add(1) <= 2 {
				r.Body = &flipped{ReadCloser: r.Body, at: mib}
			}
			return false
		})
		c, err := b.store.Put(t.Context(), "ft/a/b", newPattern(size), noLimit)
		require.NoError(t, err, size)
		require.Greater(t, uploads.Load(), int32(2))
		require.Equal(t, contentOf(newPattern(size), "ft/a/b", c.Generation), c)
		require.Equal(t, c, read(t, b, c))
	}
}

// This storage keeps other bytes than it received, and reports their checksum.
func TestGCS_BytesDamagedInStorageAreFoundBeforeAnybodyReadsThem(t *testing.T) {
	t.Parallel()
	for _, size := range faultSizes[1:] {
		_, emu, b := newGCS(t)
		emu.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
			if isUpload(r) {
				r.Body = &flipped{ReadCloser: r.Body, at: mib}
			}
			return false
		})
		_, err := b.store.Put(t.Context(), "ft/a/b", newPattern(size), noLimit)
		require.ErrorIs(t, err, models.ErrUnavailable)
		emu.SetFault(nil)
		gone(t, b, "ft/a/b")
	}
}

func TestGCS_CancellationDuringTheLastStepLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, size := range faultSizes {
		_, emu, b := newGCS(t)
		ctx, cancel := context.WithCancel(t.Context())
		faultFirst(emu, 1, func(r *http.Request) bool { return isUpload(r) && size < 64*mib || isCompose(r) },
			func(w http.ResponseWriter, r *http.Request) {
				answer(emu, r.WithContext(context.WithoutCancel(r.Context())))
				cancel()
				cut(w, r)
			})
		_, err := b.store.Put(ctx, "ft/a/b", newPattern(size), noLimit)
		require.ErrorIs(t, err, context.Canceled)
		gone(t, b, "ft/a/b")
	}
}

func TestGCS_LastingFaultIsUnavailableAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, size := range faultSizes {
		for name, match := range map[string]func(*http.Request) bool{"upload": isUpload, "compose": isCompose} {
			if name == "compose" && size <= 64*mib {
				continue // nothing to compose
			}
			_, emu, b := newGCS(t)
			faultFirst(emu, 1000, match, overloaded)
			began := time.Now()
			_, err := b.store.Put(t.Context(), "ft/a/b", newPattern(size), noLimit)
			require.ErrorIs(t, err, models.ErrUnavailable)
			require.Less(t, time.Since(began), 20*time.Second)
			gone(t, b, "ft/a/b")
		}
	}
}

// requireDown requires every method to report, within limit, that storage is down.
func requireDown(t *testing.T, store Store, limit time.Duration) {
	t.Helper()
	calls := map[string]func() error{
		"put": func() error {
			_, err := store.Put(t.Context(), "ft/a/b", newPattern(1000), noLimit)
			return err
		},
		"open": func() error {
			_, err := store.Open(t.Context(), models.Content{Key: "ft/a/b", Generation: 1, Size: 1}, 0, -1)
			return err
		},
		"stat":       func() error { _, err := store.Stat(t.Context(), "ft/a/b"); return err },
		"delete all": func() error { return store.DeleteAll(t.Context(), "ft/a") },
		"ready":      func() error { return store.Ready(t.Context()) },
	}
	var all sync.WaitGroup
	for name, call := range calls {
		all.Go(func() {
			began := time.Now()
			err := call()
			if e, ok := models.AsError(err); !ok || e.Code != models.ErrUnavailable.Code {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(began); took > limit {
				t.Errorf("%s took %s", name, took)
			}
		})
	}
	all.Wait()
}

func TestGCS_StorageThatRefusesConnectionsIsUnavailableSoon(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	requireDown(t, dial(t, server.URL), 10*time.Second)
}

func TestGCS_StorageThatNeverAnswersIsUnavailableSoon(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() }) // accepts by the kernel's backlog only
	g := dial(t, "http://"+listener.Addr().String())
	g.limits.transfer, g.limits.retry = time.Second, 3*time.Second
	requireDown(t, g, 12*time.Second)
}

func TestGCS_MissingBucketIsUnavailable(t *testing.T) {
	t.Parallel()
	_, url := startEmulator(t)
	store, err := Connect(t.Context(), "gs://another", Options{Emulator: url})
	require.NoError(t, err)
	_, err = store.Put(t.Context(), "ft/a/b", newPattern(10), noLimit)
	require.ErrorIs(t, err, models.ErrUnavailable)
	require.NotErrorIs(t, err, models.ErrObjectNotFound)
}

func TestGCS_BrokenDownloadIsResumed(t *testing.T) {
	t.Parallel()
	_, emu, b := newGCS(t)
	c := put(t, b, "ft/a/b", 5*mib)
	seen := faultFirst(emu, 2, isDownload, func(w http.ResponseWriter, r *http.Request) {
		rec := answer(emu, r)
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		cut(w, r)
	})
	require.Equal(t, c, read(t, b, c))
	require.EqualValues(t, 3, seen.Load())
}

// The client checks the length of an answer against its header, but not against what was asked for.
func TestGCS_ShortAnswerIsAnError(t *testing.T) {
	t.Parallel()
	_, emu, b := newGCS(t)
	c := put(t, b, "ft/a/b", mib)
	faultFirst(emu, 1, isDownload, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(answer(emu, r).Body.Bytes()[:1000])
	})
	_, err := b.store.Open(t.Context(), c, 0, -1)
	require.Error(t, err)
}

func TestGCS_DeleteAllSurvivesPassingFaultsAndManyPages(t *testing.T) {
	t.Parallel()
	_, emu, b := newGCS(t)
	for i := range 1100 { // the emulator lists 1,000 a page, as Cloud Storage does
		put(t, b, fmt.Sprintf("ft/a/%04d", i), 1)
	}
	var calls atomic.Int32
	emu.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		if calls.Add(1)%10 != 1 {
			return false
		}
		overloaded(w, r)
		return true
	})
	require.NoError(t, b.store.DeleteAll(t.Context(), "ft/a"))
	emu.SetFault(nil)
	require.Empty(t, b.list(t, "ft/a"))
}

func TestGCS_DeleteAllReportsWhatItCouldNotDelete(t *testing.T) {
	t.Parallel()
	_, emu, b := newGCS(t)
	put(t, b, "ft/a/b", 1)
	faultFirst(emu, 1000, func(r *http.Request) bool { return r.Method == http.MethodDelete },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }) // under a hold
	require.Error(t, b.store.DeleteAll(t.Context(), "ft/a"))
	emu.SetFault(nil)
	require.NoError(t, b.store.DeleteAll(t.Context(), "ft/a"))
}

func TestGCS_UploadsShareASmallPoolWithoutBlockingEachOther(t *testing.T) {
	t.Parallel()
	g, _, b := newGCS(t)
	g.pool = newPool(2 * segmentBytes)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			key := fmt.Sprintf("ft/a/%d", i)
			c, err := g.Put(t.Context(), key, newPattern(50*mib), noLimit)
			if err != nil || c != contentOf(newPattern(50*mib), key, c.Generation) {
				t.Error(c, err)
			}
		})
	}
	all.Wait()
	require.Len(t, b.list(t, "ft/a"), 6, "and no segments")
	require.Empty(t, g.pool.tokens, "all buffers are back")
}

func TestGCS_WaitForABufferEndsWithItsContext(t *testing.T) {
	t.Parallel()
	g, _, b := newGCS(t)
	g.pool = newPool(segmentBytes)
	_, err := g.pool.take(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = g.Put(ctx, "ft/a/b", newPattern(5*mib), noLimit)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	gone(t, b, "ft/a/b")
	put(t, b, "ft/a/small", mib-1) // needs none
}

func TestGCS_AskingTooLongForABufferIsRefusedForNow(t *testing.T) {
	t.Parallel()
	g, _, b := newGCS(t)
	g.pool = newPool(segmentBytes)
	g.pool.patience = 50 * time.Millisecond
	held, err := g.pool.take(t.Context())
	require.NoError(t, err)
	_, err = g.Put(t.Context(), "ft/a/b", newPattern(5*mib), noLimit)
	require.ErrorIs(t, err, models.ErrTooManyUploads)
	gone(t, b, "ft/a/b")
	g.pool.put(held)
	put(t, b, "ft/a/b", 5*mib)
	require.Empty(t, g.pool.tokens)
}

func TestGCS_ManyPartsAreComposedInLevels(t *testing.T) {
	t.Parallel()
	g, emu, b := newGCS(t)
	g.pool = newPool(0)
	g.pool.size = headBytes
	seen := faultFirst(emu, 0, isCompose, nil)
	c := put(t, b, "ft/a/b", 100*mib+5)
	require.EqualValues(t, 4+1, seen.Load(), "101 parts are four nodes and the object")
	require.Equal(t, c, read(t, b, c))
	require.Equal(t, []string{"ft/a/b"}, b.list(t, "ft/a"))
}
