package receipts_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
)

// say appends what bob says beside a confirmation.
func say(b *storetest.Bundle, t testing.TB, id uuid.UUID, proof, thumbprint string) {
	t.Helper()
	st := models.Statement{TransferID: id, Party: storetest.Bob, Kind: models.StatementConfirmation, Proof: proof, Actor: *models.NewReceiptActor(storetest.By(storetest.Bob, thumbprint))}
	require.NoError(t, b.AppendStatement(t.Context(), st))
}

// spoken names bob's receipts and the proof that each tells of.
func spoken(b *storetest.Bundle, t testing.TB, id uuid.UUID) (out []string) {
	t.Helper()
	for _, r := range b.Entries(t, id) {
		if r.Claim != nil {
			out = append(out, r.Event.Name()+" "+r.Claim.Proof)
		}
	}
	return out
}

func outstanding(b *storetest.Bundle, t testing.TB, id uuid.UUID) (n int64) {
	t.Helper()
	require.NoError(t, b.DB().Read(t.Context()).Model(&models.Statement{}).Where("transfer_id = ? AND receipt_seq IS NULL", id).Count(&n).Error)
	return n
}

// Requests that are repeated, or made at once, and each say something.
func TestConfirm_OfManyRequestsEachProofHasItsReceipt(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		first, second, third := models.ReceiptHash("first"), models.ReceiptHash("second"), models.ReceiptHash("third")
		id := b.Publish(t, storetest.Bob)
		b.Download(t, id, storetest.Bob)
		say(b, t, id, "first", "a")
		say(b, t, id, "second", "b")
		say(b, t, id, "", "c") // a retry without body
		_, err := b.ConfirmTransfer(t.Context(), id, storetest.Bob)
		require.NoError(t, err)
		require.Equal(t, []string{"BusinessAcknowledgement " + first, "ContentAccessTracking " + second}, spoken(b, t, id))
		got := b.Entries(t, id)
		last := got[len(got)-1]
		require.Equal(t, "b", last.Actor.Thumbprint)
		require.Equal(t, "grant/"+string(storetest.Bob), last.Right.By)
		require.Zero(t, outstanding(b, t, id))

		say(b, t, id, "third", "a") // this one looked before the confirmation, and speaks after it
		say(b, t, id, "", "d")
		with, err := b.TransfersWithFacts(t.Context(), nil, 10)
		require.NoError(t, err)
		require.Equal(t, []uuid.UUID{id}, with)
		require.NoError(t, b.ReceiptFacts(t.Context(), id))
		require.Equal(t, "BusinessAcknowledgement "+third, spoken(b, t, id)[2])
		require.Zero(t, outstanding(b, t, id))
	})
}

func TestProofsOf_AreThoseOfSignedReceipts(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Publish(t, storetest.Bob)
		b.Download(t, id, storetest.Bob)
		say(b, t, id, "first", "a")
		held := func() int {
			chain, rows, err := b.ReceiptsOf(t.Context(), id, storetest.Bob, 0, 100)
			require.NoError(t, err)
			for _, r := range rows {
				require.LessOrEqual(t, r.Seq, chain.Signed)
			}
			proofs, err := b.ProofsOf(t.Context(), id, storetest.Bob, chain.Signed)
			require.NoError(t, err)
			return len(proofs)
		}
		require.Zero(t, held())
		_, err := b.ConfirmTransfer(t.Context(), id, storetest.Bob)
		require.NoError(t, err)
		require.Zero(t, held())
		require.True(t, fakeSign(b, t, id, "x"))
		require.Equal(t, 1, held())
	})
}

func TestCancel_OfManyRequestsHasOneReceipt(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Publish(t, storetest.Bob)
		for _, who := range []string{"a", "b"} {
			st := models.Statement{TransferID: id, Party: storetest.Alice, Kind: models.StatementCancellation, Actor: *models.NewReceiptActor(storetest.By(storetest.Alice, who))}
			require.NoError(t, b.AppendStatement(t.Context(), st))
		}
		require.NoError(t, b.CancelTransfer(t.Context(), id))
		got := b.Entries(t, id)
		require.Equal(t, "TransferCancellation", storetest.ReceiptNames(got)[len(got)-1])
		require.Equal(t, "b", got[len(got)-1].Actor.Thumbprint)
		require.Zero(t, outstanding(b, t, id))
	})
}
