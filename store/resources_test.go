package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestPutResource_BelongsToWhoNamedItFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		put := func(by models.Party, id string, patch models.ResourcePatch) error {
			_, err := b.PutResource(ctx, as(by), id, patch, always)
			return err
		}
		require.ErrorIs(t, put(bob, "mine", models.ResourcePatch{}), models.ErrOwnerNotConfigured)
		require.NoError(t, b.InsertServiceOwner(ctx, as(bob), "Bob"))
		require.ErrorIs(t, b.InsertServiceOwner(ctx, as(bob), "Bob"), models.ErrOwnerExists)
		require.ErrorIs(t, put(bob, svc, models.ResourcePatch{}), models.ErrNoAccess)
		bad := int64(-1)
		require.ErrorIs(t, put(bob, "new", models.ResourcePatch{MaxFileSize: &bad}), models.ErrMaxSizeNegative)
		_, err := b.ResourceByID(ctx, "new")
		require.ErrorIs(t, err, models.ErrResourceNotConfigured, "a refused one is not made")
	})
}
