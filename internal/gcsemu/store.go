package gcsemu

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	recordSuffix  = ".json"
	contentSuffix = ".content"
)

func (s *Server) draftDir() string   { return filepath.Join(s.dir, "drafts") }
func (s *Server) bucketsDir() string { return filepath.Join(s.dir, "buckets") }

// contentPath names content by generation, so content that replaces other content never overwrites it.
func (s *Server) contentPath(o *object) string {
	return filepath.Join(s.bucketsDir(), o.Bucket, strconv.FormatInt(o.Generation, 10)+contentSuffix)
}

// recordPath names the record by a hash, because an object's name may be longer than a file's and have any character.
func (s *Server) recordPath(o *object) string {
	sum := sha256.Sum256([]byte(o.Name))
	return filepath.Join(s.bucketsDir(), o.Bucket, hex.EncodeToString(sum[:])+recordSuffix)
}

// save makes o the object's record by a rename, so that a reader of the directory sees the old or the new one.
func (s *Server) save(o *object) error {
	raw, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	f, err := os.CreateTemp(s.draftDir(), "record-")
	if err != nil {
		return fmt.Errorf("create record: %w", err)
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), s.recordPath(o))
	}
	if err != nil {
		remove(f.Name())
		return fmt.Errorf("save record: %w", err)
	}
	return nil
}

// erase deletes the object; call with s.mu held. The record goes first, because New collects content without a record.
func (s *Server) erase(o *object) error {
	if err := os.Remove(s.recordPath(o)); err != nil {
		return fmt.Errorf("delete record: %w", err)
	}
	delete(s.buckets[o.Bucket].objects, o.Name)
	remove(s.contentPath(o))
	return nil
}

// load reads what an earlier program left.
func (s *Server) load() error {
	dirs, err := os.ReadDir(s.bucketsDir())
	if err != nil {
		return fmt.Errorf("list buckets: %w", err)
	}
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		if err := s.loadBucket(d); err != nil {
			return fmt.Errorf("load bucket %s: %w", d.Name(), err)
		}
	}
	return nil
}

func (s *Server) loadBucket(dir fs.DirEntry) error {
	info, err := dir.Info()
	if err != nil {
		return fmt.Errorf("inspect bucket: %w", err)
	}
	b := &bucket{name: dir.Name(), created: info.ModTime().UTC(), objects: map[string]*object{}}
	s.buckets[b.name] = b
	path := filepath.Join(s.bucketsDir(), b.name)
	files, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("list records: %w", err)
	}
	known := map[string]bool{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), recordSuffix) {
			continue
		}
		o, err := s.loadObject(filepath.Join(path, f.Name()))
		if err != nil {
			return fmt.Errorf("load record %s: %w", f.Name(), err)
		}
		b.objects[o.Name] = o
		known[filepath.Base(s.contentPath(o))] = true
		s.generation = max(s.generation, o.Generation)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), contentSuffix) && !known[f.Name()] {
			remove(filepath.Join(path, f.Name()))
		}
	}
	return nil
}

func (s *Server) loadObject(path string) (*object, error) {
	raw, err := os.ReadFile(path) //nolint:gosec // a file of our own directory
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, fmt.Errorf("decode record: %w", err)
	}
	info, err := os.Stat(s.contentPath(&o))
	if err != nil {
		return nil, fmt.Errorf("find content: %w", err)
	}
	if info.Size() != o.Size {
		return nil, fmt.Errorf("check content: %d bytes in place of %d", info.Size(), o.Size)
	}
	return &o, nil
}
