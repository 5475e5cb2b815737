package store

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestStore_KeepsAWholeLifeInOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		id := b.accept(t, bob, carol)
		require.Equal(t, []string{"Initialized"}, b.history(t, id))
		attempt := b.stage(t, id)
		require.Equal(t, []string{"Initialized", "UploadStarted", "UploadProcessing"}, b.history(t, id))
		require.NoError(t, b.DeliverTransfer(ctx, id, attempt, 0))
		require.NoError(t, b.DeliverTransfer(ctx, id, attempt, 0), "a repeat changes nothing")

		for _, p := range []models.Party{bob, carol} {
			_, err := b.ConfirmDelivery(ctx, id, p)
			require.ErrorIs(t, err, models.ErrNotDownloaded)
			b.download(t, id, p)
			all, err := b.ConfirmDelivery(ctx, id, p)
			require.NoError(t, err)
			require.Equal(t, p == carol, all)
		}
		all, err := b.ConfirmDelivery(ctx, id, bob)
		require.NoError(t, err, "confirm is idempotent for ever")
		require.True(t, all)
		require.NoError(t, b.PurgeTransfer(ctx, id))
		require.NoError(t, b.PurgeTransfer(ctx, id))

		require.Equal(t, []string{"Initialized", "UploadStarted", "Published", "AllConfirmedDownloaded", "Purged"}, b.history(t, id))
		require.Equal(t, []string{"filetransferinitialized", "uploadprocessing", "published", "downloadconfirmed", "downloadconfirmed", "allconfirmeddownloaded", "filepurged"}, b.events(t, alice))
		require.Equal(t, []string{"published", "downloadconfirmed"}, b.events(t, bob))
		v, err := b.TransferFor(ctx, id, bob)
		require.NoError(t, err)
		require.Equal(t, uint32(4_000_000_000), v.ContentCRC32C)
		require.Equal(t, models.RecipientDownloadConfirmed, v.Recipients[0].Status())
	})
}

// Reference weakness 9: initialize was several transactions.
func TestWeakness9_InitializeIsOneTransaction(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		s := submission(bob, bob) // the second recipient breaks the primary key in the middle
		_, err := b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.Error(t, err)
		_, err = b.TransferFor(t.Context(), s.ID, alice)
		require.ErrorIs(t, err, models.ErrTransferNotFound)
		require.Empty(t, b.events(t, alice))
	})
}

// Reference weakness 12: PostgreSQL refused what does not fit into an index row, and repetitive text does.
func TestWeakness12_AReferenceOfRandomTextIsStoredAndFound(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		long := make([]rune, models.MaxReference)
		for i := range long {
			long[i] = '\U00010000' + rune(rand.IntN(1<<16))
		}
		s := submission(bob)
		s.SendersReference = string(long)
		_, err := b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.NoError(t, err)
		for _, caller := range []models.Party{alice, bob} {
			q := models.Search{Caller: caller, ResourceID: svc, SendersReference: s.SendersReference, Limit: 10}
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
	onBoth(t, func(t *testing.T, b *bundle) {
		_, err := b.AcceptTransfer(t.Context(), submission(bob, "0192:999999999"), "run", time.Hour)
		require.ErrorIs(t, err, models.ErrRecipientWithoutRight)
		s := submission(bob)
		s.Sender.Party = bob
		_, err = b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.ErrorIs(t, err, models.ErrNoAccess)
		s = submission(bob)
		s.ResourceID = "unknown"
		_, err = b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.ErrorIs(t, err, models.ErrNoAccess)
	})
}

func TestAcceptTransfer_MayBeRepeatedByItsRunOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		s := submission(bob)
		first, err := b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.NoError(t, err)
		require.NoError(t, b.DeleteGrant(t.Context(), as(owner), svc, alice, always))
		again, err := b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.NoError(t, err, "what was accepted stays accepted")
		require.Equal(t, first, again)
		other, err := b.AcceptTransfer(t.Context(), s, "another run", time.Hour)
		require.NoError(t, err)
		require.True(t, other.Duplicate)
	})
}

// Reference weakness 3: two recipients confirming at once could each see the other unconfirmed.
func TestWeakness3_TwoLastConfirmationsAtOnceEndTheTransfer(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		for range 20 {
			id := b.publish(t, bob, carol)
			b.download(t, id, bob)
			b.download(t, id, carol)
			var wg sync.WaitGroup
			results := make([]bool, 2)
			for i, p := range []models.Party{bob, carol} {
				wg.Go(func() { results[i], _ = b.ConfirmDelivery(t.Context(), id, p) })
			}
			wg.Wait()
			require.NotEqual(t, results[0], results[1], "exactly one confirmation is the last")
			v, err := b.TransferFor(t.Context(), id, alice)
			require.NoError(t, err)
			require.Equal(t, models.TransferAllConfirmedDownloaded, v.Status)
		}
	})
}

