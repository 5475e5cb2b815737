package objects

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/gcsemu"
	"github.com/formidling/formidling/models"
)

// BenchmarkLocalPut1GiB measures a durable Put of 1 GiB. Compare with BenchmarkBareCopy1GiB.
func BenchmarkLocalPut1GiB(b *testing.B) {
	l, err := connectLocal(b.TempDir(), Options{})
	require.NoError(b, err)
	b.SetBytes(1 << 30)
	for i := 0; b.Loop(); i++ {
		key := fmt.Sprintf("ft/%d/object", i)
		_, err := l.Put(b.Context(), key, newPattern(1<<30), noLimit)
		require.NoError(b, err)
		b.StopTimer()
		require.NoError(b, l.DeleteAll(b.Context(), "ft"))
		b.StartTimer()
	}
}

// BenchmarkLocalPut1KiB measures a durable Put of a small object into a directory of its own.
func BenchmarkLocalPut1KiB(b *testing.B) {
	l, err := connectLocal(b.TempDir(), Options{})
	require.NoError(b, err)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, err := l.Put(b.Context(), fmt.Sprintf("ft/%d/object", i), newPattern(1<<10), noLimit)
		require.NoError(b, err)
	}
}

// BenchmarkBareCopy1GiB is the least that does the same work: a named file, early write-back, one
// goroutine per hash, fsync; no limit, no cancellation, no exclusive name, no durable directory.
func BenchmarkBareCopy1GiB(b *testing.B) {
	dir := b.TempDir()
	b.SetBytes(1 << 30)
	for i := 0; b.Loop(); i++ {
		path := filepath.Join(dir, fmt.Sprint(i))
		require.NoError(b, bareCopy(path, newPattern(1<<30)))
		b.StopTimer()
		require.NoError(b, os.Remove(path))
		b.StartTimer()
	}
}

func bareCopy(path string, body io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	type block struct {
		p    []byte
		done *sync.WaitGroup
	}
	var hashers sync.WaitGroup
	var lanes []chan block
	for _, h := range []hash.Hash{sha256.New(), md5.New(), crc32.New(castagnoli)} {
		lane := make(chan block, 4)
		lanes = append(lanes, lane)
		hashers.Go(func() {
			for b := range lane {
				h.Write(b.p)
				b.done.Done()
			}
		})
	}
	var bufs [4][]byte
	var busy [4]sync.WaitGroup
	for i := range bufs {
		bufs[i] = make([]byte, 1<<20)
	}
	var size int64
	for i := 0; ; i = (i + 1) % 4 {
		busy[i].Wait()
		n, err := io.ReadFull(body, bufs[i])
		if n > 0 {
			busy[i].Add(len(lanes))
			for _, lane := range lanes {
				lane <- block{bufs[i][:n], &busy[i]}
			}
			if _, err := f.Write(bufs[i][:n]); err != nil {
				return err
			}
			if size += int64(n); size%windowBytes == 0 {
				_ = startWriteback(f, size-windowBytes, windowBytes)
				_ = awaitWriteback(f, max(0, size-2*windowBytes), windowBytes)
			}
		}
		if err != nil {
			break
		}
	}
	for _, lane := range lanes {
		close(lane)
	}
	hashers.Wait()
	return f.Sync()
}

// BenchmarkGCSPut measures Put against the emulator, which hashes and writes on the same cores.
func BenchmarkGCSPut(b *testing.B) {
	for _, size := range []int64{1 << 10, 32 * mib, 512 * mib} {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			_, url := startEmulator(b)
			store := dial(b, url)
			b.SetBytes(size)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, err := store.Put(b.Context(), fmt.Sprintf("ft/%d/object", i), newPattern(size), noLimit)
				require.NoError(b, err)
				b.StopTimer()
				require.NoError(b, store.DeleteAll(b.Context(), "ft"))
				b.StartTimer()
			}
		})
	}
}

// BenchmarkGCSWay compares two ways to send a large body to Cloud Storage over a network that the emulator models:
// segments in parallel with compose, as Put does, and one resumable session whose chunks have the size of a segment. The
// speed of each request is bounded, as that of one connection is. Use a TMPDIR in memory and a quiet machine; otherwise
// it measures the emulator, which copies what it composes.
func BenchmarkGCSWay(b *testing.B) {
	const size = 128 * mib
	put := func(b *testing.B, g *gcs, key string) {
		b.Helper()
		_, err := g.Put(b.Context(), key, newPattern(size), noLimit, models.HashMD5)
		require.NoError(b, err)
	}
	session := func(b *testing.B, g *gcs, key string) {
		b.Helper()
		w := g.bucket.Object(key).If(storage.Conditions{DoesNotExist: true}).NewWriter(b.Context())
		w.ChunkSize = segmentBytes
		require.NoError(b, stream(b.Context(), newPattern(size), noLimit, newDigest(models.HashMD5), func(p []byte) error {
			_, err := w.Write(p)
			return err
		}))
		require.NoError(b, w.Close())
	}
	for _, n := range []gcsemu.Network{{BytesPerSecond: 20_000_000, Latency: 80 * time.Millisecond}, {BytesPerSecond: 100_000_000, Latency: 80 * time.Millisecond}} {
		for name, way := range map[string]func(*testing.B, *gcs, string){"parallel parts": put, "one session": session} {
			b.Run(fmt.Sprintf("%s/%d MB per s and request, %s", name, n.BytesPerSecond/1_000_000, n.Latency), func(b *testing.B) {
				emu, url := startEmulator(b)
				emu.SetNetwork(n)
				g := dial(b, url)
				b.SetBytes(size)
				for i := 0; b.Loop(); i++ {
					way(b, g, fmt.Sprintf("ft/%d/object", i))
				}
			})
		}
	}
}
