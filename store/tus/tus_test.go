package tus_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
	"github.com/formidling/formidling/store/tus"
)

func TestTus_OnlyTheNewestWriterCommits(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		u := b.Opened(t, storetest.TusFor(b.Accept(t, storetest.Bob), 100))
		first, err := b.ClaimTus(ctx, u.ID, 0, nil)
		require.NoError(t, err)
		second, err := b.ClaimTus(ctx, u.ID, 0, nil)
		require.NoError(t, err)
		require.Greater(t, second, first)
		require.ErrorIs(t, b.CommitTus(ctx, u.ID, first, storetest.Progress(0, 50)), models.ErrUploadTaken)
		require.ErrorIs(t, b.WatchTus(ctx, u.ID, first), models.ErrUploadTaken)
		require.NoError(t, b.WatchTus(ctx, u.ID, second))
		require.NoError(t, b.CommitTus(ctx, u.ID, second, storetest.Progress(0, 50)))
		require.Error(t, b.CommitTus(ctx, u.ID, second, storetest.Progress(0, 60)), "from where it no longer stands")
		_, err = b.ClaimTus(ctx, u.ID, 0, nil)
		require.ErrorIs(t, err, models.ErrUploadOffset)
		require.NoError(t, b.CommitTus(ctx, u.ID, second, storetest.Progress(50, 100)))
		got, err := b.TusOf(ctx, u.TransferID, nil)
		require.NoError(t, err)
		require.Equal(t, int64(100), got.Received)
		require.NotNil(t, got.Completed)
		require.NoError(t, b.WatchTus(ctx, u.ID, second), "a writer is not taken over by its own last commit, though its body has not ended")
		require.ErrorIs(t, b.WatchTus(ctx, u.ID, first), models.ErrUploadTaken)
		require.Equal(t, models.HashState{SHA256: []byte{1}, MD5: []byte{2}}, got.Hashes())
		require.Equal(t, storetest.As(storetest.Alice), got.OpenedBy)
		segments, err := b.TusSegments(ctx, u.ID)
		require.NoError(t, err)
		require.Len(t, segments, 1, "a segment grows")
		require.Equal(t, int64(100), segments[0].Size)
		_, err = b.ClaimTus(ctx, u.ID, 100, nil)
		require.ErrorIs(t, err, models.ErrAlreadyUploaded)
		v, err := b.TransferFor(ctx, u.TransferID, storetest.Alice)
		require.NoError(t, err)
		require.Equal(t, models.TransferUploadProcessing, v.EffectiveStatus)
		finds(b, t, models.TransferUploadProcessing, u.TransferID)
	})
}

// finds requires that search finds one transfer of the sender by its status.
func finds(b *storetest.Bundle, t *testing.T, status models.TransferStatus, id uuid.UUID) {
	t.Helper()
	page, err := b.SearchTransfers(t.Context(), models.Search{Caller: storetest.Alice, ResourceID: storetest.Service, Status: &status, Role: models.RoleSender, Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{id}, page.IDs)
}

func TestTus_OfManyClaimsAtOnceOneCommits(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		u := b.Opened(t, storetest.TusFor(b.Accept(t, storetest.Bob), 100))
		var all sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 8 {
			all.Go(func() {
				epoch, err := b.ClaimTus(t.Context(), u.ID, 0, nil)
				if err == nil {
					err = b.CommitTus(t.Context(), u.ID, epoch, storetest.Progress(0, 100))
				}
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					won++
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, won)
	})
}

func TestTus_ExpiresADayAfterItWasTouched(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		u := b.Opened(t, storetest.TusFor(b.Accept(t, storetest.Bob), 100))
		b.Clock.Advance(23 * time.Hour)
		epoch, err := b.ClaimTus(ctx, u.ID, 0, nil)
		require.NoError(t, err)
		require.NoError(t, b.CommitTus(ctx, u.ID, epoch, storetest.Progress(0, 50)))
		_, until, err := b.UploadFacts(ctx, u.TransferID)
		require.NoError(t, err)
		require.True(t, until.After(b.Clock.Read().Add(23*time.Hour)), "the transfer waits for it beyond its deadline")
		b.Clock.Advance(23 * time.Hour)
		_, err = b.ClaimTus(ctx, u.ID, 50, nil)
		require.NoError(t, err)
		expired, _, err := b.StaleTus(ctx, 10)
		require.NoError(t, err)
		require.Empty(t, expired)
		b.Clock.Advance(25 * time.Hour)
		_, err = b.ClaimTus(ctx, u.ID, 50, nil)
		require.ErrorIs(t, err, models.ErrUploadGone)
		require.ErrorIs(t, b.CommitTus(ctx, u.ID, epoch+1, storetest.Progress(50, 60)), models.ErrUploadGone)
		_, until, err = b.UploadFacts(ctx, u.TransferID)
		require.NoError(t, err)
		require.Zero(t, until, "and then no longer")
		expired, _, err = b.StaleTus(ctx, 10)
		require.NoError(t, err)
		require.Len(t, expired, 1)
		require.NoError(t, b.RejectTus(ctx, u.ID))
		again := b.Opened(t, storetest.TusFor(u.TransferID, 10))
		require.NotEqual(t, u.ID, again.ID)
		expired, _, err = b.StaleTus(ctx, 10)
		require.NoError(t, err)
		require.Empty(t, expired)
	})
}

