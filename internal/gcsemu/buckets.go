package gcsemu

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

type bucket struct {
	name    string
	created time.Time
	objects map[string]*object // by name
}

// bucketName is Cloud Storage's rule, which also makes every bucket name a safe directory name.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)

// addBucket reports whether the bucket is new.
func (s *Server) addBucket(name string) (bool, error) {
	if !bucketName.MatchString(name) || strings.Contains(name, "..") {
		return false, invalid("bucket name %q is not allowed", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] != nil {
		return false, nil
	}
	if err := os.Mkdir(filepath.Join(s.bucketsDir(), name), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("create bucket: %w", err)
	}
	s.buckets[name] = &bucket{name: name, created: s.now().UTC(), objects: map[string]*object{}}
	return true, nil
}

// bucketOf returns the bucket with this name; call with s.mu held.
func (s *Server) bucketOf(name string) (*bucket, error) {
	if b := s.buckets[name]; b != nil {
		return b, nil
	}
	return nil, notFound("the bucket %q does not exist", name)
}

// find returns a live object, of the given generation unless that is 0; call with s.mu held.
func (s *Server) find(bucket, name string, generation int64) (*object, error) {
	b, err := s.bucketOf(bucket)
	if err != nil {
		return nil, err
	}
	o := b.objects[name]
	if o == nil || (generation != 0 && generation != o.Generation) {
		return nil, notFound("no such object: %s/%s", bucket, name)
	}
	return o, nil
}

func (s *Server) createBucket(w http.ResponseWriter, r *http.Request) error {
	var in struct{ Name string }
	if err := readJSON(r.Body, &in); err != nil {
		return err
	}
	created, err := s.addBucket(in.Name)
	if err != nil {
		return err
	}
	if !created {
		return &apiError{http.StatusConflict, "conflict", "the bucket exists already"}
	}
	return s.showBucket(w, in.Name)
}

func (s *Server) getBucket(w http.ResponseWriter, r *http.Request) error {
	return s.showBucket(w, r.PathValue("bucket"))
}

func (s *Server) showBucket(w http.ResponseWriter, name string) error {
	s.mu.Lock()
	b, err := s.bucketOf(name)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return reply(w, map[string]any{
		"kind": "storage#bucket", "id": b.name, "name": b.name, "metageneration": "1",
		"location": "EU", "locationType": "multi-region", "storageClass": "STANDARD",
		"timeCreated": b.created, "updated": b.created,
	})
}
