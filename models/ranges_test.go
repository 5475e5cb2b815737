package models

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The model is a set of bytes: whatever comes in whatever order, ranges are what a set would be.
func TestRanges_AreTheBytesThatWereAdded(t *testing.T) {
	t.Parallel()
	const size = 60
	rapid.Check(t, func(t *rapid.T) {
		var r Ranges
		var want [size]bool
		for range rapid.IntRange(0, 40).Draw(t, "n") {
			first := rapid.Int64Range(0, size-1).Draw(t, "first")
			end := rapid.Int64Range(first, size).Draw(t, "end")
			before := slices.Clone(r)
			after := r.With(Range{first, end})
			require.Equal(t, before, slices.Clone(r), "what others hold is not changed")
			r = after
			for i := first; i < end; i++ {
				want[i] = true
			}
		}
		var got [size]bool
		for i, one := range r {
			require.Less(t, one.First, one.End)
			if i > 0 {
				require.Less(t, r[i-1].End, one.First, "neither overlap nor touch")
			}
			for at := one.First; at < one.End; at++ {
				got[at] = true
			}
		}
		require.Equal(t, want, got)
		n := int64(0)
		for _, yes := range want {
			if yes {
				n++
			}
		}
		require.Equal(t, n, r.Bytes())
	})
}

// A recipient that asks for every other byte must not make rows without bound.
func TestRanges_HaveABound(t *testing.T) {
	t.Parallel()
	var r Ranges
	for i := range int64(3 * MaxRanges) {
		before := r.Bytes()
		r = r.With(Range{First: 10 * i, End: 10*i + 5})
		require.LessOrEqual(t, len(r), MaxRanges)
		require.GreaterOrEqual(t, r.Bytes(), before)
	}
	require.Equal(t, Ranges{{0, 30 * MaxRanges}}, r.With(Range{0, 30 * MaxRanges}), "what fills the gaps makes it whole")
}
