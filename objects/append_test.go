package objects

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// appender is a draft and the little that the database keeps of it, with one writer at a time as in the database.
type appender struct {
	t     *testing.T
	store Store

	mu    sync.Mutex
	draft models.TusDraft
	epoch int64
}

func newAppender(t *testing.T, s Store, prefix string) *appender {
	t.Helper()
	return &appender{t: t, store: s, draft: models.TusDraft{Prefix: prefix, CarryAll: true}}
}

var errOffset, errTaken = errors.New("offset"), errors.New("taken")

// append adds body at the end of the draft; the hooks, which may be nil, run after the claim and before each commit.
func (a *appender) append(ctx context.Context, body io.Reader, limit int64, check *models.Checksum, claimed func(), committing func()) error {
	return a.appendTo(ctx, a.look(), body, limit, check, claimed, committing)
}

// look is what a request reads before it claims the draft.
func (a *appender) look() models.TusDraft {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.draft
	d.Segments = slices.Clone(d.Segments)
	return d
}

func (a *appender) appendTo(ctx context.Context, d models.TusDraft, body io.Reader, limit int64, check *models.Checksum, claimed func(), committing func()) error {
	if n := len(d.Segments); n > 1 {
		d.Segments = d.Segments[n-1:]
	}
	var mine int64
	return a.store.Append(ctx, d, body, models.TusAppend{
		Limit: limit, Check: check,
		Claim: func() (int64, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.draft.Received != d.Received {
				return 0, errOffset
			}
			a.epoch++
			mine = a.epoch
			if claimed != nil {
				defer claimed()
			}
			return mine, nil
		},
		Commit: func(p models.TusProgress) error {
			if committing != nil {
				committing()
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.epoch != mine || a.draft.Received != p.From {
				return errTaken
			}
			a.draft.Received, a.draft.Hashes, a.draft.CRC32C = p.Received, p.Hashes, p.CRC32C
			if n := len(a.draft.Segments); n > 0 && a.draft.Segments[n-1].First == p.Segment.First {
				a.draft.Segments[n-1] = p.Segment
			} else {
				a.draft.Segments = append(a.draft.Segments, p.Segment)
			}
			return nil
		},
	})
}

// assembled makes the object and requires it to be the pattern of this size.
func (a *appender) assembled(b bench, key string, size int64) models.Content {
	a.t.Helper()
	at := int64(0)
	for _, s := range a.draft.Segments {
		require.Equal(a.t, at, s.First, "no gap, no overlap")
		at += s.Size
	}
	c := assemble(a.t, b, key, a.draft.Segments)
	c.SHA256, c.MD5 = sums(a.t, a.draft.Hashes)
	require.Equal(a.t, contentOf(newPattern(size), key, c.Generation), c)
	require.Equal(a.t, a.draft.CRC32C, c.CRC32C)
	require.Equal(a.t, c, read(a.t, b, c))
	return c
}

// assembledAt is the generation of objects that tests assemble.
const assembledAt = 1_700_000_000_123_456_000

func assemble(t *testing.T, b bench, key string, segments []models.TusSegment) models.Content {
	t.Helper()
	c, err := b.store.Assemble(t.Context(), models.TusAssembly{Key: key, Segments: segments, Generation: assembledAt})
	require.NoError(t, err)
	return c
}

func sums(t *testing.T, h models.HashState) (sha, md string) {
	t.Helper()
	sha, md, err := h.Sums()
	require.NoError(t, err)
	return sha, md
}

func patternFrom(at, size int64) io.Reader { return &pattern{at: at, size: size} }

func testAppend(t *testing.T, b bench, prefix string) {
	t.Helper()
	sizes := []int64{0, 1, blockBytes, 3*mib + 7, 17 * mib}
	if b.large {
		sizes = append(sizes, 70*mib+1)
	}
	for _, size := range sizes {
		a := newAppender(t, b.store, fmt.Sprintf("%s/tus-%d", prefix, size))
		for a.draft.Received < size {
			end := min(size, a.draft.Received+max(1, size/3)+5)
			require.NoError(t, a.append(t.Context(), patternFrom(a.draft.Received, end), noLimit, nil, nil, nil))
			require.Equal(t, end, a.draft.Received)
		}
		key := fmt.Sprintf("%s/%d", prefix, size)
		c := a.assembled(b, key, size)
		stored, err := b.store.Stat(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, c.Generation, stored.Generation)
		require.Equal(t, size, stored.Size)
		again := assemble(t, b, key, a.draft.Segments)
		require.Equal(t, c.Generation, again.Generation, "who repeats it finds the same object")
		require.NoError(t, b.store.DeleteAll(t.Context(), a.draft.Prefix))
		require.Equal(t, c, read(t, b, c), "the object does not need its segments")
		require.Equal(t, []string{key}, b.list(t, key))
	}
}

// Bytes that came before a body broke off are durable, and the upload goes on from there.
func testAppendCut(t *testing.T, b bench, prefix string) {
	t.Helper()
	size := int64(9*mib + 3)
	if b.large {
		size = 90 * mib
	}
	a := newAppender(t, b.store, prefix+"/tus")
	random := rand.New(rand.NewPCG(1, 2))
	for broken := errors.New("client went away"); a.draft.Received < size; {
		before := a.draft.Received
		end := min(size, before+random.Int64N(size/4))
		body := io.MultiReader(iotest.HalfReader(patternFrom(before, end)), iotest.ErrReader(broken))
		require.ErrorIs(t, a.append(t.Context(), body, noLimit, nil, nil, nil), broken)
		require.Equal(t, end, a.draft.Received)
	}
	a.assembled(b, prefix+"/object", size)
}

func testAppendChecksum(t *testing.T, b bench, prefix string) {
	t.Helper()
	size := int64(2*mib + 1)
	if b.large {
		size = 40 * mib
	}
	whole, err := io.ReadAll(newPattern(size))
	require.NoError(t, err)
	first, second := whole[:size/2], whole[size/2:]
	a := newAppender(t, b.store, prefix+"/tus")
	right := func(p []byte) *models.Checksum {
		s := sha256.Sum256(p)
		return &models.Checksum{Algorithm: "sha256", Sum: s[:]}
	}
	require.ErrorIs(t, a.append(t.Context(), bytes.NewReader(first), noLimit, right(second), nil, nil), models.ErrChunkChecksum)
	require.Zero(t, a.draft.Received, "nothing of a wrong chunk counts")
	require.Empty(t, b.list(t, prefix+"/tus"), "nor takes room")
	require.NoError(t, a.append(t.Context(), bytes.NewReader(first), noLimit, right(first), nil, nil))
	stored := b.list(t, prefix+"/tus")
	broken := errors.New("client went away")
	body := io.MultiReader(bytes.NewReader(second[:mib]), iotest.ErrReader(broken))
	require.ErrorIs(t, a.append(t.Context(), body, noLimit, right(second), nil, nil), broken)
	require.Equal(t, size/2, a.draft.Received, "half a chunk cannot be checked")
	require.Equal(t, stored, b.list(t, prefix+"/tus"))
	sum := sha1.Sum(second)
	require.NoError(t, a.append(t.Context(), bytes.NewReader(second), noLimit, &models.Checksum{Algorithm: "sha1", Sum: sum[:]}, nil, nil))
	a.assembled(b, prefix+"/object", size)
}

func testAppendLimit(t *testing.T, b bench, prefix string) {
	t.Helper()
	a := newAppender(t, b.store, prefix+"/tus")
	require.ErrorIs(t, a.append(t.Context(), newPattern(1001), 1000, nil, nil, nil), models.ErrFileTooLarge)
	require.Zero(t, a.draft.Received)
	require.Empty(t, b.list(t, prefix+"/tus"))
	require.NoError(t, a.append(t.Context(), newPattern(1000), 1000, nil, nil, nil))
	a.assembled(b, prefix+"/object", 1000)
}

// A writer that was overtaken while it waited goes on writing other bytes. They never count and spoil nothing.
func testAppendFenced(t *testing.T, b bench, prefix string) {
	t.Helper()
	const size = 5*mib + 9
	for round := range 4 {
		a := newAppender(t, b.store, fmt.Sprintf("%s/tus-%d", prefix, round))
		require.NoError(t, a.append(t.Context(), newPattern(mib), noLimit, nil, nil, nil))
		claimed, goOn, old := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			wrong := bytes.Repeat([]byte{byte(round)}, 3*mib)
			late := readerFunc(func([]byte) (int, error) { <-goOn; return 0, io.EOF })
			rest := bytes.NewReader(bytes.Repeat([]byte{0xee}, 3*mib))
			old <- a.append(t.Context(), io.MultiReader(bytes.NewReader(wrong), late, rest), noLimit, nil, func() { close(claimed) }, nil)
		}()
		<-claimed
		require.NoError(t, a.append(t.Context(), patternFrom(mib, 3*mib), noLimit, nil, nil, nil), "nobody waits for the old one")
		if round%2 == 0 {
			close(goOn)
			require.ErrorIs(t, <-old, errTaken)
		}
		require.NoError(t, a.append(t.Context(), patternFrom(3*mib, size), noLimit, nil, nil, nil))
		key := fmt.Sprintf("%s/object-%d", prefix, round)
		c := a.assembled(b, key, size)
		if round%2 != 0 { // it was still writing when the object was made
			close(goOn)
			require.ErrorIs(t, <-old, errTaken)
			require.Equal(t, c, read(t, b, c))
		}
	}
}

