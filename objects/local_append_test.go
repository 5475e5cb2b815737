package objects

import (
	"context"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestLocalAppend_GoesOnAfterAFullDisk(t *testing.T) {
	t.Parallel()
	l, b := newLocal(t, false)
	const size = 3*localCutBytes + 5
	a := newAppender(t, l, "ft/a/tus")
	written := int64(0)
	l.write = func(f *os.File, p []byte) (int, error) {
		if written+int64(len(p)) > localCutBytes+10*mib {
			return 0, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
		}
		written += int64(len(p))
		return f.Write(p)
	}
	require.ErrorIs(t, a.append(t.Context(), newPattern(size), noLimit, nil, nil, nil), models.ErrStorageFull)
	require.GreaterOrEqual(t, a.draft.Received, int64(localCutBytes), "what was durable before stays")
	require.LessOrEqual(t, a.draft.Received, written)
	l.write = (*os.File).Write
	require.NoError(t, a.append(t.Context(), patternFrom(a.draft.Received, size), noLimit, nil, nil, nil))
	a.assembled(b, "ft/a/object", size)
	require.NoError(t, l.DeleteAll(t.Context(), a.draft.Prefix))
	require.Equal(t, []string{"ft/a/object"}, b.list(t, "ft/a"))
}

func TestLocalAppend_CommitsNothingThatWasNotFlushed(t *testing.T) {
	t.Parallel()
	l, b := newLocal(t, false)
	a := newAppender(t, l, "ft/a/tus")
	require.NoError(t, a.append(t.Context(), newPattern(mib), noLimit, nil, nil, nil))
	l.flush = func(f *os.File) error { return &os.PathError{Op: "sync", Path: f.Name(), Err: syscall.EIO} }
	require.ErrorIs(t, a.append(t.Context(), patternFrom(mib, 2*mib), noLimit, nil, nil, nil), models.ErrUnavailable)
	require.Equal(t, int64(mib), a.draft.Received)
	l.flush = (*os.File).Sync
	require.NoError(t, a.append(t.Context(), patternFrom(mib, 2*mib), noLimit, nil, nil, nil))
	a.assembled(b, "ft/a/object", 2*mib)
}

// Bytes of a slow client are durable after a few seconds, however few they are.
func TestLocalTail_CutsForSlowClients(t *testing.T) {
	t.Parallel()
	tail := &localTail{}
	require.False(t, tail.due(localCutBytes-1, localCutTime-time.Millisecond))
	require.True(t, tail.due(1, localCutTime))
	require.True(t, tail.due(localCutBytes, 0))
}

// A whole upload is one file, so that nothing is copied to make the object.
func TestLocalAppend_TheDraftBecomesTheObject(t *testing.T) {
	t.Parallel()
	l, b := newLocal(t, false)
	a := newAppender(t, l, "ft/a/tus")
	for at := int64(0); at < 5*mib; at += mib {
		require.NoError(t, a.append(t.Context(), patternFrom(at, at+mib), noLimit, nil, nil, nil))
	}
	require.Len(t, a.draft.Segments, 1)
	a.assembled(b, "ft/a/object", 5*mib)
	draft, err := os.Stat(l.path(a.draft.Segments[0].Name))
	require.NoError(t, err)
	object, err := os.Stat(l.path("ft/a/object"))
	require.NoError(t, err)
	require.True(t, os.SameFile(draft, object))
}

// Bytes that a writer could not commit are cut off the end of the file, and no others.
func TestLocalAppend_CutsOffWhatCountsForNobody(t *testing.T) {
	t.Parallel()
	l, b := newLocal(t, false)
	a := newAppender(t, l, "ft/cut/tus")
	require.NoError(t, a.append(t.Context(), newPattern(mib), noLimit, nil, nil, nil))
	wrong := &models.Checksum{Algorithm: "md5", Sum: make([]byte, 16)}
	for range 3 {
		require.ErrorIs(t, a.append(t.Context(), newPattern(8*mib), noLimit, wrong, nil, nil), models.ErrChunkChecksum)
	}
	names := b.list(t, "ft/cut")
	require.Len(t, names, 1)
	info, err := os.Stat(l.path(a.draft.Segments[0].Name))
	require.NoError(t, err)
	require.Equal(t, int64(mib), info.Size())
	require.NoError(t, a.append(t.Context(), patternFrom(mib, 2*mib), noLimit, nil, nil, nil))
	a.assembled(b, "ft/cut/object", 2*mib)
}

func TestLocalAssemble_HasTheGenerationThatTheFileSystemKeeps(t *testing.T) {
	t.Parallel()
	for name, digits := range map[string]time.Duration{"nanoseconds": 1, "microseconds": time.Microsecond, "a second": time.Second, "two seconds": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, b := newLocal(t, false)
			l.stamp = func(f *os.File, at time.Time) error { return setModTime(f, at.Truncate(digits)) }
			first := newAppender(t, l, "ft/coarse/tus-1")
			require.NoError(t, first.append(t.Context(), newPattern(mib), noLimit, nil, nil, nil))
			second := newAppender(t, l, "ft/coarse/tus-2")
			require.NoError(t, second.append(t.Context(), patternFrom(mib, 2*mib), noLimit, nil, nil, nil))
			segments := slices.Concat(first.draft.Segments, second.draft.Segments)

			c := assemble(t, b, "ft/coarse/object", segments)
			stored, err := l.Stat(t.Context(), c.Key)
			require.NoError(t, err)
			require.Equal(t, stored.Generation, c.Generation)
			require.Equal(t, c.Generation, assemble(t, b, c.Key, segments).Generation, "whoever does it again, at another replica")
			got := read(t, b, c)
			require.Equal(t, c.CRC32C, got.CRC32C)

			p, err := l.Put(t.Context(), "ft/coarse/plain", newPattern(10), noLimit)
			require.NoError(t, err)
			read(t, b, p)
		})
	}
}

