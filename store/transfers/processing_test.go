package transfers_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
)

var uploadTold = []string{"filetransferinitialized", "uploadprocessing", "published"}

func stageAs(b *storetest.Bundle, t *testing.T, transfer, attempt uuid.UUID) {
	t.Helper()
	require.NoError(t, b.HoldTus(t.Context(), attempt, time.Minute))
	require.NoError(t, b.StageContent(t.Context(), transfer, attempt, models.Content{Generation: 1, Size: 3, MD5: "m", SHA256: "s"}, storetest.As(storetest.Alice)))
}

func TestProcessing_IsToldWhenTheLastByteIsInAndOnce(t *testing.T) {
	deferred := func(u *models.TusUpload) { u.Length = nil }
	ways := map[string]func(t *testing.T, b *storetest.Bundle, id uuid.UUID) (attempt uuid.UUID){
		"in one request": func(t *testing.T, b *storetest.Bundle, id uuid.UUID) uuid.UUID { return b.Stage(t, id) },
		"in several": func(t *testing.T, b *storetest.Bundle, id uuid.UUID) uuid.UUID {
			u := b.Opened(t, storetest.TusFor(id, 100))
			require.Equal(t, uploadTold[:1], b.EventTypes(t, storetest.Alice))
			b.Fill(t, u)
			require.Equal(t, uploadTold[:2], b.EventTypes(t, storetest.Alice), "before it is staged, which may take long")
			stageAs(b, t, id, u.ID)
			return u.ID
		},
		"empty": func(t *testing.T, b *storetest.Bundle, id uuid.UUID) uuid.UUID {
			u := b.Opened(t, storetest.TusFor(id, 0))
			require.Equal(t, uploadTold[:2], b.EventTypes(t, storetest.Alice))
			stageAs(b, t, id, u.ID)
			return u.ID
		},
		"whose length comes last": func(t *testing.T, b *storetest.Bundle, id uuid.UUID) uuid.UUID {
			u := b.Opened(t, storetest.TusFor(id, 0, deferred))
			epoch, err := b.ClaimTus(t.Context(), u.ID, 0, nil)
			require.NoError(t, err)
			require.NoError(t, b.CommitTus(t.Context(), u.ID, epoch, storetest.Progress(0, 100)))
			require.Equal(t, uploadTold[:1], b.EventTypes(t, storetest.Alice))
			length := int64(100)
			_, err = b.ClaimTus(t.Context(), u.ID, 100, &length)
			require.NoError(t, err)
			require.Equal(t, uploadTold[:2], b.EventTypes(t, storetest.Alice))
			stageAs(b, t, id, u.ID)
			return u.ID
		},
		"in parts": func(t *testing.T, b *storetest.Bundle, id uuid.UUID) uuid.UUID {
			part := b.Opened(t, storetest.TusFor(id, 100, storetest.AsPart))
			b.Fill(t, part)
			require.Equal(t, uploadTold[:1], b.EventTypes(t, storetest.Alice), "a part is not the file")
			final := models.TusUpload{ID: uuid.New(), TransferID: id, Joins: []uuid.UUID{part.ID}, OpenedBy: storetest.As(storetest.Alice)}
			for range 2 {
				var err error
				final, err = b.JoinTus(t.Context(), final)
				require.NoError(t, err)
			}
			require.Equal(t, uploadTold[:2], b.EventTypes(t, storetest.Alice))
			stageAs(b, t, id, final.ID)
			return final.ID
		},
	}
	for name, upload := range ways {
		t.Run(name, func(t *testing.T) {
			storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
				id := b.Accept(t, storetest.Bob)
				attempt := upload(t, b, id)
				require.NoError(t, b.DeliverTransfer(t.Context(), id, attempt, 0))
				require.Equal(t, uploadTold, b.EventTypes(t, storetest.Alice))
				require.Equal(t, []string{"published"}, b.EventTypes(t, storetest.Bob), "it is nothing to the recipient")
			})
		})
	}
}

func TestProcessing_IsToldOnceOfUploadsThatEndTogether(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		for range 10 {
			id := b.Accept(t, storetest.Bob)
			u := b.Opened(t, storetest.TusFor(id, 100))
			plain := uuid.New()
			require.NoError(t, b.BeginUpload(t.Context(), storetest.AttemptOf(id, plain, nil), time.Minute))
			epoch, err := b.ClaimTus(t.Context(), u.ID, 0, nil)
			require.NoError(t, err)
			var both sync.WaitGroup
			both.Go(func() { _ = b.CommitTus(t.Context(), u.ID, epoch, storetest.Progress(0, 100)) })
			both.Go(func() {
				_ = b.StageContent(t.Context(), id, plain, models.Content{Generation: 1, Size: 3, MD5: "m", SHA256: "s"}, storetest.As(storetest.Alice))
			})
			both.Wait()
			require.NoError(t, b.DeliverTransfer(t.Context(), id, plain, 0))
		}
		told := b.EventTypes(t, storetest.Alice)
		require.Len(t, told, 30)
		for kind, n := range map[string]int{"filetransferinitialized": 10, "uploadprocessing": 10, "published": 10} {
			found := 0
			for _, e := range told {
				if e == kind {
					found++
				}
			}
			require.Equal(t, n, found, kind)
		}
	})
}

func TestProcessing_IsToldOnceThoughAnUploadWasRejected(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Accept(t, storetest.Bob)
		u := b.Opened(t, storetest.TusFor(id, 100))
		b.Fill(t, u)
		require.NoError(t, b.RejectTus(t.Context(), u.ID))
		require.NoError(t, b.DeliverTransfer(t.Context(), id, b.Stage(t, id), 0))
		require.Equal(t, uploadTold, b.EventTypes(t, storetest.Alice))
	})
}
