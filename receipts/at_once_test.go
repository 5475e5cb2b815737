package receipts_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/receipts"
)

// atOnce lets the store's transactions sign, as long as the keys do not fail.
func (b *bundle) atOnce() (fail func(bool)) {
	failing := false
	b.SignAtOnce(func(ctx context.Context, end models.ReceiptChain, entries []models.ReceiptEntry) ([]models.SignedReceipt, error) {
		if failing {
			return nil, errors.New("the key is away")
		}
		return b.issuer.Sign(ctx, end, entries)
	})
	return func(now bool) { failing = now }
}

// accept brings a transfer to some recipients to its acceptance; nobody signs afterwards.
func (b *bundle) accept(recipients ...models.Party) uuid.UUID {
	b.t.Helper()
	sub := models.Submission{
		ID: uuid.New(), ResourceID: svc, Sender: models.Addressee{Party: alice, AsGiven: string(alice)}, FileName: "a.zip", RequestHash: "hash",
	}
	for _, p := range recipients {
		sub.Recipients = append(sub.Recipients, models.Addressee{Party: p, AsGiven: string(p)})
	}
	_, err := b.AcceptTransfer(context.Background(), sub, "run", time.Hour)
	require.NoError(b.t, err)
	return sub.ID
}

func (b *bundle) publish(id uuid.UUID) {
	b.t.Helper()
	ctx, attempt := context.Background(), uuid.New()
	require.NoError(b.t, b.BeginUpload(ctx, models.UploadAttempt{ID: attempt, TransferID: &id, ObjectKey: models.AttemptKey(id, attempt)}, time.Minute))
	content := models.Content{Generation: 1, Size: 3, MD5: "m", SHA256: fmt.Sprintf("%064x", 7)}
	require.NoError(b.t, b.StageContent(ctx, id, attempt, content, models.Caller{Party: alice}))
	require.NoError(b.t, b.DeliverTransfer(ctx, id, attempt, 0))
}

func (b *bundle) signed(id uuid.UUID) (chain models.ReceiptChain, n int) {
	b.t.Helper()
	chain, rows, err := b.ReceiptsOf(context.Background(), id, alice, 0, 1000)
	require.NoError(b.t, err)
	return chain, len(rows)
}

func TestSignAtOnce_AChangeAndItsReceiptsAreOneTransaction(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		b.SignAtOnce(b.issuer.Sign)
		b.issuer = &receipts.Issuer{} // the issuer that signs after the steps has no keys
		id := b.live()
		require.False(t, b.LeftUnsigned(id))
		chain, n := b.signed(id)
		require.Equal(t, 6, n)
		require.Equal(t, 6, chain.Last)
		b.seal()
		v, err := verify(t, b.take(id, alice), nil)
		require.NoError(t, err)
		require.Len(t, v.Receipts, 6)
	})
}

func TestSignAtOnce_WhatCouldNotBeSignedIsSignedLaterInItsOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		fail := b.atOnce()
		fail(true)
		id := b.accept(bob)
		chain, n := b.signed(id)
		require.Equal(t, 1, chain.Last, "the change stands")
		require.Zero(t, n)
		require.True(t, b.LeftUnsigned(id))
		require.False(t, b.LeftUnsigned(id), "it was said")
		fail(false)
		b.publish(id)
		_, n = b.signed(id)
		require.Zero(t, n, "nothing is signed before what precedes it")
		require.NoError(t, b.issuer.Issue(t.Context(), id))
		_, n = b.signed(id)
		require.Equal(t, 3, n)
		_, err := b.BeginAccess(t.Context(), id, models.Caller{Party: bob}, 0, 3)
		require.NoError(t, err)
		_, err = b.ConfirmTransfer(t.Context(), id, bob)
		require.NoError(t, err)
		chain, n = b.signed(id)
		require.Equal(t, chain.Last, n, "from there on at once again")
		require.False(t, b.LeftUnsigned(id))
		b.seal()
		_, err = verify(t, b.take(id, alice), nil)
		require.NoError(t, err)
	})
}

func TestSignAtOnce_LeavesManyToWhoHoldsNobodyUp(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		b.atOnce()
		var to []models.Party
		for i := range 30 {
			p := models.Party(fmt.Sprintf("0192:8%08d", i))
			g := models.Grant{ResourceID: svc, Organisation: p, Terms: models.Terms{Effect: models.EffectAllow, MayReceive: true}}
			_, _, err := b.PutGrant(t.Context(), models.Caller{Party: owner}, g, models.Condition{Unconditional: true})
			require.NoError(t, err)
			to = append(to, p)
		}
		id := b.accept(to...)
		b.publish(id)
		chain, n := b.signed(id)
		require.Equal(t, 1, n)
		require.Equal(t, 32, chain.Last)
		b.issuer.Left = b.LeftUnsigned
		b.issuer.IssueOrLeave(t.Context(), id)
		_, n = b.signed(id)
		require.Equal(t, 32, n)
	})
}
