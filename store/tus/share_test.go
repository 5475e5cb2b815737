package tus_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/store/storetest"
	"github.com/formidling/formidling/store/tus"
)

func TestTus_WritersCountAmongTheUploadsOfTheirOrganisation(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		b.Reopen(t, store.Options{UploadsPerOrganisation: 2})
		id := b.Accept(t, storetest.Bob)
		parts := make([]models.TusUpload, 4)
		for n := range parts {
			parts[n] = b.Opened(t, storetest.TusFor(id, 100, storetest.AsPart))
		}
		first, err := b.ClaimTus(ctx, parts[0].ID, 0, nil)
		require.NoError(t, err)
		second, err := b.ClaimTus(ctx, parts[1].ID, 0, nil)
		require.NoError(t, err)
		_, err = b.ClaimTus(ctx, parts[2].ID, 0, nil)
		require.ErrorIs(t, err, models.ErrTooManyUploadsOfOne)
		plain := b.Accept(t, storetest.Bob)
		attempt := models.UploadAttempt{ID: uuid.New(), TransferID: &plain, Party: storetest.Alice, ObjectKey: "ft/x/y"}
		require.ErrorIs(t, b.BeginUpload(ctx, attempt, time.Minute), models.ErrTooManyUploadsOfOne)

		overtaken := first
		first, err = b.ClaimTus(ctx, parts[0].ID, 0, nil)
		require.NoError(t, err, "who takes an upload over counts in place of who had it")
		require.NoError(t, b.ReleaseTus(ctx, parts[0].ID, overtaken))
		_, err = b.ClaimTus(ctx, parts[2].ID, 0, nil)
		require.ErrorIs(t, err, models.ErrTooManyUploadsOfOne, "who was overtaken lets go of nothing")

		require.NoError(t, b.CommitTus(ctx, parts[0].ID, first, storetest.Progress(0, 50)))
		require.NoError(t, b.ReleaseTus(ctx, parts[0].ID, first))
		require.NoError(t, b.ReleaseTus(ctx, parts[0].ID, first), "again is success")
		_, err = b.ClaimTus(ctx, parts[2].ID, 0, nil)
		require.NoError(t, err)
		require.NoError(t, b.CommitTus(ctx, parts[1].ID, second, storetest.Progress(0, 100)))
		require.NoError(t, b.ReleaseTus(ctx, parts[1].ID, second))
		require.NoError(t, b.BeginUpload(ctx, attempt, time.Minute), "a part that is complete is not running")
		_, err = b.ClaimTus(ctx, parts[3].ID, 0, nil)
		require.ErrorIs(t, err, models.ErrTooManyUploadsOfOne)
		b.Clock.Advance(tus.TusLease + time.Second)
		_, err = b.ClaimTus(ctx, parts[3].ID, 0, nil)
		require.NoError(t, err, "one whose process died counts until its lease has run out")
	})
}

// What is complete and no part keeps its lease: without it nobody could stage its content.
func TestTus_ACompleteUploadIsNotLetGoOf(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		u := b.Opened(t, storetest.TusFor(b.Accept(t, storetest.Bob), 100))
		epoch, err := b.ClaimTus(ctx, u.ID, 0, nil)
		require.NoError(t, err)
		require.NoError(t, b.CommitTus(ctx, u.ID, epoch, storetest.Progress(0, 100)))
		require.NoError(t, b.HoldTus(ctx, u.ID, time.Minute))
		require.NoError(t, b.ReleaseTus(ctx, u.ID, epoch))
		require.NoError(t, b.StageContent(ctx, u.TransferID, u.ID, models.Content{Key: "x", Generation: 1, Size: 100}, storetest.As(storetest.Alice)))
	})
}
