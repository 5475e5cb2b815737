package store

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestTus_WritersCountAmongTheUploadsOfTheirOrganisation(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		b.uploads = 2
		id := b.accept(t, bob)
		parts := make([]models.TusUpload, 4)
		for n := range parts {
			parts[n] = b.openTus(t, tusFor(id, 100, asPart))
		}
		first, err := b.ClaimTus(ctx, parts[0].ID, 0, nil)
		require.NoError(t, err)
		second, err := b.ClaimTus(ctx, parts[1].ID, 0, nil)
		require.NoError(t, err)
		_, err = b.ClaimTus(ctx, parts[2].ID, 0, nil)
		require.ErrorIs(t, err, models.ErrTooManyUploadsOfOne)
		plain := b.accept(t, bob)
		attempt := models.UploadAttempt{ID: uuid.New(), TransferID: &plain, Party: alice, ObjectKey: "ft/x/y"}
		require.ErrorIs(t, b.BeginUpload(ctx, attempt, time.Minute), models.ErrTooManyUploadsOfOne)

		overtaken := first
		first, err = b.ClaimTus(ctx, parts[0].ID, 0, nil)
		require.NoError(t, err, "who takes an upload over counts in place of who had it")
		require.NoError(t, b.ReleaseTus(ctx, parts[0].ID, overtaken))
		_, err = b.ClaimTus(ctx, parts[2].ID, 0, nil)
		require.ErrorIs(t, err, models.ErrTooManyUploadsOfOne, "who was overtaken lets go of nothing")

		require.NoError(t, b.CommitTus(ctx, parts[0].ID, first, progress(0, 50)))
		require.NoError(t, b.ReleaseTus(ctx, parts[0].ID, first))
		require.NoError(t, b.ReleaseTus(ctx, parts[0].ID, first), "again is success")
		_, err = b.ClaimTus(ctx, parts[2].ID, 0, nil)
		require.NoError(t, err)
		require.NoError(t, b.CommitTus(ctx, parts[1].ID, second, progress(0, 100)))
		require.NoError(t, b.ReleaseTus(ctx, parts[1].ID, second))
		require.NoError(t, b.BeginUpload(ctx, attempt, time.Minute), "a part that is complete is not running")
		_, err = b.ClaimTus(ctx, parts[3].ID, 0, nil)
		require.ErrorIs(t, err, models.ErrTooManyUploadsOfOne)
		b.clock.advance(TusLease + time.Second)
		_, err = b.ClaimTus(ctx, parts[3].ID, 0, nil)
		require.NoError(t, err, "one whose process died counts until its lease has run out")
	})
}

// What is complete and no part keeps its lease: without it nobody could stage its content.
func TestTus_ACompleteUploadIsNotLetGoOf(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		u := b.openTus(t, tusFor(b.accept(t, bob), 100))
		epoch, err := b.ClaimTus(ctx, u.ID, 0, nil)
		require.NoError(t, err)
		require.NoError(t, b.CommitTus(ctx, u.ID, epoch, progress(0, 100)))
		require.NoError(t, b.HoldTus(ctx, u.ID, time.Minute))
		require.NoError(t, b.ReleaseTus(ctx, u.ID, epoch))
		require.NoError(t, b.StageContent(ctx, u.TransferID, u.ID, models.Content{Key: "x", Generation: 1, Size: 100}, as(alice)))
	})
}
