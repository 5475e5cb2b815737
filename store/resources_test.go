package store

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestPutResource_BelongsToWhoNamedItFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		require.ErrorIs(t, b.PutResource(ctx, bob, "mine", models.ResourcePatch{}), models.ErrOwnerNotConfigured)
		require.NoError(t, b.InsertServiceOwner(ctx, bob, "Bob"))
		require.ErrorIs(t, b.InsertServiceOwner(ctx, bob, "Bob"), models.ErrOwnerExists)
		require.ErrorIs(t, b.PutResource(ctx, bob, svc, models.ResourcePatch{}), models.ErrNoAccess)
		require.ErrorIs(t, b.PutRight(ctx, bob, models.Right{ResourceID: svc, Organisation: bob, MaySend: true}), models.ErrNoAccess)
		require.ErrorIs(t, b.DeleteRight(ctx, bob, svc, alice), models.ErrNoAccess)
		_, err := b.Rights(ctx, bob, svc)
		require.ErrorIs(t, err, models.ErrNoAccess)
		bad := int64(-1)
		require.ErrorIs(t, b.PutResource(ctx, bob, "new", models.ResourcePatch{MaxFileSize: &bad}), models.ErrMaxSizeNegative)
		_, err = b.ResourceByID(ctx, "new")
		require.ErrorIs(t, err, models.ErrResourceNotConfigured, "a refused one is not made")
	})
}

func TestPutResource_CountsItsVersions(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		before, err := b.ResourceByID(t.Context(), svc)
		require.NoError(t, err)
		b.grant(t, bob, true, true)
		require.NoError(t, b.PutResource(t.Context(), owner, svc, models.ResourcePatch{}))
		require.NoError(t, b.DeleteRight(t.Context(), owner, svc, bob))
		after, err := b.ResourceByID(t.Context(), svc)
		require.NoError(t, err)
		require.Equal(t, before.Version+3, after.Version)
		require.True(t, after.Updated.After(before.Updated))
	})
}

// DESIGN 8: what is accepted after a revocation was answered was accepted without right.
func TestAcceptTransfer_IsNeverLateAfterARevocation(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		for range 5 {
			b.grant(t, alice, true, false)
			var wg sync.WaitGroup
			var mu sync.Mutex
			revoked, late := false, 0
			for range 8 {
				wg.Go(func() {
					for range 10 {
						mu.Lock()
						already := revoked
						mu.Unlock()
						_, err := b.AcceptTransfer(t.Context(), submission(bob), "run", time.Hour)
						if err == nil && already {
							mu.Lock()
							late++
							mu.Unlock()
						}
					}
				})
			}
			wg.Go(func() {
				err := b.DeleteRight(t.Context(), owner, svc, alice)
				mu.Lock()
				defer mu.Unlock()
				revoked = err == nil
			})
			wg.Wait()
			require.True(t, revoked)
			require.Zero(t, late)
		}
	})
}
