package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

const (
	mib     = 1 << 20
	noLimit = int64(1) << 40
)

// bench is one store under test and what is known about it.
type bench struct {
	store Store
	// list returns every name the storage holds below prefix, leftovers too.
	list func(t *testing.T, prefix string) []string
	// leftover plants what an aborted attempt on key may have left.
	leftover func(t *testing.T, key string)
	large    bool // takes more than a few dozen MiB
	checksum bool // reports a CRC32C
}

// conform checks that a store keeps the contract. Each subtest works below a prefix of its own.
func conform(t *testing.T, b bench) {
	t.Helper()
	tests := []struct {
		name string
		test func(*testing.T, bench, string)
	}{
		{"PutThenOpenGivesTheSameBytes", testRoundTrip},
		{"HashesMayBeLeftOut", testLeftOut},
		{"EightPutsOnOneKeyHaveOneWinner", testOneWinner},
		{"ExistingKeyIsRefusedAndKept", testExisting},
		{"BodyOverTheLimitLeavesNothing", testLimit},
		{"FailingBodyLeavesNothing", testFailingBody},
		{"BodyCutShortLeavesNothing", testCutBody},
		{"CancelledPutLeavesNothing", testCancelled},
		{"RangesGiveTheirBytes", testRanges},
		{"RangesOutsideAreRefused", testBadRanges},
		{"OtherGenerationsAreRefused", testGeneration},
		{"AbsentObjectIsNotFound", testAbsent},
		{"DeleteAllRemovesObjectsAndLeftovers", testDeleteAll},
		{"DeleteAllStaysBelowItsPrefix", testDeleteAllNeighbours},
		{"UncleanKeysAreRefused", testBadKeys},
		{"AppendsMakeTheSameBytes", testAppend},
		{"AppendKeepsWhatCameBeforeABreak", testAppendCut},
		{"AppendKeepsNoChunkWithAWrongChecksum", testAppendChecksum},
		{"AppendStopsAtTheLimit", testAppendLimit},
		{"AppendFencesAWriterThatWasOvertaken", testAppendFenced},
		{"AppendAtOneOffsetHasOneWinner", testAppendOneWinner},
		{"PartsAreJoinedInAnyOrder", testJoin},
		{"ManySegmentsAreJoined", testManySegments},
		{"AssemblingGoesOnWhereItWasCutOff", testAssembleCutOff},
		{"LostSegmentsAreNotPassingFaults", testLostSegment},
		{"ReadyAnswers", testReady},
		{"ReadyIsBoundedByItsContext", testReadyCancelled},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, b, fmt.Sprintf("ft/%02d", i))
		})
	}
}

func testRoundTrip(t *testing.T, b bench, prefix string) {
	t.Helper()
	sizes := []int{0, 1, smallBytes, smallBytes + 1, mib - 1, mib, mib + 1, 4 * mib, 17 * mib}
	if b.large {
		sizes = append(sizes, 70*mib, 200*mib)
	}
	for _, size := range sizes {
		key := fmt.Sprintf("%s/%d", prefix, size)
		c, err := b.store.Put(t.Context(), key, iotest.DataErrReader(newPattern(int64(size))), noLimit)
		require.NoError(t, err, size)
		require.Equal(t, contentOf(newPattern(int64(size)), key, c.Generation), c, size)

		stored, err := b.store.Stat(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, c.Generation, stored.Generation)
		require.Equal(t, int64(size), stored.Size)
		if b.checksum {
			require.Equal(t, c.CRC32C, *stored.CRC32C)
		} else {
			require.Nil(t, stored.CRC32C)
		}
		r, err := b.store.Open(t.Context(), c, 0, -1)
		require.NoError(t, err)
		require.Equal(t, c, contentOf(r, key, c.Generation), size)
		require.NoError(t, r.Close())
		require.Equal(t, []string{key}, b.list(t, key), "nothing but the object")
	}
}

func testLeftOut(t *testing.T, b bench, prefix string) {
	t.Helper()
	sizes := []int64{0, smallBytes, 3 * mib}
	if b.large {
		sizes = append(sizes, 70*mib)
	}
	for _, size := range sizes {
		key := fmt.Sprintf("%s/%d", prefix, size)
		c, err := b.store.Put(t.Context(), key, newPattern(size), noLimit, models.HashMD5)
		require.NoError(t, err, size)
		want := contentOf(newPattern(size), key, c.Generation)
		want.MD5 = ""
		require.Equal(t, want, c, size)
		got := read(t, b, c)
		require.Equal(t, c.SHA256, got.SHA256)
	}
}

