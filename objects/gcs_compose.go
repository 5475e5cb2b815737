package objects

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cloud.google.com/go/storage"
	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/models"
)

// composersPerNode run at once for one node.
const composersPerNode = 4

// node is a leaf, an object that is there, or what is made of up to 32 others.
type node struct {
	name   string
	size   int64 // bytes
	made   *part // of a leaf that this process has just sent
	from   []*node
	above  *node   // nil: it is the root
	crc32c *uint32 // declared for the root, which vouches for all below it
}

func (n *node) leaf() bool { return len(n.from) == 0 }

// grow puts nodes above leaves, of which there is at least one, up to the root, the object of key. The names of all follow
// from key and mark.
func grow(key, mark string, leaves []*node, crc32c uint32) (root *node) {
	level := leaves
	for depth := 0; len(level) > 1 || level[0].leaf(); depth++ {
		var up []*node
		for from := range slices.Chunk(level, sourcesPerNode) {
			n := &node{name: fmt.Sprintf("%s/%s/node-%d-%06d", key, mark, depth, len(up)), from: from}
			for _, child := range from {
				n.size += child.size
				child.above = n
			}
			up = append(up, n)
		}
		level = up
	}
	root = level[0]
	root.name, root.crc32c = key, &crc32c
	return root
}

// tree makes objects of nodes.
type tree struct {
	store   *gcs
	mark    string
	resumed bool // some of it may be there: somebody was cut off, or does the same now
}

// make returns the object of a node; sources go as they are joined.
func (t *tree) make(ctx context.Context, n *node) (*part, error) {
	if t.resumed {
		made, err := t.store.settle(ctx, n.name, t.mark, n.size, n.crc32c)
		if err == nil || errors.Is(err, models.ErrObjectExists) {
			return made, err
		}
	}
	sources := make([]*part, len(n.from))
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(composersPerNode)
	for i, child := range n.from {
		group.Go(func() (err error) {
			if sources[i], err = t.source(each, child); err != nil {
				return fmt.Errorf("join %s: %w", child.name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return t.store.compose(ctx, n.name, t.mark, sources, n.crc32c)
}

func (t *tree) source(ctx context.Context, n *node) (*part, error) {
	switch {
	case !n.leaf():
		return t.make(ctx, n)
	case n.made != nil:
		return n.made, nil
	}
	attrs, err := t.store.attrs(ctx, n.name)
	switch {
	case errors.Is(err, models.ErrObjectNotFound):
		return nil, t.absent(ctx, n)
	case err != nil:
		return nil, err
	case attrs.Size != n.size:
		return nil, fmt.Errorf("%w: a segment has %d bytes instead of %d", models.ErrUploadLost, attrs.Size, n.size)
	}
	return &part{name: n.name, generation: attrs.Generation, size: n.size}, nil
}

// absent says why a leaf is not there. Composing makes an object before its sources go, so if somebody else has joined the
// leaf, one of the nodes above is there; as that may be joined too meanwhile, each is asked for after those below it.
// Otherwise its bytes are lost.
func (t *tree) absent(ctx context.Context, leaf *node) error {
	for n := leaf.above; n != nil; n = n.above {
		_, err := t.store.attrs(ctx, n.name)
		if err == nil {
			return models.ErrObjectNotFound
		}
		if !errors.Is(err, models.ErrObjectNotFound) {
			return err
		}
	}
	return t.store.lost(ctx, leaf.name)
}

// lost is models.ErrUploadLost, unless more is missing than one object: a bucket that is not there has none.
func (g *gcs) lost(ctx context.Context, name string) error {
	if err := g.Ready(ctx); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", models.ErrUploadLost, name)
}

// compose joins sources into name, unless it is taken. Its own repeated request may be answered that
// the name is taken, or that the sources are gone: it then looks at what is there.
func (g *gcs) compose(ctx context.Context, name, mark string, sources []*part, crc32c *uint32) (*part, error) {
	bounded, cancel := context.WithTimeout(ctx, g.limits.compose)
	defer cancel()
	var size int64
	handles := make([]*storage.ObjectHandle, 0, len(sources))
	for _, s := range sources {
		size += s.size
		handles = append(handles, g.bucket.Object(s.name).Generation(s.generation))
	}
	c := g.bucket.Object(name).If(storage.Conditions{DoesNotExist: true}).ComposerFrom(handles...)
	c.ContentType = contentType
	c.Metadata = map[string]string{markName: mark}
	c.DeleteSourceObjects = true // also spares the soft-deleted copies that single deletes leave
	if crc32c != nil {
		c.CRC32C, c.SendCRC32C = *crc32c, true
	}
	attrs, err := c.Run(bounded)
	if err == nil {
		return g.accept(ctx, attrs, size, crc32c)
	}
	if ctx.Err() == nil {
		if made, settled := g.settle(ctx, name, mark, size, crc32c); settled == nil {
			return made, nil
		}
	}
	return nil, fmt.Errorf("compose %d parts: %w", len(sources), bucketError(ctx, err))
}
