package receipts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/formidling/formidling/models"
)

// Leaves is where the log's order and its signed states are kept.
type Leaves interface {
	AssignLeaves(ctx context.Context, limit int) (assigned int, err error)
	Leaves(ctx context.Context, from int64, limit int) ([]models.LogLeaf, error)
	LatestCheckpoint(ctx context.Context) (models.LogCheckpoint, error)
	InsertCheckpoint(ctx context.Context, c models.LogCheckpoint) error
}

// Log is the append-only Merkle tree. Leaves gives each leaf its place; the tiles of hashes follow from the leaves and
// are immutable objects; a checkpoint signs size and root. If the process dies between these steps, the next Seal goes on.
type Log struct {
	Leaves Leaves
	Tiles  Objects
	Keys   *Keys  // nil: nothing is sealed, and proofs can still be read
	Name   string // of the issuer
}

// assignAtOnce is how many leaves of each kind get their place in one transaction.
const assignAtOnce = 5000

// Seal adds waiting receipts to the log and signs its new state. It reports whether more may be waiting.
func (l *Log) Seal(ctx context.Context) (more bool, err error) {
	if l.Keys == nil || l.Keys.log == nil {
		return false, nil
	}
	assigned, err := l.Leaves.AssignLeaves(ctx, assignAtOnce)
	if err != nil {
		return false, err
	}
	grew, err := l.publish(ctx)
	return assigned >= assignAtOnce || grew, err
}

// publish writes the tiles of all leaves that have a place, and signs a checkpoint. It reports whether it stopped before the last leaf.
func (l *Log) publish(ctx context.Context) (more bool, err error) {
	old, err := l.Tree(ctx)
	if err != nil {
		return false, err
	}
	leaves, err := l.Leaves.Leaves(ctx, old.N, assignAtOnce)
	if err != nil || len(leaves) == 0 {
		return false, err
	}
	grown := newGrowth(old, l.reader(ctx, old))
	for _, leaf := range leaves {
		if leaf.Index != grown.tree.N {
			return false, fmt.Errorf("seal log: leaf %d is missing", grown.tree.N)
		}
		if err := grown.add(LeafData(leaf.Kind, leaf.Subject, leaf.Seq, leaf.Hash)); err != nil {
			return false, fmt.Errorf("seal log: %w", err)
		}
	}
	if err := l.write(ctx, old.N, grown); err != nil {
		return false, err
	}
	root, err := tlog.TreeHash(grown.tree.N, grown)
	if err != nil {
		return false, fmt.Errorf("seal log: %w", err)
	}
	tree := tlog.Tree{N: grown.tree.N, Hash: root}
	signed, err := l.Keys.signCheckpoint(l.Name, tree)
	if err != nil {
		return false, err
	}
	return len(leaves) == assignAtOnce, l.Leaves.InsertCheckpoint(ctx, models.LogCheckpoint{Size: tree.N, Root: root.String(), Note: signed})
}

// Tree is the newest signed state.
func (l *Log) Tree(ctx context.Context) (tlog.Tree, error) {
	c, err := l.Leaves.LatestCheckpoint(ctx)
	if err != nil || c.Size == 0 {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(c.Root)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("read checkpoint %d: %w", c.Size, err)
	}
	return tlog.Tree{N: c.Size, Hash: root}, nil
}

// growth is a tree with new leaves whose hashes are not in tiles yet.
type growth struct {
	tree   tlog.Tree // N is the new size; Hash is still the old root
	old    tlog.HashReader
	hashes map[int64]tlog.Hash
}

func newGrowth(old tlog.Tree, r tlog.HashReader) *growth {
	return &growth{tree: old, old: r, hashes: map[int64]tlog.Hash{}}
}

func (g *growth) add(data []byte) error {
	hashes, err := tlog.StoredHashes(g.tree.N, data, g)
	if err != nil {
		return err
	}
	first := tlog.StoredHashIndex(0, g.tree.N)
	for i, h := range hashes {
		g.hashes[first+int64(i)] = h
	}
	g.tree.N++
	return nil
}

// ReadHashes implements tlog.HashReader.
func (g *growth) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	var before []int64
	var at []int
	for i, x := range indexes {
		if h, fresh := g.hashes[x]; fresh {
			out[i] = h
			continue
		}
		before, at = append(before, x), append(at, i)
	}
	if len(before) == 0 {
		return out, nil
	}
	if g.old == nil {
		return nil, errors.New("the tree is empty")
	}
	found, err := g.old.ReadHashes(before)
	if err != nil {
		return nil, err
	}
	for i, h := range found {
		out[at[i]] = h
	}
	return out, nil
}

