package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/formidling/formidling/models"
)

// byteRange is the part of a file that an answer carries.
type byteRange struct {
	first, length int64 // bytes
	partial       bool
	notModified   bool
}

func (s byteRange) status() int {
	switch {
	case s.notModified:
		return http.StatusNotModified
	case s.partial:
		return http.StatusPartialContent
	}
	return http.StatusOK
}

// wanted reads a Range header (docs/reference/altinn-broker.md 1.3, download): one range is served, several or a malformed one are
// ignored, one behind the end is models.ErrRange. An If-Range that is not the file's ETag asks for all.
func wanted(header, ifRange, etag string, size int64) (byteRange, error) {
	whole := byteRange{length: size}
	spec, isBytes := cutPrefixFold(header, "bytes=")
	if !isBytes || strings.Contains(spec, ",") || ifRange != "" && ifRange != etag {
		return whole, nil
	}
	from, to, dashed := strings.Cut(strings.TrimSpace(spec), "-")
	if !dashed {
		return whole, nil
	}
	if from == "" {
		return suffix(to, size, whole)
	}
	first, ok := position(from)
	if !ok {
		return whole, nil
	}
	last := size - 1
	if to != "" {
		given, ok := position(to)
		if !ok || given < first {
			return whole, nil
		}
		last = min(last, given)
	}
	if first >= size {
		return byteRange{}, models.ErrRange
	}
	return byteRange{first: first, length: last - first + 1, partial: true}, nil
}

func suffix(text string, size int64, whole byteRange) (byteRange, error) {
	n, ok := position(text)
	if !ok {
		return whole, nil
	}
	if n = min(n, size); n == 0 {
		return byteRange{}, models.ErrRange
	}
	return byteRange{first: size - n, length: n, partial: true}, nil
}

// position reads digits only; a number that does not fit is behind every file.
func position(text string) (int64, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 1<<63 - 1, true
	}
	return n, true
}

// matches tells whether an If-None-Match names this ETag.
func matches(header, etag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		if c := strings.TrimPrefix(strings.TrimSpace(candidate), "W/"); c == etag || c == "*" {
			return true
		}
	}
	return false
}
