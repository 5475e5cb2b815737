package client

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// Source is the content of a file that is sent.
type Source struct {
	once  io.Reader   // it can be read once
	again io.ReaderAt // it can be read as often as needed, in any order
	size  int64       // bytes; -1 when it is not known before the end
}

// FromReader sends what a reader gives, up to its end. It is read once, so the upload survives a broken
// connection if the broker takes uploads in pieces, but never a restart of this process.
func FromReader(r io.Reader) Source { return Source{once: r, size: -1} }

// FromReaderAt sends size bytes of what may be read in any order, and more than once: in parallel parts, again after
// a failure, and by another process that goes on. The bytes must not change meanwhile.
func FromReaderAt(r io.ReaderAt, size int64) Source { return Source{again: r, size: size} }

// FromFile sends an open file: by FromReaderAt when it is a regular one, else (a pipe) by FromReader.
func FromFile(f *os.File) (Source, error) {
	info, err := f.Stat()
	if err != nil {
		return Source{}, err
	}
	if info.Mode().IsRegular() {
		return FromReaderAt(f, info.Size()), nil
	}
	return FromReader(f), nil
}

// section reads a part of a source that may be read again.
func (s Source) section(from, to int64) *io.SectionReader {
	return io.NewSectionReader(s.again, from, to-from)
}

// copyBuffer is how much is read at once, in bytes.
const copyBuffer = 1 << 20

// checksum reads bytes into a hash.
func checksum(ctx context.Context, into hash.Hash, from io.Reader, m *meter) (int64, error) {
	buffer := make([]byte, copyBuffer)
	var total int64
	for {
		if err := ctx.Err(); err != nil {
			return total, context.Cause(ctx)
		}
		n, err := from.Read(buffer)
		into.Write(buffer[:n])
		total += int64(n)
		if n > 0 {
			m.add(int64(n))
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, fmt.Errorf("read file: %w", err)
		}
	}
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// hashing is a reader that is read once, of which every byte is hashed.
type hashing struct {
	*bufio.Reader
	hash hash.Hash
	size int64
}

func newHashing(r io.Reader) *hashing {
	h := &hashing{hash: sha256.New()}
	h.Reader = bufio.NewReaderSize(io.TeeReader(r, h), copyBuffer)
	return h
}

// Write implements io.Writer for what was read.
func (h *hashing) Write(p []byte) (int, error) {
	h.size += int64(len(p))
	return h.hash.Write(p)
}
