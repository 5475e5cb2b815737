package gcsemu

import (
	"fmt"
	"os"
)

// publication is everything that must hold and happen, in one step, for a draft to become an object.
type publication struct {
	bucket, name string
	attributes   attributes
	conditions   conditions
	draft        *draft
	components   int       // how many objects it was composed of; 0 for a plain object
	consumed     []*object // sources that are deleted when the object is made
}

// publish makes the draft the live object, or returns why not and leaves the draft to the caller.
func (s *Server) publish(p publication) (*object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucketOf(p.bucket)
	if err != nil {
		return nil, err
	}
	old := b.objects[p.name]
	if err := p.conditions.check(old); err != nil {
		return nil, err
	}
	consumed := s.consumable(p.consumed, old)
	for _, o := range append(consumed, old) {
		if err := o.held(); err != nil {
			return nil, err
		}
	}
	o := s.newObject(p)
	if err := os.Rename(p.draft.path, s.contentPath(o)); err != nil {
		return nil, fmt.Errorf("publish content: %w", err)
	}
	if err := s.save(o); err != nil {
		remove(s.contentPath(o))
		return nil, err
	}
	b.objects[p.name] = o
	if old != nil {
		remove(s.contentPath(old))
	}
	for _, source := range consumed {
		if err := s.erase(source); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// consumable returns the sources that have not changed since they were read, each once; call with s.mu held. The object
// that is about to be replaced is not among them, because replacing deletes it.
func (s *Server) consumable(sources []*object, replaced *object) []*object {
	var live []*object
	seen := map[int64]bool{}
	for _, source := range sources {
		o := s.buckets[source.Bucket].objects[source.Name]
		if o == nil || o == replaced || o.Generation != source.Generation || seen[o.Generation] {
			continue
		}
		seen[o.Generation] = true
		live = append(live, o)
	}
	return live
}

// newObject describes the draft as an object of the next generation; call with s.mu held.
func (s *Server) newObject(p publication) *object {
	s.generation++
	now := s.now().UTC()
	sums := p.draft.sums()
	o := &object{
		attributes: p.attributes, Kind: "storage#object", Bucket: p.bucket, Name: p.name, Size: p.draft.size,
		Generation: s.generation, Metageneration: 1, CRC32C: sums.crc32c, MD5: sums.md5,
		ComponentCount: p.components, TimeCreated: now, Updated: now,
	}
	if p.components > 0 {
		o.MD5 = "" // as in Cloud Storage: the CRC32C of a composite object can be combined, an MD5 cannot
	}
	if o.StorageClass == "" {
		o.StorageClass = "STANDARD"
	}
	o.Etag = o.etag()
	return o
}
