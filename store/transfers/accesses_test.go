package transfers_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/store/storetest"
)

func TestAcceptTransfer_RefusesAnMD5ThatTheServiceDoesNotCompute(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		off, on := false, true
		_, err := b.PutResource(t.Context(), storetest.As(storetest.Owner), storetest.Service, models.ResourcePatch{ComputeMD5: &off}, storetest.Always)
		require.NoError(t, err)
		s := storetest.Submission(storetest.Bob)
		s.MD5 = "5eb63bbbe01eeed093cb22bb8f5acdc3"
		_, err = b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		e, coded := models.AsError(err)
		require.True(t, coded)
		require.Equal(t, "checksum", e.Fields[0].Field)

		s.MD5 = ""
		_, err = b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.NoError(t, err)
		_, err = b.PutResource(t.Context(), storetest.As(storetest.Owner), storetest.Service, models.ResourcePatch{ComputeMD5: &on}, storetest.Always)
		require.NoError(t, err)
		v, err := b.TransferFor(t.Context(), s.ID, storetest.Alice)
		require.NoError(t, err)
		require.Equal(t, []models.Hash{models.HashMD5}, v.LeftOut(), "as it was when the transfer was accepted")

		attempt := b.Stage(t, s.ID) // with an MD5, as a file that came before its service was named has one
		_, c, err := b.Staged(t.Context(), s.ID, attempt)
		require.NoError(t, err)
		require.Empty(t, c.MD5)
		require.NotEmpty(t, c.SHA256)
	})
}

func publishSized(b *storetest.Bundle, t *testing.T, size int64, recipients ...models.Party) uuid.UUID {
	t.Helper()
	id, attempt := b.Accept(t, recipients...), uuid.New()
	require.NoError(t, b.BeginUpload(t.Context(), storetest.AttemptOf(id, attempt, nil), time.Minute))
	require.NoError(t, b.StageContent(t.Context(), id, attempt, models.Content{Generation: 1, Size: size, SHA256: "s"}, storetest.As(storetest.Alice)))
	require.NoError(t, b.DeliverTransfer(t.Context(), id, attempt, 0))
	return id
}

func bytesServed(b *storetest.Bundle, t *testing.T, id uuid.UUID, viewer, p models.Party) (int64, bool) {
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
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := publishSized(b, t, 20, storetest.Bob, storetest.Carol)
		v, err := b.TransferFor(t.Context(), id, storetest.Bob)
		require.NoError(t, err)
		size := v.ContentSize
		half := size / 2

		served, complete := bytesServed(b, t, id, storetest.Alice, storetest.Bob)
		require.Zero(t, served)
		require.False(t, complete)

		first, err := b.BeginAccess(t.Context(), id, storetest.As(storetest.Bob), 0, size)
		require.NoError(t, err)
		require.NoError(t, b.NoteAccess(t.Context(), first, half-1)) // and then its process dies
		served, complete = bytesServed(b, t, id, storetest.Alice, storetest.Bob)
		require.Equal(t, half-1, served, "what was recorded last is known")
		require.False(t, complete)

		second, err := b.BeginAccess(t.Context(), id, storetest.As(storetest.Bob), half, size-half)
		require.NoError(t, err)
		require.NoError(t, b.EndAccess(t.Context(), second, size-half))
		served, complete = bytesServed(b, t, id, storetest.Bob, storetest.Bob)
		require.Equal(t, size-1, served)
		require.False(t, complete, "a byte is missing")

		third, err := b.BeginAccess(t.Context(), id, storetest.As(storetest.Bob), 0, half)
		require.NoError(t, err)
		require.NoError(t, b.EndAccess(t.Context(), third, half))
		served, complete = bytesServed(b, t, id, storetest.Alice, storetest.Bob)
		require.Equal(t, size, served)
		require.True(t, complete)
		served, _ = bytesServed(b, t, id, storetest.Alice, storetest.Carol)
		require.Zero(t, served, "each for itself")
	})
}

// Parallel ranges, as a quick client asks for them, at several replicas.
func TestServed_NothingIsLostWhenAccessesEndAtOnce(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := publishSized(b, t, 20, storetest.Bob)
		v, err := b.TransferFor(t.Context(), id, storetest.Bob)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for at := range v.ContentSize {
			wg.Go(func() {
				access, err := b.BeginAccess(t.Context(), id, storetest.As(storetest.Bob), at, 1)
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
		served, complete := bytesServed(b, t, id, storetest.Alice, storetest.Bob)
		require.Equal(t, v.ContentSize, served)
		require.True(t, complete)
	})
}

func TestBeginUpload_BoundsWhatOneOrganisationHasRunning(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		b.Reopen(t, store.Options{UploadsPerOrganisation: 3})
		begin := func(p models.Party) (uuid.UUID, error) {
			id := uuid.New()
			a := storetest.AttemptOf(uuid.New(), id, nil)
			a.TransferID, a.Party = nil, p
			return id, b.BeginUpload(t.Context(), a, time.Minute)
		}
		var wg sync.WaitGroup
		begun := make(chan uuid.UUID, 20)
		for range cap(begun) { // at as many replicas
			wg.Go(func() {
				id, err := begin(storetest.Alice)
				if err == nil {
					begun <- id
				} else if !errors.Is(err, models.ErrTooManyUploadsOfOne) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Len(t, begun, 3, "exactly")
		_, err := begin(storetest.Carol)
		require.NoError(t, err, "another one's are its own")
		require.NoError(t, b.EndUpload(t.Context(), <-begun))
		_, err = begin(storetest.Alice)
		require.NoError(t, err)
		_, err = begin(storetest.Alice)
		require.ErrorIs(t, err, models.ErrTooManyUploadsOfOne)
		b.Clock.Advance(2 * time.Minute)
		_, err = begin(storetest.Alice)
		require.NoError(t, err, "those of a dead process count until their leases have run out")
	})
}
