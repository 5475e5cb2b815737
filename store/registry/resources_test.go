package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
)

func TestPutResource_BelongsToWhoNamedItFirst(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		put := func(by models.Party, id string, patch models.ResourcePatch) error {
			_, err := b.PutResource(ctx, storetest.As(by), id, patch, storetest.Always)
			return err
		}
		require.ErrorIs(t, put(storetest.Bob, "mine", models.ResourcePatch{}), models.ErrOwnerNotConfigured)
		require.NoError(t, b.InsertServiceOwner(ctx, storetest.As(storetest.Bob), "Bob"))
		require.ErrorIs(t, b.InsertServiceOwner(ctx, storetest.As(storetest.Bob), "Bob"), models.ErrOwnerExists)
		require.ErrorIs(t, put(storetest.Bob, storetest.Service, models.ResourcePatch{}), models.ErrNoAccess)
		bad := int64(-1)
		require.ErrorIs(t, put(storetest.Bob, "new", models.ResourcePatch{MaxFileSize: &bad}), models.ErrMaxSizeNegative)
		_, err := b.ResourceByID(ctx, "new")
		require.ErrorIs(t, err, models.ErrResourceNotConfigured, "a refused one is not made")
	})
}
