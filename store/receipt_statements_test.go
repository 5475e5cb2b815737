package store

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// say appends what bob says beside a confirmation.
func (b *bundle) say(t testing.TB, id uuid.UUID, proof, thumbprint string) {
	t.Helper()
	st := models.Statement{TransferID: id, Party: bob, Kind: models.StatementConfirmation, Proof: proof, Actor: *models.NewReceiptActor(by(bob, thumbprint))}
	require.NoError(t, b.State(t.Context(), st))
}

// spoken names bob's receipts and the proof that each tells of.
func (b *bundle) spoken(t testing.TB, id uuid.UUID) (out []string) {
	t.Helper()
	for _, r := range b.entries(t, id) {
		if r.Claim != nil {
			out = append(out, r.Event.Name()+" "+r.Claim.Proof)
		}
	}
	return out
}

func (b *bundle) outstanding(t testing.TB, id uuid.UUID) (n int64) {
	t.Helper()
	require.NoError(t, b.read.Model(&models.Statement{}).Where("transfer_id = ? AND receipt_seq IS NULL", id).Count(&n).Error)
	return n
}

// Requests that are repeated, or made at once, and each say something.
func TestConfirm_OfManyRequestsEachProofHasItsReceipt(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		first, second, third := models.ReceiptHash("first"), models.ReceiptHash("second"), models.ReceiptHash("third")
		id := b.publish(t, bob)
		b.download(t, id, bob)
		b.say(t, id, "first", "a")
		b.say(t, id, "second", "b")
		b.say(t, id, "", "c") // a retry without body
		_, err := b.ConfirmDelivery(t.Context(), id, bob)
		require.NoError(t, err)
		require.Equal(t, []string{"BusinessAcknowledgement " + first, "ContentAccessTracking " + second}, b.spoken(t, id))
		got := b.entries(t, id)
		last := got[len(got)-1]
		require.Equal(t, "b", last.Actor.Thumbprint)
		require.Equal(t, "grant/"+string(bob), last.Right.By)
		require.Zero(t, b.outstanding(t, id))

		b.say(t, id, "third", "a") // this one looked before the confirmation, and speaks after it
		b.say(t, id, "", "d")
		with, err := b.TransfersWithFacts(t.Context(), nil, 10)
		require.NoError(t, err)
		require.Equal(t, []uuid.UUID{id}, with)
		require.NoError(t, b.ReceiptFacts(t.Context(), id))
		require.Equal(t, "BusinessAcknowledgement "+third, b.spoken(t, id)[2])
		require.Zero(t, b.outstanding(t, id))
	})
}

func TestProofsOf_AreThoseOfSignedReceipts(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.publish(t, bob)
		b.download(t, id, bob)
		b.say(t, id, "first", "a")
		held := func() int {
			chain, rows, err := b.ReceiptsOf(t.Context(), id, bob, 0, 100)
			require.NoError(t, err)
			for _, r := range rows {
				require.LessOrEqual(t, r.Seq, chain.Signed)
			}
			proofs, err := b.ProofsOf(t.Context(), id, bob, chain.Signed)
			require.NoError(t, err)
			return len(proofs)
		}
		require.Zero(t, held())
		_, err := b.ConfirmDelivery(t.Context(), id, bob)
		require.NoError(t, err)
		require.Zero(t, held())
		require.True(t, b.fakeSign(t, id, "x"))
		require.Equal(t, 1, held())
	})
}

func TestCancel_OfManyRequestsHasOneReceipt(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.publish(t, bob)
		for _, who := range []string{"a", "b"} {
			st := models.Statement{TransferID: id, Party: alice, Kind: models.StatementCancellation, Actor: *models.NewReceiptActor(by(alice, who))}
			require.NoError(t, b.State(t.Context(), st))
		}
		require.NoError(t, b.CancelTransfer(t.Context(), id))
		got := b.entries(t, id)
		require.Equal(t, "TransferCancellation", names(got)[len(got)-1])
		require.Equal(t, "b", got[len(got)-1].Actor.Thumbprint)
		require.Zero(t, b.outstanding(t, id))
	})
}