func testOneWinner(t *testing.T, b bench, prefix string) {
	t.Helper()
	for round := range 5 {
		key := fmt.Sprintf("%s/%d", prefix, round)
		var winners atomic.Int32
		var won models.Content
		var all sync.WaitGroup
		for i := range 8 {
			// Half of them bring the same bytes: equality of content must not look like success.
			body := bytes.Repeat([]byte{byte(i / 4)}, 100<<10)
			all.Go(func() {
				c, err := b.store.Put(t.Context(), key, bytes.NewReader(body), noLimit)
				if err == nil {
					winners.Add(1)
					won = c
				} else if !errors.Is(err, models.ErrObjectExists) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, winners.Load())
		require.Equal(t, won, read(t, b, won))
	}
}

func testExisting(t *testing.T, b bench, prefix string) {
	t.Helper()
	key := prefix + "/object"
	first := put(t, b, key, 1000)
	_, err := b.store.Put(t.Context(), key, newPattern(2*mib), noLimit)
	require.ErrorIs(t, err, models.ErrObjectExists)
	require.Equal(t, first, read(t, b, first))
	require.Equal(t, []string{key}, b.list(t, prefix))
}

func testLimit(t *testing.T, b bench, prefix string) {
	t.Helper()
	for _, limit := range []int64{0, 10, smallBytes, mib, 3 * mib} {
		key := fmt.Sprintf("%s/%d", prefix, limit)
		_, err := b.store.Put(t.Context(), key, onlyReader{newPattern(limit + 5)}, limit)
		require.ErrorIs(t, err, models.ErrFileTooLarge)
		coded, ok := models.AsError(err)
		require.True(t, ok)
		require.Equal(t, limit, *coded.Limit)
		require.Greater(t, *coded.Actual, limit)
		require.LessOrEqual(t, *coded.Actual, limit+5)
		gone(t, b, key)

		_, err = b.store.Put(t.Context(), key, onlyReader{newPattern(limit)}, limit)
		require.NoError(t, err, "exactly the limit is allowed")
	}
}

func testFailingBody(t *testing.T, b bench, prefix string) {
	t.Helper()
	broken := errors.New("client went away")
	sizes := []int64{0, 1, smallBytes, mib, 5 * mib}
	if b.large {
		sizes = append(sizes, 16*mib, 80*mib)
	}
	for _, size := range sizes {
		key := fmt.Sprintf("%s/%d", prefix, size)
		_, err := b.store.Put(t.Context(), key, io.MultiReader(newPattern(size), iotest.ErrReader(broken)), noLimit)
		require.ErrorIs(t, err, broken)
		_, coded := models.AsError(err)
		require.False(t, coded, "the body's error is the caller's: %v", err)
		gone(t, b, key)
	}
}

// A request body that is shorter than its Content-Length ends in io.ErrUnexpectedEOF, which
// io.ReadFull also uses for an ordinary end; other readers wrap io.EOF to say that it came too soon.
func testCutBody(t *testing.T, b bench, prefix string) {
	t.Helper()
	for _, size := range []int64{0, 10, smallBytes + 10, mib + 10} {
		for _, end := range []error{io.ErrUnexpectedEOF, fmt.Errorf("read frame: %w", io.EOF)} {
			key := fmt.Sprintf("%s/%d", prefix, size)
			body := io.MultiReader(newPattern(size), iotest.ErrReader(end))
			_, err := b.store.Put(t.Context(), key, body, noLimit)
			require.ErrorIs(t, err, end)
			gone(t, b, key)
		}
	}
}

func testCancelled(t *testing.T, b bench, prefix string) {
	t.Helper()
	sizes := []int64{0, 1, mib, 5 * mib}
	if b.large {
		sizes = append(sizes, 80*mib)
	}
	for _, size := range sizes {
		key := fmt.Sprintf("%s/%d", prefix, size)
		ctx, cancel := context.WithCancel(t.Context())
		body := io.MultiReader(newPattern(size), readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, io.EOF // the whole body is there, but its sender no longer waits
		}))
		_, err := b.store.Put(ctx, key, body, noLimit)
		require.ErrorIs(t, err, context.Canceled)
		gone(t, b, key)
	}
}

func testRanges(t *testing.T, b bench, prefix string) {
	t.Helper()
	const size = 3*mib + 7
	c := put(t, b, prefix+"/object", size)
	all, err := io.ReadAll(newPattern(size))
	require.NoError(t, err)
	for _, r := range [][2]int64{{0, 1}, {0, size}, {1, -1}, {mib, 100}, {size - 1, 1}, {size - 10, -1}, {size, -1}, {size, 0}, {0, 0}, {5, 0}, {17, 2 * mib}} {
		offset, length := r[0], r[1]
		in, err := b.store.Open(t.Context(), c, offset, length)
		require.NoError(t, err, r)
		if length == -1 {
			length = size - offset
		}
		got, err := io.ReadAll(io.LimitReader(in, length))
		require.NoError(t, err, r)
		require.NoError(t, in.Close())
		require.True(t, bytes.Equal(all[offset:offset+length], got), r)
	}
}

