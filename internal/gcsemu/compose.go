package gcsemu

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"golang.org/x/sys/unix"

	"github.com/formidling/formidling/internal/crc32c"
)

// maxSources is how many objects one compose call may join.
const maxSources = 32

// source is an object that is copied. It is opened at the moment its preconditions hold, so neither a delete nor a new
// generation can change what is copied.
type source struct {
	*object
	content *os.File
}

// sourceRef names a source and its preconditions.
type sourceRef struct {
	bucket, name string
	generation   int64
	conditions   conditions
}

type composeRequest struct {
	Destination         insertion `json:"destination"`
	DeleteSourceObjects bool      `json:"deleteSourceObjects"`
	SourceObjects       []struct {
		Name                string `json:"name"`
		Generation          int64  `json:"generation,string"`
		ObjectPreconditions struct {
			IfGenerationMatch *int64 `json:"ifGenerationMatch,string"`
		} `json:"objectPreconditions"`
	} `json:"sourceObjects"`
}

// refs returns the sources that a compose request names, all in its own bucket.
func (c composeRequest) refs(bucket string) ([]sourceRef, error) {
	if n := len(c.SourceObjects); n == 0 || n > maxSources {
		return nil, invalid("the number of source components must be 1 to %d, not %d", maxSources, n)
	}
	var refs []sourceRef
	for _, o := range c.SourceObjects {
		ref := sourceRef{bucket: bucket, name: o.Name, generation: o.Generation}
		if want := o.ObjectPreconditions.IfGenerationMatch; want != nil {
			ref.conditions = conditions{{name: "ifGenerationMatch", want: *want, equal: true}}
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// compose joins objects of one bucket, in order, to one object.
func (s *Server) compose(w http.ResponseWriter, r *http.Request) error {
	var in composeRequest
	if err := readJSON(r.Body, &in); err != nil {
		return err
	}
	p, err := s.destination(r)
	if err != nil {
		return err
	}
	refs, err := in.refs(p.bucket)
	if err != nil {
		return err
	}
	sources, err := s.openSources(p, refs)
	if err != nil {
		return err
	}
	defer closeSources(sources)
	p.attributes = in.Destination.attributes
	for _, src := range sources {
		p.components += max(1, src.ComponentCount)
		if in.DeleteSourceObjects {
			p.consumed = append(p.consumed, src.object)
		}
	}
	o, err := s.join(p, sources, in.Destination.declared())
	if err != nil {
		return err
	}
	return reply(w, o)
}

// rewrite copies one object in one step, whatever its size.
func (s *Server) rewrite(w http.ResponseWriter, r *http.Request) error {
	var in insertion
	if err := readJSON(r.Body, &in); err != nil {
		return err
	}
	p, err := s.destination(r)
	if err != nil {
		return err
	}
	ref := sourceRef{bucket: r.PathValue("source"), name: r.PathValue("from")}
	if ref.generation, err = pinned(r.URL.Query(), "sourceGeneration"); err != nil {
		return err
	}
	if ref.conditions, err = parseConditions(r.URL.Query(), "ifSource"); err != nil {
		return err
	}
	sources, err := s.openSources(p, []sourceRef{ref})
	if err != nil {
		return err
	}
	defer closeSources(sources)
	from := sources[0].object
	p.attributes, p.components = in.attributes, from.ComponentCount
	if p.attributes.isZero() {
		p.attributes = from.attributes
		p.attributes.TemporaryHold, p.attributes.EventBasedHold = false, false // holds stay with the original
	}
	o, err := s.join(p, sources, sums{crc32c: from.CRC32C})
	if err != nil {
		return err
	}
	return reply(w, map[string]any{
		"kind": "storage#rewriteResponse", "done": true, "resource": o,
		"objectSize": fmt.Sprint(o.Size), "totalBytesRewritten": fmt.Sprint(o.Size),
	})
}

// destination reads what compose and rewrite say about the object they make.
func (s *Server) destination(r *http.Request) (publication, error) {
	p := publication{bucket: r.PathValue("bucket"), name: r.PathValue("object")}
	if err := checkName(p.name); err != nil {
		return p, err
	}
	var err error
	p.conditions, err = parseConditions(r.URL.Query(), "if")
	return p, err
}

// openSources opens all sources at one moment, if the destination may be made at all.
func (s *Server) openSources(p publication, refs []sourceRef) (opened []source, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucketOf(p.bucket)
	if err != nil {
		return nil, err
	}
	if err := p.conditions.check(b.objects[p.name]); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			closeSources(opened)
		}
	}()
	for _, ref := range refs {
		o, err := s.find(ref.bucket, ref.name, ref.generation)
		if err != nil {
			return opened, err
		}
		if err := ref.conditions.check(o); err != nil {
			return opened, err
		}
		f, err := s.openContent(o)
		if err != nil {
			return opened, err
		}
		opened = append(opened, source{o, f})
	}
	return opened, nil
}

// openContent opens an object's content; call with s.mu held.
func (s *Server) openContent(o *object) (*os.File, error) {
	f, err := os.Open(s.contentPath(o))
	if err != nil {
		return nil, fmt.Errorf("open content: %w", err)
	}
	return f, nil
}

func closeSources(sources []source) {
	for _, src := range sources {
		_ = src.content.Close() // it was only read
	}
}

// join copies the sources into a draft and publishes it. Like Cloud Storage, it combines the checksum from theirs.
func (s *Server) join(p publication, sources []source, declared sums) (*object, error) {
	d, err := s.newDraft()
	if err != nil {
		return nil, err
	}
	p.draft = d
	for _, src := range sources {
		if err := d.take(src); err != nil {
			d.discard()
			return nil, err
		}
	}
	if err := d.verify(declared); err != nil {
		d.discard()
		return nil, err
	}
	o, err := s.publish(p)
	if err != nil {
		d.discard()
	}
	return o, err
}

// take appends an object to the draft; holes in its file stay holes. Afterwards the MD5 is unknown, unless the object is
// all that the draft has.
func (d *draft) take(src source) error {
	sum, err := base64.StdEncoding.DecodeString(src.CRC32C)
	if err != nil || len(sum) != 4 {
		return fmt.Errorf("read checksum of %s: %q is none", src.Name, src.CRC32C)
	}
	f, err := os.OpenFile(d.path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open draft: %w", err)
	}
	defer func() { _ = f.Close() }() // bytes that were not written are noticed when they are read
	if err := copyData(f, d.size, src.content, src.Size); err != nil {
		return fmt.Errorf("copy object: %w", err)
	}
	d.md5, d.copied = nil, ""
	if d.size == 0 {
		d.copied = src.MD5
	}
	d.crc = crc32c.Combine(d.crc, binary.BigEndian.Uint32(sum), src.Size)
	d.size += src.Size
	return nil
}

// copyData copies size bytes of a file to a place in another one, which ends there.
func copyData(to *os.File, at int64, from *os.File, size int64) error {
	for done := int64(0); done < size; {
		first, err := unix.Seek(int(from.Fd()), done, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) || err == nil && first >= size {
			break
		}
		var end int64
		if err == nil {
			end, err = unix.Seek(int(from.Fd()), first, unix.SEEK_HOLE)
		}
		if err == nil {
			_, err = from.Seek(first, io.SeekStart)
		}
		if err == nil {
			_, err = to.Seek(at+first, io.SeekStart)
		}
		if err == nil {
			_, err = io.CopyN(to, from, min(end, size)-first)
		}
		if err != nil {
			return err
		}
		done = end
	}
	return to.Truncate(at + size)
}
