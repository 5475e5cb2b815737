package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is what was measured, one number per repetition, in any order.
type sample []float64

// quantile is the smallest number of the sample that at least the share q of it does not exceed
// (nearest rank); NaN when there is none. It never invents a number between two measurements.
func (s sample) quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median is the middle, or the mean of the two in the middle: few rounds deserve it.
func (s sample) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// ratios divides pair by pair; what has no partner is left out.
func ratios(ours, peers sample) sample {
	var out sample
	for i, our := range ours[:min(len(ours), len(peers))] {
		out = append(out, our/peers[i])
	}
	return out
}

// differences subtracts pair by pair; what has no partner is left out.
func differences(a, b sample) sample {
	var out sample
	for i := range min(len(a), len(b)) {
		out = append(out, a[i]-b[i])
	}
	return out
}

// millis is a duration in the unit of our tables.
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// megabytes per second, of 10^6 bytes, as disks and networks are sold.
func rate(bytes int64, took time.Duration) float64 { return float64(bytes) / 1e6 / took.Seconds() }

// mib is a number of bytes in MiB.
func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// parseSize reads a whole number of bytes, KiB, MiB, GiB or TiB.
func parseSize(s string) (int64, error) {
	factor := int64(1)
	for _, u := range sizeUnits {
		if number, ok := strings.CutSuffix(s, u.name); ok {
			s, factor = number, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("parse size: %q is not a whole number of bytes, KiB, MiB, GiB or TiB", s)
	}
	return n * factor, nil
}

// formatSize is what parseSize reads.
func formatSize(n int64) string {
	for _, u := range sizeUnits {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + " " + u.name
		}
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