func TestTus_EndsWithItsTransfer(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		u := b.Opened(t, storetest.TusFor(b.Accept(t, storetest.Bob), 100))
		epoch, err := b.ClaimTus(ctx, u.ID, 0, nil)
		require.NoError(t, err)
		require.NoError(t, b.CancelTransfer(ctx, u.TransferID))
		require.ErrorIs(t, b.WatchTus(ctx, u.ID, epoch), models.ErrAlreadyUploaded)
		require.ErrorIs(t, b.CommitTus(ctx, u.ID, epoch, storetest.Progress(0, 50)), models.ErrAlreadyUploaded)
		_, until, err := b.UploadFacts(ctx, u.TransferID)
		require.NoError(t, err)
		require.False(t, until.After(b.Clock.Read().Add(tus.TusLease)), "a writer may leave something behind for as long as its lease, not its session")
		_, err = b.OpenTus(ctx, storetest.TusFor(u.TransferID, 1))
		require.ErrorIs(t, err, models.ErrAlreadyUploaded)
	})
}

func TestTus_ALostPublicationIsFound(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		u := b.Opened(t, storetest.TusFor(b.Accept(t, storetest.Bob), 100))
		b.Fill(t, u)
		_, unfinished, err := b.StaleTus(ctx, 10)
		require.NoError(t, err)
		require.Empty(t, unfinished, "somebody is at it")
		b.Clock.Advance(tus.TusLease + time.Second)
		_, unfinished, err = b.StaleTus(ctx, 10)
		require.NoError(t, err)
		require.Len(t, unfinished, 1)
		content := models.Content{Size: 100}
		require.ErrorIs(t, b.StageContent(ctx, u.TransferID, u.ID, content, storetest.As(storetest.Alice)), models.ErrLeaseLost)
		require.NoError(t, b.HoldTus(ctx, u.ID, time.Minute))
		require.NoError(t, b.StageContent(ctx, u.TransferID, u.ID, content, storetest.As(storetest.Alice)))
		require.ErrorIs(t, b.EndTus(ctx, u.ID), models.ErrAlreadyUploaded)
		require.NoError(t, b.DeliverTransfer(ctx, u.TransferID, u.ID, 0))
		_, unfinished, err = b.StaleTus(ctx, 10)
		require.NoError(t, err)
		require.Empty(t, unfinished)
	})
}

