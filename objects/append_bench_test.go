package objects

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// BenchmarkLocalAppend1GiB is BenchmarkLocalPut1GiB through a draft, in one request and in chunks of 8 MiB.
func BenchmarkLocalAppend1GiB(b *testing.B) {
	const size = 1 << 30
	for _, chunk := range []int64{size, 8 * mib} {
		b.Run(fmt.Sprint(chunk/mib, "MiB"), func(b *testing.B) {
			l, err := connectLocal(b.TempDir(), Options{})
			require.NoError(b, err)
			b.SetBytes(size)
			for i := 0; b.Loop(); i++ {
				prefix := fmt.Sprintf("ft/%d", i)
				d := models.TusDraft{Prefix: prefix + "/tus", CarryAll: true}
				for d.Received < size {
					require.NoError(b, l.Append(b.Context(), d, patternFrom(d.Received, d.Received+chunk), models.TusAppend{
						Limit: noLimit,
						Claim: func() (int64, error) { return 1, nil },
						Commit: func(p models.TusProgress) error {
							d.Received, d.Hashes, d.CRC32C, d.Segments = p.Received, p.Hashes, p.CRC32C, []models.TusSegment{p.Segment}
							return nil
						},
					}))
				}
				_, err := l.Assemble(b.Context(), models.TusAssembly{Key: prefix + "/object", Segments: d.Segments, Generation: 1_700_000_000_123_456_000})
				require.NoError(b, err)
				b.StopTimer()
				require.NoError(b, l.DeleteAll(b.Context(), "ft"))
				b.StartTimer()
			}
		})
	}
}
