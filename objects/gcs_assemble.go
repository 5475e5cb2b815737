package objects

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/formidling/formidling/models"
)

// Assemble implements Store. The names of all nodes of the tree follow from the key, so that a second attempt finds what
// an interrupted one has made.
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
	mark := path.Base(a.Key) // the same in every attempt
	if len(a.Segments) == 0 {
		return g.create(ctx, draftObject{name: a.Key, mark: mark})
	}
	leaves := make([]*node, len(a.Segments))
	for i, s := range a.Segments {
		leaves[i] = &node{name: s.Name, size: s.Size}
	}
	return (&tree{store: g, mark: mark, resumed: true}).make(ctx, grow(a.Key, mark, leaves, c.CRC32C))
}
