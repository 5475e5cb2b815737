package transfers_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
)

func TestUpload_IsNotGivenUpWhereAnotherReplicasClockIsAhead(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id, attempt := b.Accept(t, storetest.Bob), uuid.New()
		b.Clock.Advance(-2 * time.Minute) // here it is earlier than where the transfer was accepted
		require.NoError(t, b.BeginUpload(t.Context(), storetest.AttemptOf(id, attempt, nil), time.Minute))
		b.Clock.Advance(15 * time.Second)
		require.NoError(t, b.RenewLease(t.Context(), attempt, time.Minute))
		content := models.Content{Generation: 1, Size: 3, MD5: "m", SHA256: "s"}
		require.NoError(t, b.StageContent(t.Context(), id, attempt, content, storetest.As(storetest.Alice)))
		v, err := b.TransferDetails(t.Context(), id, storetest.Alice)
		require.NoError(t, err)
		require.False(t, v.EffectiveSince.Before(v.Created), "and yet nothing comes before the transfer")
	})
}

func TestDownload_IsNotBrokenOffWhereAnotherReplicasClockIsAhead(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Publish(t, storetest.Bob)
		b.Clock.Advance(-5 * time.Minute)
		b.Download(t, id, storetest.Bob)
		again, err := b.BeginAccess(t.Context(), id, storetest.As(storetest.Bob), 0, 3)
		require.NoError(t, err)
		require.NoError(t, b.NoteAccess(t.Context(), again, 1)) // and it goes on
		_, err = b.ConfirmTransfer(t.Context(), id, storetest.Bob)
		require.NoError(t, err)
		for _, r := range b.Entries(t, id) {
			require.NotEqual(t, models.ReceiptHandoverFailed, r.Event)
		}
	})
}
