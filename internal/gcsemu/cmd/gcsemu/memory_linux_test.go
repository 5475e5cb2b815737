package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// peak returns the most memory that the process ever had, in bytes.
func (p *process) peak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(t, err)
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, m)
	n, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)
	return n << 10
}

func TestProgram_NeedsLittleMemoryForALargeObject(t *testing.T) {
	t.Parallel()
	const size = 256 << 20
	p := start(t, t.TempDir())
	p.write(t, "warm", bytes.NewReader([]byte("content")))
	before := p.peak(t)

	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	p.write(t, "large", io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{}), size), sum))
	large := p.bucket.Object("large")
	attrs, err := p.bucket.Object("twice").ComposerFrom(large, large).Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(2*size), attrs.Size)
	r, err := large.NewReader(t.Context())
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, r) // the reader compares the checksum
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, int64(size), n)
	attrs, err = large.Attrs(t.Context())
	require.NoError(t, err)
	require.Equal(t, sum.Sum32(), attrs.CRC32C)

	grown := p.peak(t) - before
	t.Logf("peak %d MiB, %d MiB more than before", p.peak(t)>>20, grown>>20)
	require.Less(t, grown, 24<<20)
}
