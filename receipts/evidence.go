package receipts

import (
	"context"
	"errors"

	"github.com/go-jose/go-jose/v4"

	"github.com/formidling/formidling/models"
)

// Finder finds leaves of the log.
type Finder interface {
	LeafOf(ctx context.Context, hash string) (models.LogLeaf, error)
}

// Evidence is what others may check: bundles for parties, keys and the log for everybody.
type Evidence struct {
	Bundler
	Finder Finder
}

// KeySet is the broker's published keys.
func (e *Evidence) KeySet() jose.JSONWebKeySet { return e.Keys.KeySet() }

// Checkpoint is the newest signed state of the log; models.ErrNotLogged before the first.
func (e *Evidence) Checkpoint(ctx context.Context) (string, error) {
	c, err := e.Log.Leaves.LatestCheckpoint(ctx)
	if err == nil && c.Size == 0 {
		err = models.ErrNotLogged
	}
	return c.Note, err
}

// Inclusion proves that the log holds the receipt with this hash.
func (e *Evidence) Inclusion(ctx context.Context, sha256 string) (models.LogLeaf, string, []string, error) {
	leaf, err := e.Finder.LeafOf(ctx, sha256)
	if err != nil {
		return leaf, "", nil, err
	}
	c, proof, err := e.Log.Inclusion(ctx, leaf.Index)
	return leaf, c.Note, proof, err
}

// Consistency proves that the newest state of the log continues one with a smaller size.
func (e *Evidence) Consistency(ctx context.Context, size int64) (string, []string, error) {
	c, proof, err := e.Log.Consistency(ctx, size)
	if err == nil && c.Size == 0 {
		err = models.ErrNotLogged
	}
	return c.Note, proof, err
}

// Tile reads a tile by its path; models.ErrNotLogged when there is none.
func (e *Evidence) Tile(ctx context.Context, path string) ([]byte, error) {
	t, err := ParseTile(path)
	if err != nil {
		return nil, err
	}
	data, err := e.Log.ReadTile(ctx, t)
	if errors.Is(err, models.ErrObjectNotFound) {
		err = models.ErrNotLogged
	}
	return data, err
}
