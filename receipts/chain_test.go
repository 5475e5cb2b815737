package receipts_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/receipts"
)

func TestCheckChain_FindsWhatWasNotSignedSo(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id, elsewhere := b.live(), b.live()
		b.seal()
		forger, err := receipts.MakeKeys(b.file + ".forger")
		require.NoError(t, err)
		keys, theirs := b.keys.KeySet(), forger.KeySet()
		require.NoError(t, b.VerifyLog(t.Context(), receipts.CheckChain(&keys)))
		require.NoError(t, b.VerifyLog(t.Context(), receipts.CheckChain(nil)))
		require.ErrorContains(t, b.VerifyLog(t.Context(), receipts.CheckChain(&theirs)), "no key")
		read := func() []models.SignedReceipt {
			_, rows, err := b.ReceiptsOf(t.Context(), id, alice, 0, 100)
			require.NoError(t, err)
			out := make([]models.SignedReceipt, len(rows))
			for i, r := range rows {
				out[i] = r.SignedReceipt
			}
			return out
		}
		_, others, err := b.ReceiptsOf(t.Context(), elsewhere, alice, 0, 100)
		require.NoError(t, err)
		for name, f := range map[string]struct {
			forge func(rows []models.SignedReceipt)
			says  string
		}{
			"another signature": {func(rows []models.SignedReceipt) { rows[2].JWS = rows[2].JWS[:len(rows[2].JWS)-6] + "AAAAAA" }, "signature is not that of key"},
			"of elsewhere":      {func(rows []models.SignedReceipt) { rows[2].JWS = others[2].JWS }, "stored as another one"},
			"another place":     {func(rows []models.SignedReceipt) { rows[2].JWS = rows[3].JWS }, "stored as another one"},
			"for somebody else": {func(rows []models.SignedReceipt) { rows[2].Recipient = carol + "x" }, "stored as another one"},
			"another before":    {func(rows []models.SignedReceipt) { rows[1].Hash = rows[0].Hash }, "does not follow"},
		} {
			rows := read()
			check := receipts.CheckChain(&keys)
			require.NoError(t, check(rows[0], models.SignedReceipt{}))
			require.NoError(t, check(rows[2], rows[1]))
			f.forge(rows)
			require.ErrorContains(t, check(rows[2], rows[1]), f.says, name)
		}
		require.ErrorContains(t, receipts.CheckChain(&keys)(read()[1], models.SignedReceipt{}), "does not follow")
	})
}