func TestTusParts_AreJoinedWhenAllAreWhole(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		transfer := b.Accept(t, storetest.Bob)
		one, two := b.Opened(t, storetest.TusFor(transfer, 10, storetest.AsPart)), b.Opened(t, storetest.TusFor(transfer, 20, storetest.AsPart))
		require.Equal(t, []int{1, 2}, []int{one.Number, two.Number})
		foreign := b.Opened(t, storetest.TusFor(b.Accept(t, storetest.Bob), 10, storetest.AsPart))
		final := func(parts ...uuid.UUID) models.TusUpload {
			return models.TusUpload{ID: uuid.New(), TransferID: transfer, Joins: parts, OpenedBy: storetest.As(storetest.Alice)}
		}
		b.Fill(t, one)
		b.Fill(t, foreign)
		_, err := b.JoinTus(ctx, final(one.ID, two.ID))
		require.ErrorIs(t, err, models.ErrPartIncomplete)
		_, err = b.JoinTus(ctx, final(one.ID, foreign.ID))
		require.ErrorIs(t, err, models.ErrUploadUnknown)
		b.Fill(t, two)
		whole, err := b.JoinTus(ctx, final(two.ID, one.ID))
		require.NoError(t, err)
		require.Equal(t, int64(30), *whole.Length)
		again, err := b.JoinTus(ctx, final(two.ID, one.ID))
		require.NoError(t, err)
		require.Equal(t, whole.ID, again.ID, "a repeated request is the same")
		require.Equal(t, whole.Joins, again.Joins)
		_, err = b.JoinTus(ctx, final(one.ID, two.ID))
		require.ErrorIs(t, err, models.ErrAlreadyUploaded)
		segments, err := b.TusSegments(ctx, whole.Joins...)
		require.NoError(t, err)
		require.Equal(t, []uuid.UUID{two.ID, one.ID}, []uuid.UUID{segments[0].UploadID, segments[1].UploadID})
		finds(b, t, models.TransferUploadProcessing, transfer)
	})
}

func TestTusParts_LiveTogether(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		transfer := b.Accept(t, storetest.Bob)
		one, two := b.Opened(t, storetest.TusFor(transfer, 10, storetest.AsPart)), b.Opened(t, storetest.TusFor(transfer, 20, storetest.AsPart))
		b.Fill(t, one)
		b.Clock.Advance(20 * time.Hour)
		epoch, err := b.ClaimTus(ctx, two.ID, 0, nil)
		require.NoError(t, err)
		require.NoError(t, b.CommitTus(ctx, two.ID, epoch, storetest.Progress(0, 10)))
		b.Clock.Advance(10 * time.Hour) // 30 after the last byte of the first
		require.NoError(t, b.CommitTus(ctx, two.ID, epoch, storetest.Progress(10, 20)))
		got, err := b.TusOf(ctx, transfer, &one.ID)
		require.NoError(t, err)
		require.True(t, got.Live(b.Clock.Read()))
		expired, _, err := b.StaleTus(ctx, 10)
		require.NoError(t, err)
		require.Empty(t, expired)
		b.Clock.Advance(25 * time.Hour)
		expired, _, err = b.StaleTus(ctx, 10)
		require.NoError(t, err)
		require.Len(t, expired, 2)
		_, err = b.JoinTus(ctx, models.TusUpload{ID: uuid.New(), TransferID: transfer, Joins: []uuid.UUID{one.ID, two.ID}, OpenedBy: storetest.As(storetest.Alice)})
		require.ErrorIs(t, err, models.ErrUploadGone)
	})
}

func TestTusDigest_IsHeldByOne(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx, transfer := t.Context(), b.Accept(t, storetest.Bob)
		d, held, err := b.HoldDigest(ctx, transfer, 10*time.Second)
		require.NoError(t, err)
		require.True(t, held)
		_, held, err = b.HoldDigest(ctx, transfer, 10*time.Second)
		require.NoError(t, err)
		require.False(t, held)
		d.Hashed, d.Parts, d.SHA256State, d.MD5State = 7, []uuid.UUID{transfer}, []byte{1}, []byte{2}
		require.NoError(t, b.SaveDigest(ctx, d, 10*time.Second))
		b.Clock.Advance(11 * time.Second) // its process is gone
		next, held, err := b.HoldDigest(ctx, transfer, 10*time.Second)
		require.NoError(t, err)
		require.True(t, held)
		require.Equal(t, int64(7), next.Hashed)
		require.Equal(t, d.Parts, next.Parts)
		require.ErrorIs(t, b.SaveDigest(ctx, d, 0), models.ErrUploadTaken)
		require.NoError(t, b.SaveDigest(ctx, next, 0))
		_, held, err = b.HoldDigest(ctx, transfer, time.Second)
		require.NoError(t, err)
		require.True(t, held, "let go of")
	})
}
