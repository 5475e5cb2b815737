package transfers_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
)

func TestStore_KeepsAWholeLifeInOrder(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		id := b.Accept(t, storetest.Bob, storetest.Carol)
		require.Equal(t, []string{"Initialized"}, b.StatusNames(t, id))
		attempt := b.Stage(t, id)
		require.Equal(t, []string{"Initialized", "UploadStarted", "UploadProcessing"}, b.StatusNames(t, id))
		require.NoError(t, b.DeliverTransfer(ctx, id, attempt, 0))
		require.NoError(t, b.DeliverTransfer(ctx, id, attempt, 0), "a repeat changes nothing")

		for _, p := range []models.Party{storetest.Bob, storetest.Carol} {
			_, err := b.ConfirmTransfer(ctx, id, p)
			require.ErrorIs(t, err, models.ErrNotDownloaded)
			b.Download(t, id, p)
			all, err := b.ConfirmTransfer(ctx, id, p)
			require.NoError(t, err)
			require.Equal(t, p == storetest.Carol, all)
		}
		all, err := b.ConfirmTransfer(ctx, id, storetest.Bob)
		require.NoError(t, err, "confirm is idempotent for ever")
		require.True(t, all)
		require.NoError(t, b.PurgeTransfer(ctx, id))
		require.NoError(t, b.PurgeTransfer(ctx, id))

		require.Equal(t, []string{"Initialized", "UploadStarted", "Published", "AllConfirmedDownloaded", "Purged"}, b.StatusNames(t, id))
		require.Equal(t, []string{"filetransferinitialized", "uploadprocessing", "published", "downloadconfirmed", "downloadconfirmed", "allconfirmeddownloaded", "filepurged"}, b.EventTypes(t, storetest.Alice))
		require.Equal(t, []string{"published", "downloadconfirmed"}, b.EventTypes(t, storetest.Bob))
		v, err := b.TransferFor(ctx, id, storetest.Bob)
		require.NoError(t, err)
		require.Equal(t, uint32(4_000_000_000), v.ContentCRC32C)
		require.Equal(t, models.RecipientDownloadConfirmed, v.Recipients[0].Status())
	})
}

// Weakness 9 (docs/reference/altinn-broker.md 3): initialize was several transactions.
func TestWeakness9_InitializeIsOneTransaction(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		s := storetest.Submission(storetest.Bob, storetest.Bob) // the second recipient breaks the primary key in the middle
		_, err := b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.Error(t, err)
		_, err = b.TransferFor(t.Context(), s.ID, storetest.Alice)
		require.ErrorIs(t, err, models.ErrTransferNotFound)
		require.Empty(t, b.EventTypes(t, storetest.Alice))
	})
}

// Weakness 12 (docs/reference/altinn-broker.md 3): PostgreSQL refused what does not fit into an index row, and repetitive text does.
func TestWeakness12_AReferenceOfRandomTextIsStoredAndFound(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		long := make([]rune, models.MaxReference)
		for i := range long {
			long[i] = '\U00010000' + rune(rand.IntN(1<<16))
		}
		s := storetest.Submission(storetest.Bob)
		s.SendersReference = string(long)
		_, err := b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.NoError(t, err)
		for _, caller := range []models.Party{storetest.Alice, storetest.Bob} {
			q := models.Search{Caller: caller, ResourceID: storetest.Service, SendersReference: s.SendersReference, Limit: 10}
			page, err := b.SearchTransfers(t.Context(), q)
			require.NoError(t, err)
			require.Equal(t, []uuid.UUID{s.ID}, page.IDs)
			q.SendersReference = string(long[:len(long)-1]) + "x"
			page, err = b.SearchTransfers(t.Context(), q)
			require.NoError(t, err)
			require.Empty(t, page.IDs, "all of it counts, not its beginning")
		}
	})
}

func TestAcceptTransfer_IsRefusedForOneRecipientWithoutRight(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		_, err := b.AcceptTransfer(t.Context(), storetest.Submission(storetest.Bob, "0192:999999999"), "run", time.Hour)
		require.ErrorIs(t, err, models.ErrRecipientWithoutRight)
		s := storetest.Submission(storetest.Bob)
		s.Sender.Party = storetest.Bob
		_, err = b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.ErrorIs(t, err, models.ErrNoAccess)
		s = storetest.Submission(storetest.Bob)
		s.ResourceID = "unknown"
		_, err = b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.ErrorIs(t, err, models.ErrNoAccess)
	})
}

