// Package gcsemu emulates the part of Cloud Storage that a file broker needs: buckets, the three kinds of
// upload, compose, rewrite, lists, holds, and reads over the JSON and the XML API. It speaks to
// cloud.google.com/go/storage over HTTP and exists for what small emulators leave out: preconditions on every
// call, declared checksums on every upload, chunks that are sent twice, connections that drop, and objects of many
// gigabytes, because content goes from the request to a file through one buffer of 256 KiB.
//
//	multipart, media ──► draft ─────────────┐
//	resumable ──► session ──► draft (grows) ┼──► publish ──► object ──► read, list, update, delete
//	compose, rewrite ──► draft ─────────────┘       │
//	                                     checksums, preconditions, holds
//
// A draft is a file that nobody can read. Publishing names it after its generation and then replaces the object's
// record, a small JSON file, by a rename; an object exists if its record does. So a directory holds whole objects
// whenever the program stops, and New loads them again. Nothing is synced to the disk: objects survive the end of the
// program, but not a power cut. Upload sessions end with the program.
//
// Left out: access control, object versions, soft delete, retention policies, notifications, transcoding of gzip
// content, the XML API except reads, and gRPC.
package gcsemu

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Server is the emulator. It is an http.Handler and safe for concurrent use.
type Server struct {
	dir    string
	mux    *http.ServeMux
	now    func() time.Time
	blocks sync.Pool

	fault   atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	network atomic.Pointer[Network]

	mu         sync.Mutex // guards the fields below; never held while content is copied
	buckets    map[string]*bucket
	sessions   map[string]*session
	generation int64 // the last one given
}

// New returns an emulator that keeps its objects under dir and serves those that an earlier one left there. Only one
// emulator at a time may use a directory.
func New(dir string) (*Server, error) {
	s := &Server{
		dir:      dir,
		now:      time.Now,
		blocks:   sync.Pool{New: func() any { return new([blockSize]byte) }},
		buckets:  map[string]*bucket{},
		sessions: map[string]*session{},
	}
	// Drafts that an earlier program left behind belong to no session any more.
	if err := os.RemoveAll(s.draftDir()); err != nil {
		return nil, fmt.Errorf("clear drafts: %w", err)
	}
	for _, d := range []string{s.draftDir(), s.bucketsDir()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("create directory: %w", err)
		}
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	// Generations grow with time, as in the service, so a deleted generation is not given again after a restart.
	s.generation = max(s.generation, s.now().UnixMicro())
	s.mux = s.routes()
	return s, nil
}

// CreateBucket creates the bucket if it does not exist.
func (s *Server) CreateBucket(name string) error {
	_, err := s.addBucket(name)
	return err
}

// SetNetwork installs a model of the network to the service; safe while serving.
func (s *Server) SetNetwork(n Network) { s.network.Store(&n) }

// Close forgets all upload sessions and removes their drafts. Call it once nothing is served any more. Objects stay.
func (s *Server) Close() error {
	s.mu.Lock()
	s.sessions = map[string]*session{}
	s.mu.Unlock()
	if err := os.RemoveAll(s.draftDir()); err != nil {
		return fmt.Errorf("clear drafts: %w", err)
	}
	return nil
}

// ServeHTTP answers one request of the JSON or XML API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := s.fault.Load(); f != nil && (*f)(w, r) {
		return
	}
	s.answer(w, r)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	s.mux.ServeHTTP(w, r)
	// Without this, a client that is still sending would see a reset connection instead of an early answer.
	drain(r.Body)
}

// routes matches on the escaped path, segment by segment: an object may be named "a/o/b" or "x/compose". The one name
// that ServeMux cannot match is "/" alone.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /storage/v1/b":             s.createBucket,
		"GET /storage/v1/b/{bucket}":     s.getBucket,
		"GET /storage/v1/b/{bucket}/o":   s.list,
		"GET /storage/v1/b/{bucket}/o/":  s.unknown,
		"POST /storage/v1/b/{bucket}/o/": s.unknown,

		"GET /storage/v1/b/{bucket}/o/{object}":          s.get,
		"GET /download/storage/v1/b/{bucket}/o/{object}": s.download,
		"PATCH /storage/v1/b/{bucket}/o/{object}":        s.patch,
		"PUT /storage/v1/b/{bucket}/o/{object}":          s.replace,
		"DELETE /storage/v1/b/{bucket}/o/{object}":       s.delete,

		"POST /storage/v1/b/{bucket}/o/{object}/compose":                       s.compose,
		"POST /storage/v1/b/{source}/o/{from}/rewriteTo/b/{bucket}/o/{object}": s.rewrite,
		"POST /upload/storage/v1/b/{bucket}/o":                                 s.upload,
		"PUT /upload/storage/v1/b/{bucket}/o":                                  s.upload,
		"DELETE /upload/storage/v1/b/{bucket}/o":                               s.cancel,
		"GET /{bucket}/{object...}":                                            s.download, // the XML API
	} {
		mux.Handle(pattern, handler(h))
	}
	return mux
}

func (s *Server) unknown(http.ResponseWriter, *http.Request) error {
	return &apiError{http.StatusNotFound, "notFound", "no such method; are slashes in the object's name escaped?"}
}
