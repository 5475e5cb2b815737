package models

import "slices"

// Range is a part of a file: the bytes from First up to, but without, End.
type Range struct{ First, End int64 }

// MaxRanges is how many separate parts of a file are kept track of for one recipient.
const MaxRanges = 1000

// Ranges are parts of a file in order, none touching another.
type Ranges []Range

// With returns the ranges with one more, merged. Beyond MaxRanges the shortest are forgotten: what is told then
// is less than what was served, never more.
func (r Ranges) With(more Range) Ranges {
	if more.First >= more.End {
		return r
	}
	at, _ := slices.BinarySearchFunc(r, more, func(have, want Range) int { // the first that may touch it
		if have.End < want.First {
			return -1
		}
		return 1
	})
	last := at
	for last < len(r) && r[last].First <= more.End {
		more = Range{First: min(more.First, r[last].First), End: max(more.End, r[last].End)}
		last++
	}
	merged := slices.Replace(slices.Clone(r), at, last, more)
	if len(merged) > MaxRanges {
		short := 0
		for i, one := range merged {
			if one.End-one.First < merged[short].End-merged[short].First {
				short = i
			}
		}
		merged = slices.Delete(merged, short, short+1)
	}
	return merged
}

// Bytes is how many bytes the ranges have.
func (r Ranges) Bytes() int64 {
	var n int64
	for _, one := range r {
		n += one.End - one.First
	}
	return n
}
