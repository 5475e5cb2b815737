package api

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/formidling/formidling/models"
)

func TestWanted_NeverLeavesTheFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(0, 1<<40).Draw(t, "size")
		header := rapid.OneOf(
			rapid.StringMatching(`bytes=[0-9]{0,20}-[0-9]{0,20}`), rapid.StringMatching(`bytes=[-0-9, ]{0,12}`), rapid.String(),
		).Draw(t, "header")
		at, err := wanted(header, "", `"e"`, size)
		if errors.Is(err, models.ErrRange) {
			return
		}
		require.NoError(t, err)
		require.GreaterOrEqual(t, at.first, int64(0))
		require.LessOrEqual(t, at.first+at.length, size)
		require.True(t, at.partial || at.length == size)
		require.True(t, !at.partial || at.length > 0)
	})
}

func TestWanted_ServesExactlyTheRange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 1<<40).Draw(t, "size")
		first := rapid.Int64Range(0, size-1).Draw(t, "first")
		last := rapid.Int64Range(first, size-1).Draw(t, "last")
		at, err := wanted(fmt.Sprintf("bytes=%d-%d", first, last), `"e"`, `"e"`, size)
		require.NoError(t, err)
		require.Equal(t, byteRange{first: first, length: last - first + 1, partial: true}, at)
		at, err = wanted(fmt.Sprintf("bytes=-%d", size-first), "", `"e"`, size)
		require.NoError(t, err)
		require.Equal(t, byteRange{first: first, length: size - first, partial: true}, at)
	})
}

func TestCursors_ComeBackAsTheyWent(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"!", "AAAA", cursorOf(models.SearchPosition{}) + "A"} {
		_, err := parseCursor(bad)
		require.Error(t, err)
	}
	p, err := parseTime("2026-11-23 12:00:00")
	require.NoError(t, err)
	want := models.SearchPosition{At: p}
	got, err := parseCursor(cursorOf(want))
	require.NoError(t, err)
	require.Equal(t, want, got)
}
