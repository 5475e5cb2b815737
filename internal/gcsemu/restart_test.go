package gcsemu_test

import (
	"os"
	"path/filepath"
	"testing"

	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/gcsemu"
)

func TestServer_KeepsObjectsAcrossARestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	parts, whole := b.parts(t, 2)
	_, err := b.bucket.Object("whole").ComposerFrom(parts...).Run(t.Context())
	require.NoError(t, err)
	b.put(t, "gone", []byte("gone"))
	require.NoError(t, b.bucket.Object("gone").Delete(t.Context()))
	b.put(t, "part/00", []byte("replaced"))
	hold := storage.ObjectAttrsToUpdate{TemporaryHold: true, Metadata: map[string]string{"k": "v"}}
	before, err := b.bucket.Object("whole").Update(t.Context(), hold)
	require.NoError(t, err)
	b.session(t, "unfinished", nil)
	b.stop()

	again := setupIn(t, b.dir)
	after, err := again.bucket.Object("whole").Attrs(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
	again.requireContent(t, "whole", whole)
	again.requireContent(t, "part/00", []byte("replaced"))
	again.requireAbsent(t, "gone")
	again.requireAbsent(t, "unfinished")
	requireNoDrafts(t, b.dir)
	require.Greater(t, again.put(t, "new", nil).Generation, after.Generation)
}

func TestNew_CollectsContentThatBelongsToNoObject(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, "a", []byte("content"))
	b.stop()
	orphan := filepath.Join(b.dir, "buckets", "files", "17.content")
	require.NoError(t, os.WriteFile(orphan, []byte("left over"), 0o600))
	again := setupIn(t, b.dir)
	require.NoFileExists(t, orphan)
	again.requireContent(t, "a", []byte("content"))
}

func TestNew_RefusesADirectoryWhoseContentIsNotWhole(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"cut":     func(path string) error { return os.Truncate(path, 3) },
		"missing": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.put(t, "a", []byte("content"))
			b.stop()
			files, err := filepath.Glob(filepath.Join(b.dir, "buckets", "files", "*.content"))
			require.NoError(t, err)
			require.Len(t, files, 1)
			require.NoError(t, spoil(files[0]))
			_, err = gcsemu.New(b.dir)
			require.ErrorContains(t, err, "load bucket files")
		})
	}
}

func TestServer_LeavesNoContentOfWhatIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 3 {
		b.put(t, "a", random(100))
	}
	parts, _ := b.parts(t, 2)
	c := b.bucket.Object("whole").ComposerFrom(parts...)
	c.DeleteSourceObjects = true
	_, err := c.Run(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.bucket.Object("a").Delete(t.Context()))
	files, err := os.ReadDir(filepath.Join(b.dir, "buckets", "files"))
	require.NoError(t, err)
	require.Len(t, files, 2, "one record and one content")
	requireNoDrafts(t, b.dir)
}

func TestServer_ForgetsItsSessionsWhenClosed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.session(t, "a", nil)
	require.NoError(t, b.emu.Close())
	require.NoDirExists(t, filepath.Join(b.dir, "drafts"))
}