func testAppendOneWinner(t *testing.T, b bench, prefix string) {
	t.Helper()
	for round := range 5 {
		a := newAppender(t, b.store, fmt.Sprintf("%s/tus-%d", prefix, round))
		bodies := make([][]byte, 6)
		errs := make([]error, len(bodies))
		var all sync.WaitGroup
		seen := a.look()
		for i := range bodies {
			bodies[i] = bytes.Repeat([]byte{byte(i)}, 700_000)
			all.Go(func() {
				errs[i] = a.appendTo(t.Context(), seen, iotest.HalfReader(bytes.NewReader(bodies[i])), noLimit, nil, nil, nil)
			})
		}
		all.Wait()
		won := -1
		for i, err := range errs {
			if err == nil {
				require.Equal(t, -1, won, "one wins: %v", errs)
				won = i
			} else if !errors.Is(err, errTaken) && !errors.Is(err, errOffset) {
				t.Error(err)
			}
		}
		require.NotEqual(t, -1, won)
		key := fmt.Sprintf("%s/object-%d", prefix, round)
		c := assemble(t, b, key, a.draft.Segments)
		c.SHA256, c.MD5 = sums(t, a.draft.Hashes)
		require.Equal(t, contentOf(bytes.NewReader(bodies[won]), key, c.Generation), c)
		require.Equal(t, c, read(t, b, c))
	}
}