func TestAcceptTransfer_MayBeRepeatedByItsRunOnly(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		s := storetest.Submission(storetest.Bob)
		first, err := b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.NoError(t, err)
		require.NoError(t, b.DeleteGrant(t.Context(), storetest.As(storetest.Owner), storetest.Service, storetest.Alice, storetest.Always))
		again, err := b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.NoError(t, err, "what was accepted stays accepted")
		require.Equal(t, first, again)
		other, err := b.AcceptTransfer(t.Context(), s, "another run", time.Hour)
		require.NoError(t, err)
		require.True(t, other.Duplicate)
	})
}

// Weakness 3 (docs/reference/altinn-broker.md 3): two recipients confirming at once could each see the other unconfirmed.
func TestWeakness3_TwoLastConfirmationsAtOnceEndTheTransfer(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		for range 20 {
			id := b.Publish(t, storetest.Bob, storetest.Carol)
			b.Download(t, id, storetest.Bob)
			b.Download(t, id, storetest.Carol)
			var wg sync.WaitGroup
			results := make([]bool, 2)
			for i, p := range []models.Party{storetest.Bob, storetest.Carol} {
				wg.Go(func() { results[i], _ = b.ConfirmTransfer(t.Context(), id, p) })
			}
			wg.Wait()
			require.NotEqual(t, results[0], results[1], "exactly one confirmation is the last")
			v, err := b.TransferFor(t.Context(), id, storetest.Alice)
			require.NoError(t, err)
			require.Equal(t, models.TransferAllConfirmedDownloaded, v.Status)
		}
	})
}

// Weakness 4 (docs/reference/altinn-broker.md 3): the loser of two uploads failed the transfer and removed the winner's file.
func TestWeakness4_OfTwoUploadsTheFirstStays(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Accept(t, storetest.Bob)
		attempts := make([]uuid.UUID, 5)
		for i := range attempts {
			attempts[i] = uuid.New()
			require.NoError(t, b.BeginUpload(t.Context(), storetest.AttemptOf(id, attempts[i], nil), time.Minute))
		}
		results := make([]error, len(attempts))
		var wg sync.WaitGroup
		for i, a := range attempts {
			wg.Go(func() {
				results[i] = b.StageContent(t.Context(), id, a, models.Content{Generation: 1, Size: 3}, storetest.As(storetest.Alice))
			})
		}
		wg.Wait()
		winner := slices.Index(results, nil)
		require.NotEqual(t, -1, winner)
		for i, err := range results {
			if i != winner {
				require.ErrorIs(t, err, models.ErrAlreadyUploaded, "one is told that its file is the one")
			}
		}
		require.NoError(t, b.DeliverTransfer(t.Context(), id, attempts[winner], 0))
		v, err := b.TransferFor(t.Context(), id, storetest.Bob)
		require.NoError(t, err)
		require.Equal(t, models.TransferPublished, v.Status)
		require.Equal(t, models.AttemptKey(id, attempts[winner]), v.ContentKey)
	})
}

// Weakness 7 (docs/reference/altinn-broker.md 3): a party could be there twice.
func TestWeakness7_ARecipientIsThereOnce(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Accept(t, storetest.Bob)
		err := b.DB().Write(t.Context()).Create(&models.Recipient{TransferID: id, Party: storetest.Bob, Ordinal: 1, ResourceID: storetest.Service}).Error
		require.Error(t, err, "the database refuses it")
	})
}

// Weakness 13 (docs/reference/altinn-broker.md 3): recipients were told of files they had never been offered.
func TestWeakness13_OnlyWhoWasOfferedTheFileIsToldOfItsEnd(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		failed := b.Accept(t, storetest.Bob)
		require.NoError(t, b.FailTransfer(t.Context(), failed, "Checksum mismatch"))
		require.Empty(t, b.EventTypes(t, storetest.Bob))
		cancelled := b.Accept(t, storetest.Bob)
		require.NoError(t, b.CancelTransfer(t.Context(), cancelled))
		require.Empty(t, b.EventTypes(t, storetest.Bob))
		expired := b.Publish(t, storetest.Bob, storetest.Carol)
		b.Download(t, expired, storetest.Carol)
		_, err := b.ConfirmTransfer(t.Context(), expired, storetest.Carol)
		require.NoError(t, err)
		require.NoError(t, b.PurgeTransfer(t.Context(), expired))
		require.Equal(t, []string{"published", "fileneverconfirmeddownloaded"}, b.EventTypes(t, storetest.Bob))
		require.Equal(t, []string{"published", "downloadconfirmed"}, b.EventTypes(t, storetest.Carol))
	})
}

