package receipts_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/receipts"
)

// counted is a log's leaves in memory, as many as a test wants.
type counted struct {
	leaves      []models.LogLeaf
	checkpoints []models.LogCheckpoint
}

func (c *counted) grow(n int) {
	for range n {
		i := int64(len(c.leaves))
		c.leaves = append(c.leaves, models.LogLeaf{Index: i, Kind: models.LeafReceipt, Subject: "t", Seq: i, Hash: fmt.Sprintf("%064x", i)})
	}
}

func (c *counted) AssignLeaves(context.Context, int) (int, error) { return 0, nil }

func (c *counted) Leaves(_ context.Context, from int64, limit int) ([]models.LogLeaf, error) {
	rest := c.leaves[min(from, int64(len(c.leaves))):]
	return rest[:min(limit, len(rest))], nil
}

func (c *counted) LatestCheckpoint(context.Context) (models.LogCheckpoint, error) {
	if len(c.checkpoints) == 0 {
		return models.LogCheckpoint{}, nil
	}
	return c.checkpoints[len(c.checkpoints)-1], nil
}

func (c *counted) InsertCheckpoint(_ context.Context, at models.LogCheckpoint) error {
	c.checkpoints = append(c.checkpoints, at)
	return nil
}

func data(l models.LogLeaf) []byte { return receipts.LeafData(l.Kind, l.Subject, l.Seq, l.Hash) }

func hashes(t testing.TB, texts []string) []tlog.Hash {
	t.Helper()
	out := make([]tlog.Hash, len(texts))
	for i, s := range texts {
		h, err := tlog.ParseHash(s)
		require.NoError(t, err)
		out[i] = h
	}
	return out
}

// A log of any size proves each leaf and its own growth to the checks of golang.org/x/mod/sumdb/tlog.
func TestLog_ProvesEveryLeafAndItsOwnGrowth(t *testing.T) {
	t.Parallel()
	b := setup(t, sqlite(t))
	leaves := &counted{}
	b.log.Leaves = leaves
	for _, more := range []int{1, 1, 5, 248, 1, 1, 300, 3, 7000} { // across the edges of tiles
		leaves.grow(more)
		b.seal()
		c, err := leaves.LatestCheckpoint(t.Context())
		require.NoError(t, err)
		tree, err := receipts.OpenCheckpoint(b.keys.KeySet(), c.Note)
		require.NoError(t, err)
		require.Equal(t, int64(len(leaves.leaves)), tree.N)
		for _, i := range []int64{0, tree.N / 3, tree.N - 1} {
			_, proof, err := b.log.Inclusion(t.Context(), i)
			require.NoError(t, err)
			require.NoError(t, tlog.CheckRecord(hashes(t, proof), tree.N, tree.Hash, i, tlog.RecordHash(data(leaves.leaves[i]))))
		}
		for _, old := range leaves.checkpoints {
			before, err := receipts.OpenCheckpoint(b.keys.KeySet(), old.Note)
			require.NoError(t, err)
			_, proof, err := b.log.Consistency(t.Context(), before.N)
			require.NoError(t, err)
			require.NoError(t, tlog.CheckTree(hashes(t, proof), tree.N, tree.Hash, before.N, before.Hash))
		}
	}
	size := int64(len(leaves.leaves))
	for _, at := range []int64{-1, size} {
		_, _, err := b.log.Inclusion(t.Context(), at)
		require.ErrorIs(t, err, models.ErrNotLogged)
	}
	_, _, err := b.log.Consistency(t.Context(), size+1)
	require.ErrorIs(t, err, models.ErrNotLogged)
	count, err := receipts.Rebuild(t.Context(), leaves, states(leaves))
	require.NoError(t, err)
	require.Equal(t, size, count)
}

func states(c *counted) func(int64) ([]models.LogCheckpoint, error) {
	return func(after int64) ([]models.LogCheckpoint, error) {
		for i, at := range c.checkpoints {
			if at.Size > after {
				return c.checkpoints[i:min(i+2, len(c.checkpoints))], nil
			}
		}
		return nil, nil
	}
}

func TestRebuild_FindsALogThatWasCutOrChanged(t *testing.T) {
	t.Parallel()
	b := setup(t, sqlite(t))
	leaves := &counted{}
	b.log.Leaves = leaves
	for range 3 {
		leaves.grow(10)
		b.seal()
	}
	whole := leaves.leaves
	leaves.leaves = whole[:25]
	_, err := receipts.Rebuild(t.Context(), leaves, states(leaves))
	require.ErrorContains(t, err, "the log was cut: 25 leaves are there, 30 were signed")
	leaves.leaves = append([]models.LogLeaf{}, whole...)
	leaves.leaves[12].Hash = "other"
	_, err = receipts.Rebuild(t.Context(), leaves, states(leaves))
	require.ErrorContains(t, err, "the first 20 leaves of the log are not those that were signed")
	leaves.leaves = append(append([]models.LogLeaf{}, whole[:12]...), whole[13:]...)
	_, err = receipts.Rebuild(t.Context(), leaves, states(leaves))
	require.ErrorContains(t, err, "leaf 12 of the log is missing")
}

// dying objects fail after so many writes, like a process that is killed.
type dying struct {
	receipts.Objects
	left int
}

var errDied = errors.New("died")

func (d *dying) Put(ctx context.Context, key string, body io.Reader, limit int64, without ...models.Hash) (models.Content, error) {
	if d.left--; d.left < 0 {
		return models.Content{}, errDied
	}
	return d.Objects.Put(ctx, key, body, limit, without...)
}

func TestSeal_GoesOnWhereverItDied(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		good := b.log.Tiles
		for n := range 3 {
			b.live()
			for left := range 2 {
				b.log.Tiles = &dying{good, left}
				if _, err := b.log.Seal(t.Context()); err != nil {
					require.ErrorIs(t, err, errDied)
				}
			}
			b.log.Tiles = good
			b.seal()
			tree, err := b.log.Tree(t.Context())
			require.NoError(t, err)
			require.Equal(t, int64(7+6*n), tree.N, "six receipts each, and one head of the audit")
		}
		require.NoError(t, b.VerifyLog(t.Context()))
		count, err := receipts.Rebuild(t.Context(), b.Store, func(after int64) ([]models.LogCheckpoint, error) {
			return b.CheckpointsAfter(t.Context(), after, 1)
		})
		require.NoError(t, err)
		require.Equal(t, int64(19), count)
	})
}

func TestTiles_AreFullOrGone(t *testing.T) {
	t.Parallel()
	b := setup(t, sqlite(t))
	leaves := &counted{}
	b.log.Leaves = leaves
	for range 30 {
		leaves.grow(10)
		b.seal()
	}
	dir := filepath.Join(filepath.Dir(b.file), "objects", "log", "tile", "8", "0")
	_, err := os.Stat(filepath.Join(dir, "000"))
	require.NoError(t, err)
	_, err = os.Stat(filepath.Join(dir, "000.p"))
	require.ErrorIs(t, err, os.ErrNotExist, "the shorter ones went when it was full")
	full, err := b.evidence.Tile(t.Context(), "0/000")
	require.NoError(t, err)
	require.Len(t, full, 256*32)
	short, err := b.evidence.Tile(t.Context(), "0/000.p/7")
	require.NoError(t, err, "who read an older checkpoint still finds its hashes")
	require.Equal(t, full[:7*32], short)
	for _, path := range []string{"0/001.p/45", "0/002", "x", "0/../000", "-1/000", "data/000"} {
		_, err := b.evidence.Tile(t.Context(), path)
		require.ErrorIs(t, err, models.ErrNotLogged, path)
	}
}