// Inclusion proves that a leaf is in the newest signed state of the log, by the hashes that lead from it to the root.
func (l *Log) Inclusion(ctx context.Context, leaf int64) (models.LogCheckpoint, []string, error) {
	c, all, err := l.Inclusions(ctx, []int64{leaf})
	if err == nil && all[leaf] == nil {
		err = models.ErrNotLogged
	}
	return c, all[leaf], err
}

// Inclusions proves that leaves are in the newest signed state of the log; leaves that are not in it get no proof.
func (l *Log) Inclusions(ctx context.Context, leaves []int64) (models.LogCheckpoint, map[int64][]string, error) {
	out := make(map[int64][]string, len(leaves))
	c, err := l.read(ctx, func(t tlog.Tree, r tlog.HashReader) error {
		for _, leaf := range leaves {
			if leaf < 0 || leaf >= t.N {
				continue
			}
			hashes, err := tlog.ProveRecord(t.N, leaf, r)
			if err != nil {
				return err
			}
			out[leaf] = texts(hashes)
		}
		return nil
	})
	return c, out, err
}

// Consistency proves that the newest signed state of the log continues the one with a smaller size.
func (l *Log) Consistency(ctx context.Context, size int64) (models.LogCheckpoint, []string, error) {
	var out []string
	c, err := l.read(ctx, func(t tlog.Tree, r tlog.HashReader) error {
		if size < 1 || size > t.N {
			return models.ErrNotLogged
		}
		hashes, err := tlog.ProveTree(t.N, size, r)
		out = texts(hashes)
		return err
	})
	return c, out, err
}

// readTries is more than one, because a longer tile may replace a partial one while it is read.
const readTries = 3

// read calls a function with the newest signed state of the log, unless the log is empty.
func (l *Log) read(ctx context.Context, do func(tlog.Tree, tlog.HashReader) error) (models.LogCheckpoint, error) {
	var failed error
	for range readTries {
		c, err := l.Leaves.LatestCheckpoint(ctx)
		if err != nil || c.Size == 0 {
			return c, err
		}
		root, err := tlog.ParseHash(c.Root)
		if err != nil {
			return c, fmt.Errorf("read checkpoint %d: %w", c.Size, err)
		}
		t := tlog.Tree{N: c.Size, Hash: root}
		if err = do(t, l.reader(ctx, t)); err == nil {
			return c, nil
		}
		if failed = fmt.Errorf("read log: %w", err); !errors.Is(err, models.ErrObjectNotFound) {
			break
		}
	}
	return models.LogCheckpoint{}, failed
}

func texts(hashes []tlog.Hash) []string {
	out := make([]string, len(hashes))
	for i, h := range hashes {
		out[i] = h.String()
	}
	return out
}

// Rebuild computes the log anew from its leaves, compares it with every signed state, and returns how many leaves are
// right. It fails at the first leaf that is missing or root that differs, and if there are fewer leaves than were signed.
// states lists the signed states with more than so many leaves.
func Rebuild(ctx context.Context, leaves Leaves, states func(after int64) ([]models.LogCheckpoint, error)) (int64, error) {
	g := newGrowth(tlog.Tree{}, nil)
	pending, err := states(0)
	if err != nil {
		return 0, err
	}
	for len(pending) > 0 {
		page, err := leaves.Leaves(ctx, g.tree.N, assignAtOnce)
		if err != nil {
			return g.tree.N, err
		}
		for _, leaf := range page {
			if leaf.Index != g.tree.N {
				return g.tree.N, fmt.Errorf("leaf %d of the log is missing", g.tree.N)
			}
			if err := g.add(LeafData(leaf.Kind, leaf.Subject, leaf.Seq, leaf.Hash)); err != nil {
				return g.tree.N, err
			}
			if len(pending) == 0 || pending[0].Size != g.tree.N {
				continue
			}
			root, err := tlog.TreeHash(g.tree.N, g)
			if err != nil {
				return g.tree.N, err
			}
			if root.String() != pending[0].Root {
				return g.tree.N, fmt.Errorf("the first %d leaves of the log are not those that were signed", g.tree.N)
			}
			if pending = pending[1:]; len(pending) == 0 {
				if pending, err = states(g.tree.N); err != nil {
					return g.tree.N, err
				}
			}
		}
		if len(page) == 0 && len(pending) > 0 {
			return g.tree.N, fmt.Errorf("the log was cut: %d leaves are there, %d were signed", g.tree.N, pending[0].Size)
		}
	}
	return g.tree.N, nil
}

// SealFor seals until nothing waits or the time is up.
func (l *Log) SealFor(ctx context.Context, patience time.Duration) error {
	for until := time.Now().Add(patience); time.Now().Before(until); {
		if more, err := l.Seal(ctx); err != nil || !more {
			return err
		}
	}
	return nil
}
