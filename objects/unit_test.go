package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"

	"github.com/formidling/formidling/models"
)

func TestGCSError_GivesCallersTheirCodes(t *testing.T) {
	t.Parallel()
	status := func(code int) error { return fmt.Errorf("call: %w", &googleapi.Error{Code: code}) }
	cases := map[error]error{
		status(http.StatusNotFound):            models.ErrObjectNotFound,
		storage.ErrObjectNotExist:              models.ErrObjectNotFound,
		status(http.StatusPreconditionFailed):  models.ErrObjectExists,
		status(http.StatusRequestTimeout):      models.ErrUnavailable,
		status(http.StatusTooManyRequests):     models.ErrUnavailable,
		status(http.StatusInternalServerError): models.ErrUnavailable,
		status(http.StatusServiceUnavailable):  models.ErrUnavailable,
		storage.ErrBucketNotExist:              models.ErrUnavailable,
		context.DeadlineExceeded:               models.ErrUnavailable, // a limit of ours, not the caller's
		io.ErrUnexpectedEOF:                    models.ErrUnavailable,
		syscall.ECONNRESET:                     models.ErrUnavailable,
		models.ErrFileTooLarge:                 models.ErrFileTooLarge,
	}
	for in, want := range cases {
		err := gcsError(t.Context(), in)
		require.ErrorIs(t, err, want, in)
		require.ErrorIs(t, err, in, "the cause stays")
	}
	require.NoError(t, gcsError(t.Context(), nil))
}

func TestGCSError_RefusalsHaveNoCode(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden} {
		_, coded := models.AsError(gcsError(t.Context(), &googleapi.Error{Code: code}))
		require.False(t, coded, code)
	}
}

func TestGCSError_EndedCallerGetsItsOwnReason(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := gcsError(ctx, &googleapi.Error{Code: http.StatusServiceUnavailable})
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, models.ErrUnavailable)
}

func TestLocalError_GivesCallersTheirCodes(t *testing.T) {
	t.Parallel()
	broken := errors.New("not of the disk")
	for in, want := range map[error]error{
		syscall.ENOSPC: models.ErrStorageFull, syscall.EDQUOT: models.ErrStorageFull,
		syscall.EIO: models.ErrUnavailable, syscall.ENOENT: models.ErrUnavailable,
		syscall.EROFS: models.ErrUnavailable, syscall.ESTALE: models.ErrUnavailable,
		models.ErrObjectExists: models.ErrObjectExists, broken: broken,
	} {
		require.ErrorIs(t, localError(in), want)
	}
	require.NoError(t, localError(nil))
}

func TestEmulator_TakesHostsAndURLs(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"localhost:9023", "http://localhost:9023", "http://localhost:9023/"} {
		require.Equal(t, "http://localhost:9023/storage/v1/", emulator(Options{Emulator: host}))
	}
}

func TestEmulator_HonoursTheUsualVariable(t *testing.T) {
	t.Setenv("STORAGE_EMULATOR_HOST", "localhost:1")
	require.Equal(t, "http://localhost:1/storage/v1/", emulator(Options{}))
	require.Equal(t, "http://localhost:2/storage/v1/", emulator(Options{Emulator: "localhost:2"}))
	t.Setenv("STORAGE_EMULATOR_HOST", "")
	require.Empty(t, emulator(Options{}))
}

func TestTransport_SpeaksHTTP1(t *testing.T) {
	t.Parallel()
	transport := http1()
	require.NotNil(t, transport.TLSNextProto, "nil would bring HTTP/2 back")
	require.Empty(t, transport.TLSNextProto)
	require.False(t, transport.ForceAttemptHTTP2)
}

func TestPool_GivesWhatItHasAndTakesItBackEmpty(t *testing.T) {
	t.Parallel()
	p := newPool(2 * segmentBytes)
	first, err := p.take(t.Context())
	require.NoError(t, err)
	require.Empty(t, first.fill(make([]byte, segmentBytes-1)))
	require.False(t, first.full())
	require.Len(t, first.fill(make([]byte, 10)), 9, "what does not fit comes back")
	require.True(t, first.full())
	require.NotNil(t, p.try())
	require.Nil(t, p.try())
	p.put(first)
	again := p.try()
	require.NotNil(t, again)
	require.Empty(t, again.buf)
}

func TestPool_HasAtLeastOneSegment(t *testing.T) {
	t.Parallel()
	require.Equal(t, 1, cap(newPool(1).tokens))
	require.Equal(t, defaultPool/segmentBytes, cap(newPool(0).tokens))
}

func TestLocal_GenerationsGrowWhenTheClockDoesNot(t *testing.T) {
	t.Parallel()
	l, _ := newLocal(t, false)
	clock := time.UnixMicro(1_700_000_000_000_000)
	l.now = func() time.Time { return clock }
	first, second := l.nextGeneration(), l.nextGeneration()
	require.Equal(t, clock, first)
	require.True(t, second.After(first))
	clock = clock.Add(-time.Hour)
	require.True(t, l.nextGeneration().After(second))
}

func TestLocal_KnowsWhichDirectoriesAreDurable(t *testing.T) {
	t.Parallel()
	l, b := newLocal(t, false)
	put(t, b, "ft/a/object", 1)
	put(t, b, "ft/ab/object", 1)
	require.True(t, l.isDurable(l.path("ft")))
	require.True(t, l.isDurable(l.path("ft/a")))
	require.NoError(t, l.DeleteAll(t.Context(), "ft/a"))
	require.False(t, l.isDurable(l.path("ft/a")), "made anew it has to be flushed anew")
	require.True(t, l.isDurable(l.path("ft/ab")))
	for i := range 2 * maxDurable {
		l.remember(fmt.Sprint(i))
	}
	require.LessOrEqual(t, len(l.durable), maxDurable)
}

func TestLocal_DiskThatFillsUpWhileReceivingKeepsItsReserve(t *testing.T) {
	t.Parallel()
	l, b := newLocal(t, false)
	body := io.MultiReader(newPattern(40*mib), readerFunc(func([]byte) (int, error) { return 0, io.EOF }))
	l.write = func(f *os.File, p []byte) (int, error) {
		l.reserve = 1 << 60 // somebody else has taken the rest
		return f.Write(p)
	}
	_, err := l.Put(t.Context(), "ft/a/b", body, noLimit)
	require.ErrorIs(t, err, models.ErrStorageFull)
	gone(t, b, "ft/a/b")
}

// A purge may run during an upload: whichever wins, no half object remains.
func TestLocal_DeleteAllDuringAPut(t *testing.T) {
	t.Parallel()
	for _, named := range []bool{false, true} {
		l, b := newLocal(t, named)
		body := io.MultiReader(newPattern(mib), readerFunc(func([]byte) (int, error) {
			require.NoError(t, l.DeleteAll(t.Context(), "ft/a"))
			return 0, io.EOF
		}))
		_, err := l.Put(t.Context(), "ft/a/b", body, noLimit)
		require.ErrorIs(t, err, models.ErrUnavailable)
		gone(t, b, "ft/a/b")
		require.NoDirExists(t, filepath.Join(l.root, "ft", "a"))
	}
}
