package receipts_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/receipts"
	"github.com/formidling/formidling/store/storetest"
)

func TestLogDue_TellsWhateverIsLeftToDo(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		due := func(signs bool) bool {
			t.Helper()
			d, err := b.LogDue(ctx, signs)
			require.NoError(t, err)
			return d
		}
		sealed := int64(0)
		seal := func() {
			t.Helper()
			for n := 1; n > 0; {
				var err error
				n, err = b.AssignLeaves(ctx, 100)
				require.NoError(t, err)
				sealed += int64(n)
			}
			require.True(t, due(true), "no checkpoint covers it yet")
			require.NoError(t, b.InsertCheckpoint(ctx, models.LogCheckpoint{Size: sealed}))
			require.False(t, due(true))
		}
		require.True(t, due(true), "the registry changed")
		seal()
		id := b.Publish(t, storetest.Bob)
		require.True(t, due(true), "receipts are written down")
		require.False(t, due(false), "and there is nobody to sign them")
		require.True(t, fakeSign(b, t, id, "x"))
		require.True(t, due(true), "they have no leaves")
		seal()

		access, err := b.BeginAccess(ctx, id, storetest.As(storetest.Bob), 0, 3)
		require.NoError(t, err)
		require.False(t, due(true), "it goes on")
		require.NoError(t, b.EndAccess(ctx, access, 3))
		require.True(t, due(false), "what was handed over has no receipt, with keys or without")
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.False(t, due(false))
		require.NoError(t, b.AppendStatement(ctx, models.Statement{TransferID: id, Party: storetest.Bob, Kind: models.StatementAcknowledgement, Text: "x"}))
		require.True(t, due(false))
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.NoError(t, b.Note(ctx, models.Notification{TransferID: id, Party: storetest.Bob, Channel: "webhook"}))
		require.True(t, due(false))
		require.NoError(t, b.ReceiptFacts(ctx, id))
		_, err = b.BeginAccess(ctx, id, storetest.As(storetest.Bob), 0, 3)
		require.NoError(t, err)
		require.False(t, due(false))
		b.Clock.Advance(receipts.SilentAfter + time.Second)
		require.True(t, due(false), "its process died")
	})
}