// Reference weakness 4: the loser of two uploads failed the transfer and removed the winner's file.
func TestWeakness4_OfTwoUploadsTheFirstStays(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.accept(t, bob)
		attempts := make([]uuid.UUID, 5)
		for i := range attempts {
			attempts[i] = uuid.New()
			require.NoError(t, b.BeginUpload(t.Context(), attemptOf(id, attempts[i], nil), time.Minute))
		}
		results := make([]error, len(attempts))
		var wg sync.WaitGroup
		for i, a := range attempts {
			wg.Go(func() {
				results[i] = b.StageContent(t.Context(), id, a, models.Content{Generation: 1, Size: 3}, as(alice))
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
		v, err := b.TransferFor(t.Context(), id, bob)
		require.NoError(t, err)
		require.Equal(t, models.TransferPublished, v.Status)
		require.Equal(t, models.AttemptKey(id, attempts[winner]), v.ContentKey)
	})
}

// Reference weakness 7: a party could be there twice.
func TestWeakness7_ARecipientIsThereOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.accept(t, bob)
		err := b.write.Create(&models.Recipient{TransferID: id, Party: bob, Ordinal: 1, ResourceID: svc}).Error
		require.Error(t, err, "the database refuses it")
	})
}

// Reference weakness 13: recipients were told of files they had never been offered.
func TestWeakness13_OnlyWhoWasOfferedTheFileIsToldOfItsEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		failed := b.accept(t, bob)
		require.NoError(t, b.FailTransfer(t.Context(), failed, "Checksum mismatch"))
		require.Empty(t, b.events(t, bob))
		cancelled := b.accept(t, bob)
		require.NoError(t, b.CancelTransfer(t.Context(), cancelled))
		require.Empty(t, b.events(t, bob))
		expired := b.publish(t, bob, carol)
		b.download(t, expired, carol)
		_, err := b.ConfirmDelivery(t.Context(), expired, carol)
		require.NoError(t, err)
		require.NoError(t, b.PurgeTransfer(t.Context(), expired))
		require.Equal(t, []string{"published", "fileneverconfirmeddownloaded"}, b.events(t, bob))
		require.Equal(t, []string{"published", "downloadconfirmed"}, b.events(t, carol))
	})
}

func TestCancelTransfer_HoldsUntilTheFirstDownload(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.publish(t, bob)
		require.NoError(t, b.CancelTransfer(t.Context(), id))
		require.NoError(t, b.CancelTransfer(t.Context(), id))
		_, err := b.BeginAccess(t.Context(), id, as(bob), 0, 3)
		require.ErrorIs(t, err, models.ErrNotReadyForDownload)
		require.Equal(t, []string{"published", "cancelled"}, b.events(t, bob))

		id = b.publish(t, bob)
		b.download(t, id, bob)
		require.ErrorIs(t, b.CancelTransfer(t.Context(), id), models.ErrNotCancellable)
		require.ErrorIs(t, b.FailTransfer(t.Context(), id, "no"), models.ErrMovedOn)
	})
}

func TestUploadAttempt_CannotBeStagedAfterItsLease(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx, id := t.Context(), b.accept(t, bob)
		attempt := uuid.New()
		require.NoError(t, b.BeginUpload(ctx, attemptOf(id, attempt, nil), time.Minute))
		b.clock.advance(30 * time.Second)
		require.NoError(t, b.RenewLease(ctx, attempt, time.Minute))
		_, until, err := b.UploadFacts(ctx, id)
		require.NoError(t, err)
		require.False(t, until.IsZero())
		b.clock.advance(2 * time.Minute)
		require.ErrorIs(t, b.RenewLease(ctx, attempt, time.Minute), models.ErrLeaseLost)
		require.ErrorIs(t, b.StageContent(ctx, id, attempt, models.Content{}, as(alice)), models.ErrLeaseLost)
		staged, until, err := b.UploadFacts(ctx, id)
		require.NoError(t, err)
		require.Nil(t, staged)
		require.True(t, until.IsZero())
		_, _, err = b.Staged(ctx, id, attempt)
		require.ErrorIs(t, err, models.ErrNoFileYet)
	})
}

func TestDeliverTransfer_ServesGroupsOneByOne(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		var parties []models.Party
		for i := range 250 {
			p := models.Party("0192:" + string([]byte{'4', '0', '0', '0', '0', '0', byte('0' + i/100), byte('0' + i/10%10), byte('0' + i%10)}))
			b.grant(t, p, false, true)
			parties = append(parties, p)
		}
		id := b.accept(t, parties...)
		attempt := b.stage(t, id)
		for group := 1; group <= models.Groups(len(parties)); group++ {
			require.NoError(t, b.DeliverTransfer(t.Context(), id, attempt, group))
		}
		var waiting int64
		require.NoError(t, b.read.Model(&models.Recipient{}).Where("transfer_id = ? AND delivered IS NULL", id).Count(&waiting).Error)
		require.Zero(t, waiting)
		require.Equal(t, []string{"filetransferinitialized", "uploadprocessing", "published"}, b.events(t, alice))
		require.Equal(t, []string{"published"}, b.events(t, parties[249]))
	})
}

func TestEvents_StayGapFreeUnderConcurrentWriters(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					b.publish(t, carol, bob)
				}
			})
		}
		wg.Wait()
		require.Len(t, b.events(t, alice), 120)
		require.Len(t, b.events(t, bob), 40)
		require.Len(t, b.events(t, carol), 40)
	})
}
