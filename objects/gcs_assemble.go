package objects

import (
	"context"
	"errors"
	"fmt"
	"path"

	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/models"
)

// Assemble implements Store. The names of all nodes of the tree follow from the key, so that whoever assembles after
// somebody else was cut off finds what is there already.
func (g *gcs) Assemble(ctx context.Context, a models.TusAssembly) (models.Content, error) {
	if err := checkKey(a.Key); err != nil {
		return models.Content{}, fmt.Errorf("assemble: %w", err)
	}
	c := contentOfSegments(a)
	made, err := g.assemble(ctx, a, c)
	if errors.Is(err, models.ErrObjectExists) || errors.Is(err, models.ErrObjectNotFound) {
		err = fmt.Errorf("%w: somebody else assembles it at the same time: %s", models.ErrUnavailable, err.Error())
	}
	if err != nil {
		return models.Content{}, fmt.Errorf("assemble %s: %w", a.Key, err)
	}
	c.Generation = made.generation
	return c, nil
}

func (g *gcs) assemble(ctx context.Context, a models.TusAssembly, c models.Content) (*part, error) {
	mark := path.Base(a.Key) // of the upload, whoever assembles it
	if len(a.Segments) == 0 {
		return g.create(ctx, draftObject{name: a.Key, mark: mark})
	}
	t := &tree{store: g, key: a.Key, mark: mark}
	level := make([]*node, len(a.Segments))
	for i, s := range a.Segments {
		level[i] = &node{name: s.Name, size: s.Size, leaf: true}
	}
	for depth := 0; len(level) > 1 || level[0].leaf; depth++ {
		var up []*node
		for i := 0; i < len(level); i += sourcesPerNode {
			n := &node{name: fmt.Sprintf("%s/%s/node-%d-%06d", a.Key, mark, depth, len(up)), from: level[i:min(i+sourcesPerNode, len(level))]}
			for _, child := range n.from {
				n.size += child.size
			}
			up = append(up, n)
		}
		level = up
	}
	root := level[0]
	root.name, root.crc32c = a.Key, &c.CRC32C
	return t.make(ctx, root)
}

// node is a segment, or an object made of up to 32 others.
type node struct {
	name   string
	size   int64 // bytes
	leaf   bool
	from   []*node
	crc32c *uint32 // declared for the root, which vouches for all below it
}

// tree makes the object of key.
type tree struct {
	store     *gcs
	key, mark string
}

// make returns the object of a node; children go as they are joined.
func (t *tree) make(ctx context.Context, n *node) (*part, error) {
	made, err := t.store.settle(ctx, n.name, t.mark, n.size, n.crc32c)
	if err == nil || errors.Is(err, models.ErrObjectExists) {
		return made, err
	}
	sources := make([]*part, len(n.from))
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(composersPerPut)
	for i, child := range n.from {
		group.Go(func() (err error) {
			if sources[i], err = t.child(each, child); err != nil {
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

func (t *tree) child(ctx context.Context, n *node) (*part, error) {
	if !n.leaf {
		return t.make(ctx, n)
	}
	attrs, err := t.store.attrs(ctx, n.name)
	if err != nil {
		return nil, err
	}
	if attrs.Size != n.size {
		return nil, fmt.Errorf("%w: a segment has %d bytes instead of %d", models.ErrUnavailable, attrs.Size, n.size)
	}
	return &part{name: n.name, generation: attrs.Generation, size: n.size}, nil
}
