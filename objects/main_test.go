package objects

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// crashDir tells a child of this test binary where to write until it is killed.
const crashDir = "OBJECTS_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		crashingChild(dir, os.Getenv(crashDir+"_NAMED") != "")
	}
	os.Exit(m.Run())
}

const crashBytes = 3*mib + 11

// crashingChild puts objects without end and names each one on stdout once Put has returned.
func crashingChild(dir string, named bool) {
	l, err := connectLocal(dir, Options{})
	if err != nil {
		panic(err)
	}
	if named {
		l.anonymous = func(string) (*os.File, error) { return nil, errNoAnonymous }
	}
	for i := 0; ; i++ {
		key := fmt.Sprintf("ft/%d-%d/object", os.Getpid(), i)
		if _, err := l.Put(context.Background(), key, newPattern(crashBytes), noLimit); err != nil {
			panic(err)
		}
		fmt.Println(key)
	}
}

func TestLocal_KilledProcessLeavesObjectsAbsentOrWhole(t *testing.T) {
	t.Parallel()
	for _, named := range []bool{false, true} {
		l, b := newLocal(t, named)
		acknowledged := map[string]bool{}
		for range 20 {
			for _, key := range killedChild(t, l.root, named) {
				acknowledged[key] = true
			}
		}
		require.NotEmpty(t, acknowledged)
		want := contentOf(newPattern(crashBytes), "", 0)
		for _, name := range filesBelow(t, l, "ft") {
			if strings.Contains(name, "/.tmp-") {
				require.True(t, named, "anonymous files vanish by themselves")
				continue
			}
			stored, err := l.Stat(t.Context(), name)
			require.NoError(t, err)
			got := read(t, b, models.Content{Key: name, Generation: stored.Generation, Size: stored.Size})
			require.Equal(t, want.SHA256, got.SHA256, name)
			delete(acknowledged, name)
		}
		require.Empty(t, acknowledged, "Put returned, so they must be there")
		require.NoError(t, l.DeleteAll(t.Context(), "ft"))
		require.Empty(t, filesBelow(t, l, "ft"), "leftovers go with their prefix")
	}
}

// killedChild runs a child, kills it at some moment after its first objects and returns the keys it
// has acknowledged.
func killedChild(t *testing.T, dir string, named bool) []string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), crashDir+"="+dir)
	if named {
		child.Env = append(child.Env, crashDir+"_NAMED=1")
	}
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	keys := []string{lines.Text()}
	killer := time.AfterFunc(rand.N(40*time.Millisecond), func() { _ = child.Process.Kill() })
	defer killer.Stop()
	for lines.Scan() {
		keys = append(keys, lines.Text())
	}
	require.Error(t, child.Wait(), "killed")
	return keys
}

// allocated returns how many bytes do has allocated; the test must not be parallel.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestLocal_MemoryStaysFlat(t *testing.T) { // not parallel: it counts the process's memory
	_, b := newLocal(t, false)
	used := allocated(func() { put(t, b, "ft/a/b", 1<<30) })
	require.Less(t, used, uint64(16*mib), "for 1 GiB, ever allocated")
}

func TestLocal_SmallObjectsAreCheap(t *testing.T) { // not parallel: it counts the process's memory
	_, b := newLocal(t, false)
	const objects = 200
	used := allocated(func() {
		for i := range objects {
			put(t, b, fmt.Sprintf("ft/a/%d", i), 1000)
		}
	})
	require.Less(t, used/objects, uint64(64<<10))
}

func TestGCS_MemoryIsBoundedBySegments(t *testing.T) { // not parallel: it counts the process's memory
	_, _, b := newGCS(t)
	used := allocated(func() { put(t, b, "ft/a/b", 500*mib) })
	// Four segments and what the emulator needs; the race detector makes pools forget now and then.
	require.Less(t, used, uint64(300*mib))
}

func TestStream_GoroutinesEnd(t *testing.T) {
	t.Parallel()
	sink := func([]byte) error { return nil }
	ways := map[string]func(*testing.T){
		"whole": func(t *testing.T) {
			t.Helper()
			err := stream(t.Context(), newPattern(5*mib), noLimit, newDigest(), sink)
			require.NoError(t, err)
		},
		"sink fails": func(t *testing.T) {
			t.Helper()
			err := stream(t.Context(), newPattern(5*mib), noLimit, newDigest(), func(p []byte) error {
				if len(p) == blockBytes {
					return io.ErrClosedPipe
				}
				return nil
			})
			require.ErrorIs(t, err, io.ErrClosedPipe)
		},
		"too long": func(t *testing.T) {
			t.Helper()
			err := stream(t.Context(), newPattern(5*mib), 3*mib, newDigest(), sink)
			require.ErrorIs(t, err, models.ErrFileTooLarge)
		},
		"body panics": func(t *testing.T) {
			t.Helper()
			body := io.MultiReader(newPattern(2*mib), readerFunc(func([]byte) (int, error) { panic("body") }))
			require.Panics(t, func() { _ = stream(t.Context(), body, noLimit, newDigest(), sink) })
		},
	}
	for name, way := range ways {
		// A bubble with a goroutine that never ends is a failure.
		t.Run(name, func(t *testing.T) { t.Parallel(); synctest.Test(t, way) })
	}
}

func TestStream_ReaderThatNeverMovesIsAnError(t *testing.T) {
	t.Parallel()
	idle := readerFunc(func([]byte) (int, error) { return 0, nil })
	err := stream(t.Context(), idle, noLimit, newDigest(), func([]byte) error { return nil })
	require.ErrorIs(t, err, io.ErrNoProgress)
}

func TestStream_ReadsNoFurtherThanTheSlowestConsumer(t *testing.T) {
	t.Parallel()
	body := newPattern(64 * mib)
	var sunk int64
	err := stream(t.Context(), body, noLimit, newDigest(), func(p []byte) error {
		sunk += int64(len(p))
		if ahead := body.at - sunk; ahead > ringBlocks*blockBytes {
			return fmt.Errorf("read %d bytes ahead", ahead)
		}
		return nil
	})
	require.NoError(t, err)
}