// waited is a context that reports when somebody waits for its end.
type waited struct {
	context.Context //nolint:containedctx // it is one
	once            sync.Once
	waits           chan struct{}
}

func (w *waited) Done() <-chan struct{} {
	w.once.Do(func() { close(w.waits) })
	return w.Context.Done()
}

func TestLocalAssemble_LeavesAnObjectAloneThatWasMadeWhileItWaited(t *testing.T) {
	t.Parallel()
	l, _ := newLocal(t, false)
	a := newAppender(t, l, "ft/late/tus")
	for at := int64(0); at < 2*mib; at += mib {
		require.NoError(t, a.append(t.Context(), patternFrom(at, at+mib), noLimit, nil, nil, nil))
	}
	stamping, goOn := make(chan struct{}), make(chan struct{})
	l.stamp = func(f *os.File, at time.Time) error { close(stamping); <-goOn; return setModTime(f, at) }
	assembly := models.TusAssembly{Key: "ft/late/object", Segments: a.draft.Segments, Generation: assembledAt}
	begin := func(ctx context.Context, l *local) (made chan models.Content) {
		made = make(chan models.Content, 1)
		go func() {
			c, err := l.Assemble(ctx, assembly)
			if err != nil {
				t.Error(err)
			}
			made <- c
		}()
		return made
	}
	made := begin(t.Context(), l)
	<-stamping

	other, err := connectLocal(l.root, Options{})
	require.NoError(t, err)
	var touched atomic.Bool
	other.stamp = func(f *os.File, at time.Time) error { touched.Store(true); return setModTime(f, at) }
	ctx := &waited{Context: t.Context(), waits: make(chan struct{})}
	late := begin(ctx, other)
	<-ctx.waits // it has seen no object, and waits for the lock
	close(goOn)
	require.Equal(t, <-made, <-late)
	require.False(t, touched.Load(), "it would have been another generation for a moment")
}