// Parts are segments of several drafts, in another order than that in which they came.
func testJoin(t *testing.T, b bench, prefix string) {
	t.Helper()
	sizes := []int64{mib + 1, 1, 2*mib + 77, 300_000}
	var parts [][]models.TusSegment
	var segments []models.TusSegment
	at := int64(0)
	for i, size := range sizes {
		a := newAppender(t, b.store, fmt.Sprintf("%s/tus-%d", prefix, i))
		a.draft.CarryAll = false
		for end := at + size; at < end; {
			upto := min(end, at+size/2+1)
			require.NoError(t, a.append(t.Context(), patternFrom(at, upto), noLimit, nil, nil, nil))
			at = upto
		}
		parts = append(parts, a.draft.Segments)
	}
	for _, p := range parts {
		segments = append(segments, p...)
	}
	var h models.HashState
	var hashed []int64
	save := func(to int64, s models.HashState) error { h = s; hashed = append(hashed, to); return nil }
	require.NoError(t, b.store.Digest(t.Context(), segments[:2], 0, h, save))
	resumed := hashed[len(hashed)-1]
	require.NoError(t, b.store.Digest(t.Context(), segments, resumed, h, save))
	require.Equal(t, at, hashed[len(hashed)-1])
	c := assemble(t, b, prefix+"/object", segments)
	c.SHA256, c.MD5 = sums(t, h)
	require.Equal(t, contentOf(newPattern(at), c.Key, c.Generation), c)
	require.Equal(t, c, read(t, b, c))
}

// Hundreds of small chunks make a tree of objects, because only so many are joined at once.
func testManySegments(t *testing.T, b bench, prefix string) {
	t.Helper()
	const chunks, each = 70, 1000
	a := newAppender(t, b.store, prefix+"/tus")
	for i := range int64(chunks) {
		require.NoError(t, a.append(t.Context(), patternFrom(i*each, (i+1)*each), noLimit, nil, nil, nil))
	}
	var all sync.WaitGroup
	for range 3 { // several replicas at once: each succeeds, or may try again
		all.Go(func() {
			_, err := b.store.Assemble(t.Context(), models.TusAssembly{Key: prefix + "/object", Segments: a.draft.Segments, Generation: assembledAt})
			if err != nil && !errors.Is(err, models.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	a.assembled(b, prefix+"/object", chunks*each)
}

// A process may end at any moment while it assembles; the next one goes on with what exists.
func testAssembleCutOff(t *testing.T, b bench, prefix string) {
	t.Helper()
	const chunks, each = 100, 500
	a := newAppender(t, b.store, prefix+"/tus")
	for i := range int64(chunks) {
		require.NoError(t, a.append(t.Context(), patternFrom(i*each, (i+1)*each), noLimit, nil, nil, nil))
	}
	cut := 0
	for patience := time.Millisecond; ; patience += 2 * time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := b.store.Assemble(ctx, models.TusAssembly{Key: prefix + "/object", Segments: a.draft.Segments, Generation: assembledAt})
		cancel()
		if err == nil {
			break
		}
		cut++
	}
	t.Logf("cut off %d times", cut)
	a.assembled(b, prefix+"/object", chunks*each)
}
