package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/formidling/formidling/models"
)

// Store keeps objects that are either absent or whole, and never change once visible.
//
// Keys and prefixes are clean relative slash paths of at most 512 bytes; anything else is
// ErrBadKey. No key may continue another one ("a" and "a/b"). Errors that a caller may see are
// those of package models: besides the ones named at each method, ErrUnavailable when the storage
// does not answer or answers with a fault of its own. All methods may be called concurrently.
type Store interface {
	// Put streams body into a new object under key while hashing it; the object is durable when
	// Put returns. At most limit bytes are taken: a longer body gives models.ErrFileTooLarge with
	// the limit and the bytes seen so far. An existing key gives models.ErrObjectExists, a full
	// disk models.ErrStorageFull. An error of body is returned wrapped and keeps its code.
	// After any error, and after cancellation of ctx, nothing is visible under key (but see the
	// package comment on Cloud Storage). Put reads body from the calling goroutine only. The hashes
	// named in without are not computed, and are empty in the Content.
	Put(ctx context.Context, key string, body io.Reader, limit int64, without ...models.Hash) (models.Content, error)
	// Open reads length bytes (-1 = to the end) from offset of exactly the generation in c. When
	// that generation is not there the error is models.ErrObjectNotFound, when the range leaves
	// the Size in c it is models.ErrRange. ctx bounds the reading too. The local store returns an
	// *os.File positioned at offset, fit for sendfile: it does not end after length, the caller
	// limits it with io.LimitReader. A reader that ends early says so by an error, not by io.EOF.
	Open(ctx context.Context, c models.Content, offset, length int64) (io.ReadCloser, error)
	// Stat returns what storage itself reports; models.ErrObjectNotFound if the object is absent.
	Stat(ctx context.Context, key string) (models.StoredObject, error)
	// DeleteAll removes the object named prefix, if there is one, and every object and leftover
	// whose key starts with prefix + "/"; absent is success. After an error some may be gone; calling again is safe.
	DeleteAll(ctx context.Context, prefix string) error
	// Append streams body to the end of a draft: an upload whose bytes come in several requests. It claims the
	// draft, makes what arrives durable, and commits it piece by piece; the last piece when the body ends, even if
	// that is by an error. If a checksum is given, nothing is committed before it was found right
	// (models.ErrChunkChecksum). A body of more than Limit bytes gives models.ErrFileTooLarge. Of several
	// writers at once only the one with the newest epoch can commit, and no other one spoils its bytes. What was
	// not committed stays below the prefix, and does not count.
	Append(ctx context.Context, d models.TusDraft, body io.Reader, a models.TusAppend) error
	// Assemble makes one object of segments, durable and whole as by Put, and returns its Content without SHA256
	// and MD5. It is safe to repeat, even in several processes at once: then it finds what exists. Afterwards the
	// segments may be gone; DeleteAll of their prefix deletes those that are left.
	Assemble(ctx context.Context, a models.TusAssembly) (models.Content, error)
	// Digest goes on hashing segments from byte at, where the state is h, and calls save with its progress about
	// once a second, and at the end. It stops at the first error of save.
	Digest(ctx context.Context, segments []models.TusSegment, at int64, h models.HashState, save func(at int64, h models.HashState) error) error
	// Ready reports whether the storage answers and accepts objects; it returns when ctx ends.
	Ready(ctx context.Context) error
}

// Options adjust a store. The zero value is fit for production.
type Options struct {
	// PoolBytes bounds the segment buffers of all uploads to Cloud Storage together, in bytes.
	// 0 means 512 MiB; less than 16 MiB (one segment) counts as 16 MiB.
	PoolBytes int64
	// ReserveBytes of the local file system stay free: Put and Ready give models.ErrStorageFull
	// rather than go below. 0 keeps none. Linux only.
	ReserveBytes int64
	// Emulator is the host:port or URL of a Cloud Storage emulator, which is used without
	// authentication. If it is empty, STORAGE_EMULATOR_HOST counts, as always with this client; if
	// that is empty too, the real service is used.
	Emulator string
}

// ErrBadKey is returned for keys and prefixes that are not clean relative slash paths. It is a
// fault of the calling code, never of a request, and so has no code of its own.
var ErrBadKey = errors.New("key is not a clean relative path")

// Connect returns the store at location: "gs://bucket", "file:///dir" or the path of a directory,
// which is created if it is absent. ctx bounds the call, not the store. Credentials for Cloud
// Storage are the application default ones. Connect does not contact the storage: ask Ready.
func Connect(ctx context.Context, location string, opts Options) (Store, error) {
	scheme, rest, found := strings.Cut(location, "://")
	switch {
	case location == "":
		return nil, errors.New("connect to objects: no location given")
	case !found:
		return connectLocal(location, opts)
	case scheme == "file":
		u, err := url.Parse(location)
		if err != nil || u.Host != "" || u.Path == "" {
			return nil, fmt.Errorf("connect to objects: %q is not of the form file:///dir", location)
		}
		return connectLocal(filepath.FromSlash(u.Path), opts)
	case scheme == "gs":
		bucket := strings.TrimSuffix(rest, "/")
		if bucket == "" || strings.ContainsAny(bucket, "/?#") {
			return nil, fmt.Errorf("connect to objects: %q is not of the form gs://bucket", location)
		}
		return connectGCS(ctx, bucket, opts)
	default:
		return nil, fmt.Errorf("connect to objects: unknown scheme %q", scheme)
	}
}

// maxKey leaves room for the names of segments below the 1,024 bytes of Cloud Storage.
const maxKey = 512

// checkKey refuses what could leave the store's directory or mean different objects in different
// stores. Segments that begin with a dot are kept for the store itself (".tmp-…").
func checkKey(key string) error {
	if len(key) > maxKey || !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) || strings.Contains(key, `\`) {
		return fmt.Errorf("check %q: %w", key, ErrBadKey)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment[0] == '.' || len(segment) > 255 {
			return fmt.Errorf("check %q: %w", key, ErrBadKey)
		}
	}
	return nil
}

// checkRange resolves length -1 and refuses ranges that leave the object.
func checkRange(c models.Content, offset, length int64) (int64, error) {
	if length == -1 {
		length = c.Size - offset
	}
	if offset < 0 || length < 0 || offset > c.Size || length > c.Size-offset {
		return 0, fmt.Errorf("read %d bytes at %d of %d: %w", length, offset, c.Size, models.ErrRange)
	}
	return length, nil
}
