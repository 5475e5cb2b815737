package objects

import (
	"context"
	"fmt"
	"slices"

	"cloud.google.com/go/storage"
	"golang.org/x/sync/errgroup"
)

// composersPerPut run at once for one upload.
const composersPerPut = 4

// composeTree joins parts, in order, into the object of key: up to 32 at once, in as many levels as
// that takes. Sources go as they are joined. The last step declares the CRC32C of the whole body,
// which vouches for every step below it.
func (g *gcs) composeTree(ctx context.Context, key, mark string, parts []*part, sum *digest) (*part, error) {
	for level := 0; len(parts) > sourcesPerNode; level++ {
		nodes := make([]*part, (len(parts)+sourcesPerNode-1)/sourcesPerNode)
		group, each := errgroup.WithContext(ctx)
		group.SetLimit(composersPerPut)
		number := 0
		for sources := range slices.Chunk(parts, sourcesPerNode) {
			name, at := fmt.Sprintf("%s/%s/node-%d-%06d", key, mark, level, number), number
			number++
			group.Go(func() (err error) {
				nodes[at], err = g.compose(each, name, mark, sources, nil)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		parts = nodes
	}
	return g.compose(ctx, key, mark, parts, &sum.crc32c)
}

// compose joins sources into name, unless it is taken. Its own repeated request may be told that
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
