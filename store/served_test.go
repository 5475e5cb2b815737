package store

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestAcceptTransfer_RefusesAnMD5ThatTheServiceDoesNotCompute(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		off, on := false, true
		_, err := b.PutResource(t.Context(), as(owner), svc, models.ResourcePatch{ComputeMD5: &off}, always)
		require.NoError(t, err)
		s := submission(bob)
		s.MD5 = "5eb63bbbe01eeed093cb22bb8f5acdc3"
		_, err = b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		e, coded := models.AsError(err)
		require.True(t, coded)
		require.Equal(t, "checksum", e.Fields[0].Field)

		s.MD5 = ""
		_, err = b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.NoError(t, err)
		_, err = b.PutResource(t.Context(), as(owner), svc, models.ResourcePatch{ComputeMD5: &on}, always)
		require.NoError(t, err)
		v, err := b.TransferFor(t.Context(), s.ID, alice)
		require.NoError(t, err)
		require.Equal(t, []models.Hash{models.HashMD5}, v.LeftOut(), "as it was when the transfer was accepted")
	})
}

func (b *bundle) publishSized(t *testing.T, size int64, recipients ...models.Party) uuid.UUID {
	t.Helper()
	id, attempt := b.accept(t, recipients...), uuid.New()
	require.NoError(t, b.BeginUpload(t.Context(), attemptOf(id, attempt, nil), time.Minute))
	require.NoError(t, b.StageContent(t.Context(), id, attempt, models.Content{Generation: 1, Size: size, SHA256: "s"}, as(alice)))
	require.NoError(t, b.DeliverTransfer(t.Context(), id, attempt, 0))
	return id
}

func (b *bundle) served(t *testing.T, id uuid.UUID, viewer, p models.Party) (int64, bool) {
	t.Helper()
	v, err := b.TransferDetails(t.Context(), id, viewer)
	require.NoError(t, err)
	for _, r := range v.Recipients {
		if r.Party == p {
			return r.BytesServed, r.Complete
		}
	}
	require.Fail(t, "no such recipient")
	return 0, false
}

func TestServed_RangesOfSeveralAccessesMerge(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.publishSized(t, 20, bob, carol)
		v, err := b.TransferFor(t.Context(), id, bob)
		require.NoError(t, err)
		size := v.ContentSize
		half := size / 2

		served, complete := b.served(t, id, alice, bob)
		require.Zero(t, served)
		require.False(t, complete)

		first, err := b.BeginAccess(t.Context(), id, as(bob), 0, size)
		require.NoError(t, err)
		require.NoError(t, b.NoteAccess(t.Context(), first, half-1)) // and then its process dies
		served, complete = b.served(t, id, alice, bob)
		require.Equal(t, half-1, served, "what was recorded last is known")
		require.False(t, complete)

		second, err := b.BeginAccess(t.Context(), id, as(bob), half, size-half)
		require.NoError(t, err)
		require.NoError(t, b.EndAccess(t.Context(), second, size-half))
		served, complete = b.served(t, id, bob, bob)
		require.Equal(t, size-1, served)
		require.False(t, complete, "a byte is missing")

		third, err := b.BeginAccess(t.Context(), id, as(bob), 0, half)
		require.NoError(t, err)
		require.NoError(t, b.EndAccess(t.Context(), third, half))
		served, complete = b.served(t, id, alice, bob)
		require.Equal(t, size, served)
		require.True(t, complete)
		served, _ = b.served(t, id, alice, carol)
		require.Zero(t, served, "each for itself")
	})
}

// Parallel ranges, as a quick client asks for them, at several replicas.
func TestServed_NothingIsLostWhenAccessesEndAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.publishSized(t, 20, bob)
		v, err := b.TransferFor(t.Context(), id, bob)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for at := range v.ContentSize {
			wg.Go(func() {
				access, err := b.BeginAccess(t.Context(), id, as(bob), at, 1)
				if err == nil {
					err = b.NoteAccess(t.Context(), access, 0)
				}
				if err == nil {
					err = b.EndAccess(t.Context(), access, 1)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		served, complete := b.served(t, id, alice, bob)
		require.Equal(t, v.ContentSize, served)
		require.True(t, complete)
	})
}

func TestBeginUpload_BoundsWhatOneOrganisationHasRunning(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		b.uploads = 3
		begin := func(p models.Party) (uuid.UUID, error) {
			id := uuid.New()
			a := attemptOf(uuid.New(), id, nil)
			a.TransferID, a.Party = nil, p
			return id, b.BeginUpload(t.Context(), a, time.Minute)
		}
		var wg sync.WaitGroup
		begun := make(chan uuid.UUID, 20)
		for range cap(begun) { // at as many replicas
			wg.Go(func() {
				id, err := begin(alice)
				if err == nil {
					begun <- id
				} else if !errors.Is(err, models.ErrTooManyUploadsOfOne) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Len(t, begun, 3, "exactly")
		_, err := begin(carol)
		require.NoError(t, err, "another one's are its own")
		require.NoError(t, b.EndUpload(t.Context(), <-begun))
		_, err = begin(alice)
		require.NoError(t, err)
		_, err = begin(alice)
		require.ErrorIs(t, err, models.ErrTooManyUploadsOfOne)
		b.clock.advance(2 * time.Minute)
		_, err = begin(alice)
		require.NoError(t, err, "those of a dead process count until their leases have run out")
	})
}
