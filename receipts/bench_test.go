package receipts_test

import (
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/receipts"
)

func BenchmarkSign(b *testing.B) {
	keys, err := receipts.MakeKeys(filepath.Join(b.TempDir(), "keys.json"))
	require.NoError(b, err)
	r := models.Receipt{ID: uuid.New(), Event: models.ReceiptConsigned, Transfer: uuid.New(), Sender: alice, Recipient: bob, Seq: 1}
	for b.Loop() {
		_, err := keys.Sign(r)
		require.NoError(b, err)
	}
}

func BenchmarkVerify(b *testing.B) {
	keys, err := receipts.MakeKeys(filepath.Join(b.TempDir(), "keys.json"))
	require.NoError(b, err)
	jws, err := keys.Sign(models.Receipt{ID: uuid.New(), Event: models.ReceiptConsigned, Transfer: uuid.New(), Sender: alice, Recipient: bob, Seq: 1})
	require.NoError(b, err)
	set := keys.KeySet()
	for b.Loop() {
		_, err := receipts.Open(set, jws)
		require.NoError(b, err)
	}
}

func BenchmarkInclusion(b *testing.B) {
	s := setup(b, sqlite(b))
	leaves := &counted{}
	s.log.Leaves = leaves
	leaves.grow(20_000)
	s.seal()
	for n := int64(0); b.Loop(); n++ {
		_, _, err := s.log.Inclusion(b.Context(), n%20_000)
		require.NoError(b, err)
	}
}
