package objects

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// put makes an object of size pattern bytes.
func put(t *testing.T, b bench, key string, size int64) models.Content {
	t.Helper()
	c, err := b.store.Put(t.Context(), key, newPattern(size), noLimit)
	require.NoError(t, err)
	return c
}

// read returns what the bytes of c's object really are.
func read(t *testing.T, b bench, c models.Content) models.Content {
	t.Helper()
	r, err := b.store.Open(t.Context(), c, 0, -1)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	return contentOf(r, c.Key, c.Generation)
}

// gone requires that neither an object nor a leftover of key exists.
func gone(t *testing.T, b bench, key string) {
	t.Helper()
	_, err := b.store.Stat(t.Context(), key)
	require.ErrorIs(t, err, models.ErrObjectNotFound)
	require.Empty(t, b.list(t, key))
}

// contentOf hashes r the plain way; a reading error shows as wrong hashes.
func contentOf(r io.Reader, key string, generation int64) models.Content {
	sha, md, crc := sha256.New(), md5.New(), crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.Copy(io.MultiWriter(sha, md, crc), r)
	if err != nil {
		n = -1
	}
	return models.Content{
		Key: key, Generation: generation, Size: n, CRC32C: crc.Sum32(),
		MD5: hex.EncodeToString(md.Sum(nil)), SHA256: hex.EncodeToString(sha.Sum(nil)),
	}
}

// noise is longer than a block and of odd length, so that no two blocks of a pattern are equal.
var noise = func() []byte {
	p := make([]byte, mib+977)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}()

// pattern is a cheap body of any length.
type pattern struct{ at, size int64 }

func newPattern(size int64) *pattern { return &pattern{size: size} }

// Read implements io.Reader.
func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.size {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.size-p.at)]
	n := copy(b, noise[p.at%int64(len(noise)):])
	p.at += int64(n)
	return n, nil
}

// onlyReader hides every other method of a reader.
type onlyReader struct{ io.Reader }

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
