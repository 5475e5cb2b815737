package main

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSample_QuantileIsAlwaysAMeasuredNumber(t *testing.T) {
	t.Parallel()
	var hundred sample
	for i := range 100 {
		hundred = append(hundred, float64(100-i)) // 100 … 1, unsorted for our purpose
	}
	for q, want := range map[float64]float64{0: 1, 0.01: 1, 0.5: 50, 0.95: 95, 0.99: 99, 0.991: 100, 1: 100} {
		require.InDelta(t, want, hundred.quantile(q), 0, "q=%v", q)
	}
	require.InDelta(t, 7, sample{7}.quantile(0.99), 0)
	require.True(t, math.IsNaN(sample{}.quantile(0.5)))
	require.InDelta(t, 100, hundred[0], 0, "the sample keeps its order")
}

func TestSample_MedianIsTheMiddle(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 2, sample{3, 1, 2}.median(), 0)
	require.InDelta(t, 2.5, sample{4, 1, 2, 3}.median(), 0)
	require.True(t, math.IsNaN(sample{}.median()))
}

func TestPairs_LeaveOutWhatHasNoPartner(t *testing.T) {
	t.Parallel()
	require.Equal(t, sample{2, 0.5}, ratios(sample{4, 2, 9}, sample{2, 4}))
	require.Equal(t, sample{2, -2}, differences(sample{4, 2}, sample{2, 4, 9}))
	require.Empty(t, ratios(nil, sample{1}))
}

func TestSize_IsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "17": 17, "64MiB": 64 << 20, "1 GiB": 1 << 30, "3KiB": 3 << 10, "2TiB": 2 << 40} {
		got, err := parseSize(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, n := range []int64{1, 1 << 10, 1536 << 20, 8 << 30} {
		text := formatSize(n)
		if n == 1 {
			require.Equal(t, "1 bytes", text)
			continue
		}
		got, err := parseSize(text)
		require.NoError(t, err)
		require.Equal(t, n, got)
	}
	for _, bad := range []string{"", "GiB", "-1", "1.5GiB", "9999999TiB", "1GB"} {
		_, err := parseSize(bad)
		require.Error(t, err, bad)
	}
}

func TestRate_CountsMillionsOfBytes(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 500, rate(1e9, 2*time.Second), 1e-9)
	require.InDelta(t, 1.5, millis(1500*time.Microsecond), 1e-9)
}
