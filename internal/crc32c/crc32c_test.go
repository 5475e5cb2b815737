package crc32c

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCombine_IsThatOfTheWhole(t *testing.T) {
	t.Parallel()
	table := crc32.MakeTable(crc32.Castagnoli)
	random := rand.New(rand.NewPCG(3, 4))
	data := make([]byte, 100_000)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(data)
	for range 200 {
		a, b := random.IntN(len(data)), random.IntN(len(data))
		a, b = min(a, b), max(a, b)
		whole := crc32.Checksum(data[:b], table)
		require.Equal(t, whole, Combine(crc32.Checksum(data[:a], table), crc32.Checksum(data[a:b], table), int64(b-a)))
	}
}
