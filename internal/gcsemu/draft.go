package gcsemu

import (
	"bytes"
	"crypto/md5" //nolint:gosec // the API's checksum, not a protection
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"strings"
)

// blockSize is the unit in which Cloud Storage keeps the content of an upload session.
const blockSize = 256 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// draft is content on its way to becoming an object: a file that nobody can read and its checksums so far.
type draft struct {
	path string
	size int64
	crc  uint32
	md5  hash.Hash // nil once objects were copied: copied is their MD5, if it is known

	copied string
}

func (s *Server) newDraft() (*draft, error) {
	f, err := os.CreateTemp(s.draftDir(), "draft-")
	if err != nil {
		return nil, fmt.Errorf("create draft: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("create draft: %w", err)
	}
	return &draft{path: f.Name(), md5: md5.New()}, nil //nolint:gosec // as above
}

// fill appends content to the draft: want bytes, or all there are if want is negative. If content breaks off, whole
// blocks stay and the rest is dropped, as in Cloud Storage, so a draft never shrinks.
func (s *Server) fill(d *draft, content io.Reader, want int64) (err error) {
	f, err := os.OpenFile(d.path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open draft: %w", err)
	}
	defer func() {
		if closing := f.Close(); err == nil && closing != nil {
			err = fmt.Errorf("close draft: %w", closing)
		}
	}()
	block, _ := s.blocks.Get().(*[blockSize]byte) // the pool holds nothing else
	defer s.blocks.Put(block)

	end := d.size + want
	if want >= 0 {
		content = io.LimitReader(content, want)
	}
	for {
		n, reading := readBlock(content, block[:])
		last := errors.Is(reading, io.EOF)
		if n < blockSize && (!last || (want >= 0 && d.size+int64(n) < end)) {
			return brokenOff(reading)
		}
		if err := d.add(f, block[:n]); err != nil {
			return err
		}
		if last {
			return nil
		}
		if reading != nil {
			return brokenOff(reading)
		}
	}
}

// readBlock fills block as far as it can. It is not io.ReadFull, which reports a body that ended and a body that
// broke off as the same error; taking the second for the first would publish half an object.
func readBlock(content io.Reader, block []byte) (n int, err error) {
	for n < len(block) && err == nil {
		var m int
		m, err = content.Read(block[n:])
		n += m
	}
	return n, err
}

func brokenOff(err error) error {
	var refused *apiError
	if errors.As(err, &refused) {
		return err
	}
	return &apiError{http.StatusServiceUnavailable, "backendError", fmt.Sprintf("content broke off: %v", err)}
}

func (d *draft) add(f *os.File, block []byte) error {
	if err := write(f, block, d.size); err != nil {
		return fmt.Errorf("write draft: %w", err)
	}
	d.crc = crc32.Update(d.crc, castagnoli, block)
	_, _ = d.md5.Write(block) // a hash never fails
	d.size += int64(len(block))
	return nil
}

// zeros is a block that takes no room on the disk: tests upload sparse files larger than the disk.
var zeros [blockSize]byte

// write appends a block to a file of which the first size bytes count.
func write(f *os.File, block []byte, size int64) error {
	if !bytes.Equal(block, zeros[:len(block)]) {
		_, err := f.WriteAt(block, size)
		return err
	}
	if err := f.Truncate(size); err != nil { // bytes behind size may come from a write that failed
		return err
	}
	return f.Truncate(size + int64(len(block)))
}

// sums are checksums as the API writes them; empty means not declared.
type sums struct{ crc32c, md5 string }

func (d *draft) sums() sums {
	is := sums{crc32c: base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, d.crc)), md5: d.copied}
	if d.md5 != nil {
		is.md5 = base64.StdEncoding.EncodeToString(d.md5.Sum(nil))
	}
	return is
}

// verify refuses a draft that differs from what the client declared, in any of the places where it may declare it.
func (d *draft) verify(declared ...sums) error {
	is := d.sums()
	for _, want := range declared {
		if want.crc32c != "" && want.crc32c != is.crc32c {
			return invalid("provided CRC32C %q doesn't match calculated CRC32C %q", want.crc32c, is.crc32c)
		}
		if want.md5 != "" && want.md5 != is.md5 {
			return invalid("provided MD5 hash %q doesn't match calculated MD5 hash %q", want.md5, is.md5)
		}
	}
	return nil
}

// headerSums reads the checksums declared in X-Goog-Hash, which may be one header or several.
func headerSums(h http.Header) sums {
	var declared sums
	for _, line := range h.Values("X-Goog-Hash") {
		for item := range strings.SplitSeq(line, ",") {
			kind, sum, _ := strings.Cut(strings.TrimSpace(item), "=")
			switch kind {
			case "crc32c":
				declared.crc32c = sum
			case "md5":
				declared.md5 = sum
			}
		}
	}
	return declared
}

func (d *draft) discard() { remove(d.path) }

// remove deletes a file that nothing refers to any more.
func remove(path string) {
	_ = os.Remove(path) // a file that stays only takes space until New collects it
}
