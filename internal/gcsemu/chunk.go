package gcsemu

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
)

// chunk is what one request of an upload session says about its body.
type chunk struct {
	start  int64 // offset of the body in the object
	length int64 // -1 if not known before the body ends
	total  int64 // length of the object; -1 if not said
	empty  bool  // it names no range: a question, or the end of an upload whose bytes are all here
	last   bool
}

// contentRange matches "bytes 0-262143/*", "bytes 0-99/100", "bytes */100" and "bytes */*".
var contentRange = regexp.MustCompile(`^bytes (?:\*|(\d{1,18})-(\d{1,18}))/(?:\*|(\d{1,18}))$`)

// parseChunk reads Content-Range and refuses what Cloud Storage refuses in every state of a session.
func parseChunk(r *http.Request) (chunk, error) {
	header := r.Header.Get("Content-Range")
	if header == "" { // the body is the whole object
		return chunk{length: r.ContentLength, total: r.ContentLength, last: true}, nil
	}
	m := contentRange.FindStringSubmatch(header)
	if m == nil {
		return chunk{}, invalid("Content-Range %q is not understood", header)
	}
	first, end, total := number(m[1]), number(m[2]), number(m[3])
	if first < 0 {
		return chunk{total: total, empty: true}, nil
	}
	c := chunk{start: first, length: end - first + 1, total: total, last: total == end+1}
	switch {
	case c.length <= 0 || (total >= 0 && end >= total):
		return chunk{}, invalid("Content-Range %q is not a range", header)
	case !c.last && c.length%blockSize != 0:
		return chunk{}, invalid("a chunk other than the last must be a multiple of %d bytes", blockSize)
	case r.ContentLength >= 0 && r.ContentLength != c.length:
		return chunk{}, invalid("Content-Range names %d bytes, the body has %d", c.length, r.ContentLength)
	}
	return c, nil
}

// number returns -1 for what a pattern did not match; the pattern admits only digits that fit.
func number(digits string) int64 {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// question reports whether the request only asks how many bytes have arrived; kept is that number.
func (c *chunk) question(kept int64) bool {
	if !c.empty {
		return false
	}
	if c.total == kept {
		// All bytes have arrived and the client says that these are all: a last chunk without bytes.
		c.start, c.length, c.last = kept, 0, true
		return false
	}
	return true
}

func skip(body io.Reader, n int64) error {
	if _, err := io.CopyN(io.Discard, body, n); err != nil {
		return brokenOff(fmt.Errorf("skip known bytes: %w", err))
	}
	return nil
}