func TestCancelTransfer_HoldsUntilTheFirstDownload(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Publish(t, storetest.Bob)
		require.NoError(t, b.CancelTransfer(t.Context(), id))
		require.NoError(t, b.CancelTransfer(t.Context(), id))
		_, err := b.BeginAccess(t.Context(), id, storetest.As(storetest.Bob), 0, 3)
		require.ErrorIs(t, err, models.ErrNotReadyForDownload)
		require.Equal(t, []string{"published", "cancelled"}, b.EventTypes(t, storetest.Bob))

		id = b.Publish(t, storetest.Bob)
		b.Download(t, id, storetest.Bob)
		require.ErrorIs(t, b.CancelTransfer(t.Context(), id), models.ErrNotCancellable)
		require.ErrorIs(t, b.FailTransfer(t.Context(), id, "no"), models.ErrMovedOn)
	})
}

func TestUploadAttempt_CannotBeStagedAfterItsLease(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx, id := t.Context(), b.Accept(t, storetest.Bob)
		attempt := uuid.New()
		require.NoError(t, b.BeginUpload(ctx, storetest.AttemptOf(id, attempt, nil), time.Minute))
		b.Clock.Advance(30 * time.Second)
		require.NoError(t, b.RenewLease(ctx, attempt, time.Minute))
		_, until, err := b.UploadFacts(ctx, id)
		require.NoError(t, err)
		require.False(t, until.IsZero())
		b.Clock.Advance(2 * time.Minute)
		require.ErrorIs(t, b.RenewLease(ctx, attempt, time.Minute), models.ErrLeaseLost)
		require.ErrorIs(t, b.StageContent(ctx, id, attempt, models.Content{}, storetest.As(storetest.Alice)), models.ErrLeaseLost)
		staged, until, err := b.UploadFacts(ctx, id)
		require.NoError(t, err)
		require.Nil(t, staged)
		require.True(t, until.IsZero())
		_, _, err = b.Staged(ctx, id, attempt)
		require.ErrorIs(t, err, models.ErrNoFileYet)
	})
}

func TestDeliverTransfer_ServesGroupsOneByOne(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		var parties []models.Party
		for i := range 250 {
			p := models.Party("0192:" + string([]byte{'4', '0', '0', '0', '0', '0', byte('0' + i/100), byte('0' + i/10%10), byte('0' + i%10)}))
			b.Grant(t, p, false, true)
			parties = append(parties, p)
		}
		id := b.Accept(t, parties...)
		attempt := b.Stage(t, id)
		for group := 1; group <= models.Groups(len(parties)); group++ {
			require.NoError(t, b.DeliverTransfer(t.Context(), id, attempt, group))
			var delivered int64
			require.NoError(t, b.DB().Read(t.Context()).Model(&models.Recipient{}).Where("transfer_id = ? AND delivered IS NOT NULL", id).Count(&delivered).Error)
			require.EqualValues(t, min(group*models.GroupSize, len(parties)), delivered, "after group %d", group)
		}
		require.Equal(t, []string{"filetransferinitialized", "uploadprocessing", "published"}, b.EventTypes(t, storetest.Alice))
		require.Equal(t, []string{"published"}, b.EventTypes(t, parties[249]))
	})
}

func TestEvents_StayGapFreeUnderConcurrentWriters(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					b.Publish(t, storetest.Carol, storetest.Bob)
				}
			})
		}
		wg.Wait()
		require.Len(t, b.EventTypes(t, storetest.Alice), 120)
		require.Len(t, b.EventTypes(t, storetest.Bob), 40)
		require.Len(t, b.EventTypes(t, storetest.Carol), 40)
	})
}
