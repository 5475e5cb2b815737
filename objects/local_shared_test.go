package objects

import (
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

const sharedKey = "ft/a/tus-parts/all"

// placed are the parts of a file, in the places that they have in it.
func placed(t *testing.T, l *local, lengths ...int64) []*appender {
	t.Helper()
	at, all := int64(0), make([]*appender, len(lengths))
	for i, n := range lengths {
		all[i] = newAppender(t, l, fmt.Sprintf("ft/a/tus-%d", i))
		all[i].draft.Place = &models.TusPlace{Key: sharedKey, First: at, Length: n}
		all[i].draft.CarryAll = i == 0
		at += n
	}
	return all
}

// bring appends a range of a part's bytes.
func (a *appender) bring(from, to int64) {
	a.t.Helper()
	first := a.draft.Place.First
	require.NoError(a.t, a.append(a.t.Context(), patternFrom(first+from, first+to), noLimit, nil, nil, nil))
}

func joined(t *testing.T, l *local, key string, parts ...*appender) models.Content {
	t.Helper()
	assembly := models.TusAssembly{Key: key, Shared: sharedKey, Generation: 1_700_000_000_123_456_000}
	for _, p := range parts {
		assembly.Segments = append(assembly.Segments, p.draft.Segments...)
	}
	c, err := l.Assemble(t.Context(), assembly)
	require.NoError(t, err)
	return c
}

// holds requires an object to be these pieces of the pattern, each from one byte to another.
func holds(t *testing.T, l *local, c models.Content, pieces ...[2]int64) {
	t.Helper()
	var wanted []byte
	for _, p := range pieces {
		piece, err := io.ReadAll(patternFrom(p[0], p[1]))
		require.NoError(t, err)
		wanted = append(wanted, piece...)
	}
	in, err := l.Open(t.Context(), c, 0, c.Size)
	require.NoError(t, err)
	defer func() { require.NoError(t, in.Close()) }()
	got, err := io.ReadAll(in)
	require.NoError(t, err)
	require.Equal(t, crc32.Checksum(wanted, castagnoli), crc32.Checksum(got, castagnoli))
	require.Equal(t, crc32.Checksum(wanted, castagnoli), c.CRC32C)
}

func (l *local) shares(t *testing.T, key string) bool {
	t.Helper()
	shared, err := os.Stat(l.path(sharedKey))
	require.NoError(t, err)
	object, err := os.Stat(l.path(key))
	require.NoError(t, err)
	return os.SameFile(shared, object)
}

func TestLocalShared_PartsInTheirPlacesAreTheObject(t *testing.T) {
	t.Parallel()
	l, b := newLocal(t, false)
	parts := placed(t, l, 5*mib, 70*mib+1, 1, 3*mib)
	var all sync.WaitGroup
	for _, p := range parts {
		all.Go(func() {
			n := p.draft.Place.Length
			for at := range min(3, n) {
				p.bring(n*at/3, n*(at+1)/3)
			}
			if n < 3 {
				p.bring(p.draft.Received, n)
			}
		})
	}
	all.Wait()
	for range 2 { // also for whoever repeats it
		c := joined(t, l, "ft/a/object", parts...)
		holds(t, l, c, [2]int64{0, 78*mib + 2})
		require.True(t, l.shares(t, "ft/a/object"))
	}
	require.Equal(t, []string{"ft/a/object", sharedKey}, slices.Sorted(slices.Values(b.list(t, "ft/a"))))
	require.NoError(t, l.DeleteAll(t.Context(), "ft/a/tus-parts"))
	require.Equal(t, []string{"ft/a/object"}, b.list(t, "ft/a"))
}

func TestLocalShared_PartsInAnotherOrderAreCopied(t *testing.T) {
	t.Parallel()
	l, _ := newLocal(t, false)
	parts := placed(t, l, 2*mib, mib, 3*mib)
	for _, p := range parts {
		p.bring(0, p.draft.Place.Length)
	}
	swapped := joined(t, l, "ft/a/swapped", parts[1], parts[0], parts[2])
	some := joined(t, l, "ft/a/some", parts[0], parts[1]) // a third one lies behind them
	gap := joined(t, l, "ft/a/gap", parts[0], parts[2])
	straight := joined(t, l, "ft/a/straight", parts...)
	holds(t, l, swapped, [2]int64{2 * mib, 3 * mib}, [2]int64{0, 2 * mib}, [2]int64{3 * mib, 6 * mib})
	holds(t, l, some, [2]int64{0, 3 * mib})
	holds(t, l, gap, [2]int64{0, 2 * mib}, [2]int64{3 * mib, 6 * mib})
	holds(t, l, straight, [2]int64{0, 6 * mib})
	require.False(t, l.shares(t, "ft/a/some"))
	require.True(t, l.shares(t, "ft/a/straight"))
}

// A writer that finds its place locked begins a file of its own, and the overtaken one spoils nothing.
func TestLocalShared_AnOvertakenWriterSpoilsNothing(t *testing.T) {
	t.Parallel()
	l, _ := newLocal(t, false)
	parts := placed(t, l, mib, 4*mib, mib)
	first, second, third := parts[0], parts[1], parts[2]
	first.bring(0, mib)
	third.bring(0, mib)
	second.bring(0, mib)
	claimed, body, late := make(chan struct{}), newGate(), make(chan error, 1)
	go func() {
		late <- second.append(t.Context(), body, noLimit, nil, func() { close(claimed) }, nil)
	}()
	<-claimed
	second.bring(mib, 3*mib)
	second.bring(3*mib, 4*mib)
	close(body.open) // with other bytes
	require.ErrorIs(t, <-late, errTaken)
	require.Len(t, second.draft.Segments, 2)
	holds(t, l, joined(t, l, "ft/a/object", parts...), [2]int64{0, 6 * mib})
	require.False(t, l.shares(t, "ft/a/object"))
}

// While a writer may still write to the file, it does not become an object.
func TestLocalShared_IsNotTheObjectWhileSomebodyWrites(t *testing.T) {
	t.Parallel()
	l, _ := newLocal(t, false)
	parts := placed(t, l, mib, mib, mib)
	parts[0].bring(0, mib)
	parts[1].bring(0, mib)
	claimed, body, late := make(chan struct{}), newGate(), make(chan error, 1)
	go func() {
		late <- parts[2].append(t.Context(), body, noLimit, nil, func() { close(claimed) }, nil)
	}()
	<-claimed
	c := joined(t, l, "ft/a/object", parts[0], parts[1])
	require.False(t, l.shares(t, "ft/a/object"))
	close(body.open)
	require.NoError(t, <-late)
	holds(t, l, c, [2]int64{0, 2 * mib})
}

// gate is a body of a MiB of zeros that come when it is opened.
type gate struct {
	open chan struct{}
	left int
}

func newGate() *gate { return &gate{open: make(chan struct{}), left: mib} }

func (g *gate) Read(p []byte) (int, error) {
	<-g.open
	if g.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), g.left)
	clear(p[:n])
	g.left -= n
	return n, nil
}