func testBadRanges(t *testing.T, b bench, prefix string) {
	t.Helper()
	c := put(t, b, prefix+"/object", 100)
	for _, r := range [][2]int64{{-1, 1}, {0, 101}, {101, -1}, {101, 0}, {100, 1}, {0, -2}, {1, 1<<63 - 1}} {
		_, err := b.store.Open(t.Context(), c, r[0], r[1])
		require.ErrorIs(t, err, models.ErrRange, r)
	}
}

func testGeneration(t *testing.T, b bench, prefix string) {
	t.Helper()
	key := prefix + "/object"
	old := put(t, b, key, 100)
	require.NoError(t, b.store.DeleteAll(t.Context(), prefix))
	c := put(t, b, key, 100)
	require.NotEqual(t, old.Generation, c.Generation, "the same key and bytes, but not the same object")
	for _, offset := range []int64{0, 50, 100} {
		_, err := b.store.Open(t.Context(), old, offset, -1)
		require.ErrorIs(t, err, models.ErrObjectNotFound)
	}
	require.Equal(t, c, read(t, b, c))
}

func testAbsent(t *testing.T, b bench, prefix string) {
	t.Helper()
	put(t, b, prefix+"/there", 10)
	for _, key := range []string{prefix + "/absent", prefix + "/a/b/c", prefix, prefix + "/there/not"} {
		_, err := b.store.Stat(t.Context(), key)
		require.ErrorIs(t, err, models.ErrObjectNotFound, key)
		_, err = b.store.Open(t.Context(), models.Content{Key: key, Generation: 1, Size: 1}, 0, -1)
		require.ErrorIs(t, err, models.ErrObjectNotFound, key)
	}
}

func testDeleteAll(t *testing.T, b bench, prefix string) {
	t.Helper()
	require.NoError(t, b.store.DeleteAll(t.Context(), prefix), "absent is success")
	c := put(t, b, prefix+"/first", 100)
	put(t, b, prefix+"/second", 2*mib)
	b.leftover(t, prefix+"/third")
	require.Len(t, b.list(t, prefix), 3)
	require.NoError(t, b.store.DeleteAll(t.Context(), prefix))
	require.Empty(t, b.list(t, prefix))
	_, err := b.store.Open(t.Context(), c, 0, -1)
	require.ErrorIs(t, err, models.ErrObjectNotFound)
	require.NoError(t, b.store.DeleteAll(t.Context(), prefix))
	put(t, b, prefix+"/first", 10)
}

func testDeleteAllNeighbours(t *testing.T, b bench, prefix string) {
	t.Helper()
	put(t, b, prefix+"/a/object", 10)
	neighbours := []models.Content{put(t, b, prefix+"/ab/object", 10), put(t, b, prefix+"/bc", 10)}
	put(t, b, prefix+"/b", 10)
	require.NoError(t, b.store.DeleteAll(t.Context(), prefix+"/a"))
	require.NoError(t, b.store.DeleteAll(t.Context(), prefix+"/b"), "an object goes by its own name")
	require.Equal(t, []string{prefix + "/ab/object", prefix + "/bc"}, b.list(t, prefix))
	for _, c := range neighbours {
		require.Equal(t, c, read(t, b, c))
	}
}

func testBadKeys(t *testing.T, b bench, _ string) {
	t.Helper()
	keys := []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".tmp-1", "a/.hidden", "a\x00b",
		"a\nb", "a\\b", "\xff", strings.Repeat("a", 256), strings.Repeat("abc/", 200) + "a",
	}
	for _, key := range keys {
		_, err := b.store.Put(t.Context(), key, strings.NewReader("x"), noLimit)
		require.ErrorIs(t, err, ErrBadKey, key)
		_, err = b.store.Open(t.Context(), models.Content{Key: key}, 0, -1)
		require.ErrorIs(t, err, ErrBadKey, key)
		_, err = b.store.Stat(t.Context(), key)
		require.ErrorIs(t, err, ErrBadKey, key)
		require.ErrorIs(t, b.store.DeleteAll(t.Context(), key), ErrBadKey, key)
	}
}

func testReady(t *testing.T, b bench, _ string) {
	t.Helper()
	// Callers share one probe of the local disk, so that of another test may be running.
	require.Eventually(t, func() bool { return b.store.Ready(t.Context()) == nil }, 10*time.Second, time.Millisecond)
}

func testReadyCancelled(t *testing.T, b bench, _ string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.store.Ready(ctx); err != nil { // a quick probe may win
		require.ErrorIs(t, err, models.ErrUnavailable)
	}
}
