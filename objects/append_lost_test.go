package objects

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// Bytes that were durable and are not there any more are distinguished from a fault that passes.
func testLostSegment(t *testing.T, b bench, prefix string) {
	t.Helper()
	for name, lost := range map[string]int{"first": 0, "second": 1} {
		first, second := newAppender(t, b.store, prefix+"/"+name+"/tus-1"), newAppender(t, b.store, prefix+"/"+name+"/tus-2")
		for i, a := range []*appender{first, second} {
			require.NoError(t, a.append(t.Context(), patternFrom(int64(i)*1000, int64(i+1)*1000), noLimit, nil, nil, nil))
		}
		segments := slices.Concat(first.draft.Segments, second.draft.Segments)
		require.NoError(t, b.store.DeleteAll(t.Context(), segments[lost].Name))
		for range 2 {
			_, err := b.store.Assemble(t.Context(), models.TusAssembly{Key: prefix + "/" + name + "/object", Segments: segments, Generation: assembledAt})
			require.ErrorIs(t, err, models.ErrUploadLost)
			err = b.store.Digest(t.Context(), segments, 0, models.HashState{}, func(int64, models.HashState) error { return nil })
			require.ErrorIs(t, err, models.ErrUploadLost)
		}
		gone(t, b, prefix+"/"+name+"/object")
	}
}

func TestLocal_ASegmentThatWasCutIsLost(t *testing.T) {
	t.Parallel()
	l, _ := newLocal(t, false)
	a := newAppender(t, l, "ft/cut/tus")
	require.NoError(t, a.append(t.Context(), newPattern(mib), noLimit, nil, nil, nil))
	require.NoError(t, os.Truncate(l.path(a.draft.Segments[0].Name), mib-1))
	_, err := l.Assemble(t.Context(), models.TusAssembly{Key: "ft/cut/object", Segments: a.draft.Segments, Generation: 1})
	require.ErrorIs(t, err, models.ErrUploadLost)
	require.ErrorIs(t, a.append(t.Context(), patternFrom(mib, 2*mib), noLimit, nil, nil, nil), models.ErrUploadLost)
}

// Where everything is missing, the disk or the bucket is, and may come back.
func TestAppend_NothingIsLostWhileTheStorageIsAway(t *testing.T) {
	t.Parallel()
	l, _ := newLocal(t, false)
	onDisk := newAppender(t, l, "ft/a/tus")
	require.NoError(t, onDisk.append(t.Context(), newPattern(mib), noLimit, nil, nil, nil))
	away := l.root + "-away"
	require.NoError(t, os.Rename(l.root, away))
	for _, left := range []string{"", l.root, filepath.Join(l.root, "ft")} { // gone, empty, with what others write
		if left != "" {
			require.NoError(t, os.Mkdir(left, 0o700))
		}
		_, err := l.Assemble(t.Context(), models.TusAssembly{Key: "ft/a/object", Segments: onDisk.draft.Segments, Generation: 1})
		require.ErrorIs(t, err, models.ErrUnavailable, left)
		require.ErrorIs(t, onDisk.append(t.Context(), newPattern(1), noLimit, nil, nil, nil), models.ErrUnavailable, left)
	}

	_, url := startEmulator(t)
	g := dial(t, url)
	inBucket := newAppender(t, g, "ft/a/tus")
	require.NoError(t, inBucket.append(t.Context(), newPattern(mib), noLimit, nil, nil, nil))
	elsewhere, err := connectGCS(t.Context(), "no-such-bucket", Options{Emulator: url})
	require.NoError(t, err)
	_, err = elsewhere.Assemble(t.Context(), models.TusAssembly{Key: "ft/a/object", Segments: inBucket.draft.Segments, Generation: 1})
	require.ErrorIs(t, err, models.ErrUnavailable)
	require.NotErrorIs(t, err, models.ErrUploadLost)
}
