package objects

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// newLocal returns a store in a directory of its own. With named drafts it is as on file systems without anonymous
// files.
func newLocal(t *testing.T, named bool) (*local, bench) {
	t.Helper()
	l, err := connectLocal(filepath.Join(t.TempDir(), "new", "objects"), Options{})
	require.NoError(t, err)
	if named {
		l.anonymous = func(string) (*os.File, error) { return nil, errNoAnonymous }
	}
	return l, bench{
		store: l,
		large: true,
		list:  func(t *testing.T, prefix string) []string { t.Helper(); return filesBelow(t, l, prefix) },
		leftover: func(t *testing.T, key string) {
			t.Helper()
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(l.path(key)), ".tmp-1"), []byte("x"), 0o600))
		},
	}
}

// filesBelow lists the object of prefix and all files under it, named drafts too.
func filesBelow(t *testing.T, l *local, prefix string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(l.root, func(path string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // other tests come and go
		}
		require.NoError(t, err)
		key, err := filepath.Rel(l.root, path)
		require.NoError(t, err)
		if key = filepath.ToSlash(key); !e.IsDir() && (key == prefix || strings.HasPrefix(key, prefix+"/")) {
			names = append(names, key)
		}
		return nil
	})
	require.NoError(t, err)
	return names
}

func TestLocal_Conforms(t *testing.T) {
	t.Parallel()
	_, b := newLocal(t, false)
	conform(t, b)
}

func TestLocal_ConformsWithNamedDrafts(t *testing.T) {
	t.Parallel()
	_, b := newLocal(t, true)
	conform(t, b)
}

func TestLocal_OpenGivesAFileAtItsOffset(t *testing.T) {
	t.Parallel()
	_, b := newLocal(t, false)
	c := put(t, b, "ft/a/b", 1000)
	r, err := b.store.Open(t.Context(), c, 10, 20)
	require.NoError(t, err)
	f, ok := r.(*os.File)
	require.True(t, ok, "callers use sendfile")
	at, err := f.Seek(0, io.SeekCurrent)
	require.NoError(t, err)
	require.EqualValues(t, 10, at)
	require.NoError(t, f.Close())
}

func TestLocal_FullDiskIsStorageFullAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		for _, named := range []bool{false, true} {
			l, b := newLocal(t, named)
			var written int
			l.write = func(f *os.File, p []byte) (int, error) {
				if written += len(p); written > 3*mib {
					return 0, &os.PathError{Op: "write", Path: f.Name(), Err: errno}
				}
				return f.Write(p)
			}
			_, err := l.Put(t.Context(), "ft/a/b", newPattern(10*mib), noLimit)
			require.ErrorIs(t, err, models.ErrStorageFull)
			require.ErrorIs(t, err, errno)
			gone(t, b, "ft/a/b")
			require.Empty(t, filesBelow(t, l, "ft"))
		}
	}
}

func TestLocal_FailedFlushIsUnavailableAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, named := range []bool{false, true} {
		l, b := newLocal(t, named)
		l.flush = func(f *os.File) error { return &os.PathError{Op: "sync", Path: f.Name(), Err: syscall.EIO} }
		_, err := l.Put(t.Context(), "ft/a/b", newPattern(10), noLimit)
		require.ErrorIs(t, err, models.ErrUnavailable)
		gone(t, b, "ft/a/b")
		require.Empty(t, filesBelow(t, l, "ft"))
	}
}

func TestLocal_MissingDirectoryIsUnavailable(t *testing.T) {
	t.Parallel()
	l, b := newLocal(t, false)
	c := put(t, b, "ft/a/b", 10)
	require.NoError(t, os.Rename(l.root, l.root+".away"))
	_, err := l.Put(t.Context(), "ft/a/c", newPattern(10), noLimit)
	require.ErrorIs(t, err, models.ErrUnavailable)
	_, err = l.Open(t.Context(), c, 0, -1)
	require.ErrorIs(t, err, models.ErrUnavailable)
	_, err = l.Stat(t.Context(), c.Key)
	require.ErrorIs(t, err, models.ErrUnavailable)
	require.ErrorIs(t, l.DeleteAll(t.Context(), "ft/a"), models.ErrUnavailable, "nothing is known to be gone")
	require.ErrorIs(t, l.Ready(t.Context()), models.ErrUnavailable)
	require.NoFileExists(t, l.root)

	require.NoError(t, os.Rename(l.root+".away", l.root))
	require.Equal(t, c, read(t, b, c))
}

func TestLocal_ReadyReturnsWhenTheDiskHangs(t *testing.T) {
	t.Parallel()
	l, _ := newLocal(t, false)
	stuck := make(chan struct{})
	l.anonymous = func(dir string) (*os.File, error) { <-stuck; return openAnonymous(dir) }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, l.Ready(ctx), models.ErrUnavailable)
	require.ErrorIs(t, l.Ready(t.Context()), models.ErrUnavailable, "a second probe does not hang as well")
	close(stuck)
}

// /readyz is open to everybody, so no caller may influence the answer to another.
func TestLocal_ReadyMayBeAskedByManyAtOnce(t *testing.T) {
	t.Parallel()
	l, _ := newLocal(t, false)
	l.anonymous = func(dir string) (*os.File, error) { time.Sleep(20 * time.Millisecond); return openAnonymous(dir) }
	results := make([]error, 20)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i] = l.Ready(t.Context()) })
	}
	wg.Wait()
	for _, err := range results {
		require.NoError(t, err)
	}
}

func TestLocal_GenerationsAreNeverUsedTwice(t *testing.T) {
	t.Parallel()
	l, b := newLocal(t, false)
	seen := map[int64]bool{}
	for range 50 {
		c := put(t, b, "ft/a/b", 1)
		require.False(t, seen[c.Generation])
		seen[c.Generation] = true
		require.NoError(t, l.DeleteAll(t.Context(), "ft/a"))
	}
}

func TestLocal_ObjectsSurviveAReconnect(t *testing.T) {
	t.Parallel()
	l, b := newLocal(t, false)
	c := put(t, b, "ft/a/b", 5*mib)
	again, err := Connect(t.Context(), "file://"+l.root, Options{})
	require.NoError(t, err)
	b.store = again
	require.Equal(t, c, read(t, b, c))
}

func TestConnect_RefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, location := range []string{"", "s3://bucket", "gs://", "gs://bucket/dir", "gs:///dir", "file://host/dir", "file://"} {
		_, err := Connect(t.Context(), location, Options{})
		require.Error(t, err, location)
	}
}

// The collector knows only the key of an abandoned upload, and must find what the process left on file systems without
// anonymous files.
func TestLocal_NamedDraftsOfAKilledUploadGoWithItsKey(t *testing.T) {
	t.Parallel()
	l, b := newLocal(t, true)
	put(t, b, "ft/a/other", 10)
	killed, err := l.newDraft(l.path("ft/a"), "attempt")
	require.NoError(t, err)
	require.NoError(t, killed.append([]byte("half")))
	running, err := l.newDraft(l.path("ft/a"), "running")
	require.NoError(t, err)
	require.Len(t, filesBelow(t, l, "ft/a"), 3)

	require.NoError(t, l.DeleteAll(t.Context(), "ft/a/attempt"))
	require.Len(t, filesBelow(t, l, "ft/a"), 2)
	running.discard()
	require.Equal(t, []string{"ft/a/other"}, filesBelow(t, l, "ft/a"), "those of others stay")
	entries, err := os.ReadDir(l.path("ft/a"))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nor is an empty directory left")
}
