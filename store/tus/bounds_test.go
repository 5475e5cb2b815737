package tus_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
	"github.com/formidling/formidling/store/tus"
)

// wholeParts makes two complete parts of a transfer and joins them.
func wholeParts(b *storetest.Bundle, t *testing.T, transfer uuid.UUID) (one, two, whole models.TusUpload) {
	t.Helper()
	one, two = b.Opened(t, storetest.TusFor(transfer, 10, storetest.AsPart)), b.Opened(t, storetest.TusFor(transfer, 20, storetest.AsPart))
	b.Fill(t, one)
	b.Fill(t, two)
	whole, err := b.JoinTus(t.Context(), models.TusUpload{
		ID: uuid.New(), TransferID: transfer, Joins: []uuid.UUID{one.ID, two.ID}, OpenedBy: storetest.As(storetest.Alice),
	})
	require.NoError(t, err)
	return one, two, whole
}

func TestTusParts_StayUntilTheirFileIsDecided(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx, transfer := t.Context(), b.Accept(t, storetest.Bob)
		spare := b.Opened(t, storetest.TusFor(transfer, 5, storetest.AsPart))
		one, two, whole := wholeParts(b, t, transfer)
		require.ErrorIs(t, b.EndTus(ctx, one.ID), models.ErrAlreadyUploaded)
		require.NoError(t, b.EndTus(ctx, spare.ID), "one that is not joined may go")
		b.Clock.Advance(models.TusLife + time.Hour)
		expired, _, err := b.StaleTus(ctx, 10)
		require.NoError(t, err)
		require.Empty(t, expired)
		require.ErrorIs(t, b.RejectTus(ctx, two.ID), models.ErrAlreadyUploaded)
		segments, err := b.TusSegments(ctx, one.ID, two.ID)
		require.NoError(t, err)
		require.Len(t, segments, 2)

		require.NoError(t, b.RejectTus(ctx, whole.ID))
		for _, part := range []models.TusUpload{one, two} {
			got, err := b.TusOf(ctx, transfer, &part.ID)
			require.NoError(t, err)
			require.NotNil(t, got.Ended, "a part ends with the file that it became")
		}
		require.NoError(t, b.RejectTus(ctx, whole.ID), "safe to repeat")
		v, err := b.TransferFor(ctx, transfer, storetest.Alice)
		require.NoError(t, err)
		require.True(t, v.EffectiveStatus.AwaitsContent())
	})
}

func TestTus_WhatCannotBePublishedStandsInNobodysWay(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		var found [2]models.TusUpload
		for i := range found {
			found[i] = b.Opened(t, storetest.TusFor(b.Accept(t, storetest.Bob), 100))
			b.Fill(t, found[i])
			b.Clock.Advance(tus.TusLease + time.Second)
		}
		for n := range 4 {
			_, unfinished, err := b.StaleTus(ctx, 1)
			require.NoError(t, err)
			require.Len(t, unfinished, 1)
			require.Equal(t, found[n%2].ID, unfinished[0].ID, "each has its turn")
			require.NoError(t, b.HoldTus(ctx, unfinished[0].ID, time.Minute))
			b.Clock.Advance(time.Second)
		}
	})
}

func TestTusParts_OfUnknownLengthAreNotTooLongTogether(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx, transfer := t.Context(), b.Accept(t, storetest.Bob)
		v, err := b.TransferFor(ctx, transfer, storetest.Alice)
		require.NoError(t, err)
		most := v.MaxFileSize
		deferred := func(u *models.TusUpload) { u.Part, u.Length = true, nil }
		one, two := b.Opened(t, storetest.TusFor(transfer, 0, deferred)), b.Opened(t, storetest.TusFor(transfer, 0, deferred))
		first, err := b.ClaimTus(ctx, one.ID, 0, nil)
		require.NoError(t, err)
		second, err := b.ClaimTus(ctx, two.ID, 0, nil)
		require.NoError(t, err)
		require.NoError(t, b.CommitTus(ctx, one.ID, first, storetest.Progress(0, most-10)))
		require.ErrorIs(t, b.CommitTus(ctx, two.ID, second, storetest.Progress(0, 11)), models.ErrFileTooLarge)
		require.NoError(t, b.CommitTus(ctx, two.ID, second, storetest.Progress(0, 5)))
		long := int64(11)
		_, err = b.ClaimTus(ctx, two.ID, 5, &long)
		require.ErrorIs(t, err, models.ErrFileTooLarge)
		_, err = b.OpenTus(ctx, storetest.TusFor(transfer, 6, storetest.AsPart))
		require.ErrorIs(t, err, models.ErrFileTooLarge)
		known := b.Opened(t, storetest.TusFor(transfer, 5, storetest.AsPart))
		b.Clock.Advance(models.EmptyTusPart) // nobody seems to want it any more
		again := b.Opened(t, storetest.TusFor(transfer, 5, storetest.AsPart))
		b.Fill(t, again)
		_, err = b.ClaimTus(ctx, known.ID, 0, nil)
		require.ErrorIs(t, err, models.ErrFileTooLarge, "but then it is wanted after all")
	})
}

func TestTus_ComesInSoManyPiecesAtMost(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx, transfer := t.Context(), b.Accept(t, storetest.Bob)
		u, other := b.Opened(t, storetest.TusFor(transfer, 100_000, storetest.AsPart)), b.Opened(t, storetest.TusFor(transfer, 10, storetest.AsPart))
		require.NoError(t, b.DB().Write(t.Context()).Exec(`INSERT INTO tus_segments (upload_id, first, name, size, crc32c)
			WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			SELECT u.id, i, 's', 1, 0 FROM n, tus_uploads u WHERE u.id = ?`, tus.MaxTusSegments-2, u.ID).Error)
		epoch, err := b.ClaimTus(ctx, other.ID, 0, nil)
		require.NoError(t, err)
		require.NoError(t, b.CommitTus(ctx, other.ID, epoch, storetest.Progress(0, 5)))
		var refused *models.Error
		_, err = b.ClaimTus(ctx, u.ID, 0, nil)
		require.ErrorAs(t, err, &refused)
		require.Equal(t, models.KindConflict, refused.Kind)
		_, err = b.ClaimTus(ctx, other.ID, 5, nil)
		require.ErrorAs(t, err, &refused)
		require.NoError(t, b.EndTus(ctx, u.ID))
		_, err = b.ClaimTus(ctx, other.ID, 5, nil)
		require.NoError(t, err)
	})
}
