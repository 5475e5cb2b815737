package receipts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/formidling/formidling/models"
)

// Objects is the object storage.
type Objects interface {
	Put(ctx context.Context, key string, body io.Reader, limit int64, without ...models.Hash) (models.Content, error)
	Stat(ctx context.Context, key string) (models.StoredObject, error)
	Open(ctx context.Context, c models.Content, offset, length int64) (io.ReadCloser, error)
	DeleteAll(ctx context.Context, prefix string) error
}

// TileHeight is how many levels of the tree one tile holds: 256 hashes of 32 bytes.
const TileHeight = 8

const tilePrefix = "log/"

// tileKey is the key of a tile: log/tile/8/<level>/<number>, with .p/<width> while it is not full.
func tileKey(t tlog.Tile) string { return tilePrefix + t.Path() }

// write stores the tiles of the new hashes as objects. A tile that exists already has the same content. Once a tile is
// full, the shorter ones before it are deleted.
func (l *Log) write(ctx context.Context, oldSize int64, g *growth) error {
	for _, tile := range tlog.NewTiles(TileHeight, oldSize, g.tree.N) {
		data, err := tlog.ReadTileData(tile, g)
		if err != nil {
			return fmt.Errorf("seal log: %w", err)
		}
		if _, err := l.Tiles.Put(ctx, tileKey(tile), bytes.NewReader(data), int64(len(data))); err != nil && !errors.Is(err, models.ErrObjectExists) {
			return fmt.Errorf("seal log: %w", err)
		}
		if tile.W == 1<<TileHeight {
			if err := l.Tiles.DeleteAll(ctx, tileKey(tile)+".p"); err != nil {
				return fmt.Errorf("seal log: %w", err)
			}
		}
	}
	return nil
}

// reader reads hashes of a signed tree from its tiles, and accepts only those that lead to the root.
func (l *Log) reader(ctx context.Context, t tlog.Tree) tlog.HashReader {
	if t.N == 0 {
		return nil
	}
	return tlog.TileHashReader(t, &tileReader{ctx: ctx, log: l, seen: map[string][]byte{}})
}

// tileReader implements tlog.TileReader over objects, for one operation: it remembers what it read.
type tileReader struct {
	ctx  context.Context //nolint:containedctx // tlog's interface has none
	log  *Log
	seen map[string][]byte
}

// Height implements tlog.TileReader.
func (r *tileReader) Height() int { return TileHeight }

// SaveTiles implements tlog.TileReader.
func (r *tileReader) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, t := range tiles {
		r.seen[t.Path()] = data[i]
	}
}

// ReadTiles implements tlog.TileReader.
func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		if data, read := r.seen[t.Path()]; read {
			out[i] = data
			continue
		}
		data, err := r.log.ReadTile(r.ctx, t)
		if err != nil {
			return nil, err
		}
		out[i] = data
	}
	return out, nil
}

// ReadTile reads one tile; if it has grown since, only its beginning. models.ErrObjectNotFound if there is none.
func (l *Log) ReadTile(ctx context.Context, t tlog.Tile) ([]byte, error) {
	full := t
	full.W = 1 << t.H
	data, err := l.readObject(ctx, tileKey(t))
	if errors.Is(err, models.ErrObjectNotFound) && full != t {
		data, err = l.readObject(ctx, tileKey(full))
	}
	if err != nil {
		return nil, fmt.Errorf("read tile %s: %w", t.Path(), err)
	}
	if len(data) < t.W*tlog.HashSize {
		return nil, fmt.Errorf("read tile %s: it is too short", t.Path())
	}
	return data[:t.W*tlog.HashSize], nil
}

func (l *Log) readObject(ctx context.Context, key string) ([]byte, error) {
	stored, err := l.Tiles.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	body, err := l.Tiles.Open(ctx, stored.Content(key), 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(io.LimitReader(body, stored.Size))
}

// ParseTile reads a tile's path as C2SP's tlog-tiles has it, without the height: <level>/<number>.
func ParseTile(path string) (tlog.Tile, error) {
	t, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", TileHeight, strings.TrimPrefix(path, "/")))
	if err != nil || t.L < 0 {
		return tlog.Tile{}, models.ErrNotLogged
	}
	return t, nil
}
