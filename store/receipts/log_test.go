package receipts_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/receipts"
	"github.com/formidling/formidling/store/storetest"
)

func TestListReceipts_ReadsEachOnceInTheOrderOfTheLog(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		seal := func() {
			_, err := b.AssignLeaves(ctx, 1000)
			require.NoError(t, err)
		}
		var ids []uuid.UUID
		for range 3 {
			id := b.Publish(t, storetest.Bob, storetest.Carol)
			fakeSign(b, t, id, "x")
			ids = append(ids, id)
			seal()
		}
		read := func(who models.Party, ref *string) (seen []models.IssuedReceipt) {
			for after := int64(-1); ; {
				page, err := b.ListReceipts(ctx, models.ReceiptQuery{Caller: who, Reference: ref, After: after, Limit: 2})
				require.NoError(t, err)
				if len(page) == 0 {
					return seen
				}
				for _, r := range page {
					require.Greater(t, *r.Leaf, after)
					after = *r.Leaf
				}
				seen = append(seen, page...)
			}
		}
		require.Len(t, read(storetest.Alice, nil), 12)
		require.Len(t, read(storetest.Bob, nil), 3)
		require.Empty(t, read(storetest.Owner, nil))
		ref, other := "ref", "other"
		require.Len(t, read(storetest.Alice, &ref), 12)
		require.Len(t, read(storetest.Carol, &ref), 3)
		require.Empty(t, read(storetest.Alice, &other))
		leaf, err := b.LeafOf(ctx, read(storetest.Bob, nil)[0].Hash)
		require.NoError(t, err)
		require.Equal(t, ids[0].String(), leaf.Subject)
		_, err = b.LeafOf(ctx, "none")
		require.ErrorIs(t, err, models.ErrNotLogged)
	})
}

func TestAssignLeaves_GivesEachOnePlaceWhoeverAsks(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		want := 0
		for range 6 {
			fakeSign(b, t, b.Publish(t, storetest.Bob, storetest.Carol), "x")
			want += 4
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					n, err := b.AssignLeaves(context.Background(), 5)
					if err != nil {
						t.Errorf("assign: %v", err)
						return
					}
					if n == 0 {
						return
					}
				}
			})
		}
		wg.Wait()
		leaves, err := b.Leaves(t.Context(), 0, 1000)
		require.NoError(t, err)
		require.Len(t, leaves, want+1)
		for i, l := range leaves {
			require.Equal(t, int64(i), l.Index)
		}
		b.Grant(t, storetest.Carol, true, true)
		n, err := b.AssignLeaves(t.Context(), 5)
		require.NoError(t, err)
		require.Equal(t, 1, n, "the head of the audit moved on")
	})
}

// Whoever owns the database can switch its triggers off; then the log tells.
func TestVerifyLog_FindsWhatSomebodyChangedAllTheSame(t *testing.T) {
	for name, forge := range map[string]struct{ sql, says string }{
		"a changed receipt":  {"UPDATE signed_receipts SET hash = 'x' WHERE seq = 2", "missing or was changed"},
		"a changed text":     {"UPDATE signed_receipts SET jws = jws || 'A' WHERE seq = 2", "it was changed after it was signed"},
		"a cut chain":        {"DELETE FROM signed_receipts WHERE seq = 3", "missing or was changed"},
		"a cut audit":        {"DELETE FROM audit_entries WHERE seq = (SELECT max(seq) FROM audit_entries)", "audit entry that was logged is missing"},
		"a leaf taken out":   {"DELETE FROM log_leaves WHERE idx = 1", "a leaf of the log is missing"},
		"a cut log":          {"DELETE FROM log_leaves WHERE idx >= 2", "fewer than were assigned"},
		"a receipt unlogged": {"DELETE FROM log_pendings", "neither in the log"},
		"a head somewhere":   {"UPDATE receipt_chains SET head = 'x'", "does not end with"},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
				fakeSign(b, t, b.Publish(t, storetest.Bob), "x")
				_, err := b.AssignLeaves(t.Context(), 100)
				require.NoError(t, err)
				fakeSign(b, t, b.Publish(t, storetest.Bob), "x") // waits
				require.NoError(t, b.VerifyLog(t.Context()))
				withoutTriggers(b, t, forge.sql)
				var fault receipts.LogError
				require.ErrorAs(t, b.VerifyLog(t.Context()), &fault)
				require.Contains(t, fault.What, forge.says)
			})
		})
	}
}

// withoutTriggers does what only the database's owner can.
func withoutTriggers(b *storetest.Bundle, t testing.TB, statement string) {
	t.Helper()
	var off []string
	for _, table := range []string{"receipt_entries", "signed_receipts", "log_leaves", "log_checkpoints"} {
		if b.DB().Dialect() == db.Postgres {
			off = append(off, "ALTER TABLE "+table+" DISABLE TRIGGER ALL")
			continue
		}
		off = append(off, "DROP TRIGGER "+table+"_keep_changed", "DROP TRIGGER "+table+"_keep_deleted")
	}
	if b.DB().Dialect() == db.Postgres {
		off = append(off, "ALTER TABLE audit_entries DISABLE TRIGGER ALL")
	} else {
		off = append(off, "DROP TRIGGER audit_entries_keep_changed", "DROP TRIGGER audit_entries_keep_deleted")
	}
	for _, s := range append(off, statement) {
		require.NoError(t, b.DB().Write(t.Context()).Exec(s).Error, s)
	}
}
