package gcsemu

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
)

// insertion is what a client says about an object before its content or together with it.
type insertion struct {
	attributes
	Name   string `json:"name"`
	CRC32C string `json:"crc32c"`
	MD5    string `json:"md5Hash"`

	bucket     string
	conditions conditions
}

// upload hands a request to its kind of upload.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if id := q.Get("upload_id"); id != "" {
		return s.resume(w, r, id)
	}
	switch q.Get("uploadType") {
	case "media":
		return s.media(w, r)
	case "multipart":
		return s.multipart(w, r)
	case "resumable":
		return s.start(w, r)
	}
	return invalid("uploadType is none of media, multipart and resumable")
}

// media takes an upload whose body is the content and nothing else.
func (s *Server) media(w http.ResponseWriter, r *http.Request) error {
	in, err := s.insertion(r, nil)
	if err != nil {
		return err
	}
	in.ContentType = r.Header.Get("Content-Type")
	return s.insert(w, r, in, s.body(r), r.ContentLength)
}

// multipart takes an upload whose body is a description and the content.
func (s *Server) multipart(w http.ResponseWriter, r *http.Request) error {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return invalid("Content-Type is not multipart with a boundary")
	}
	body := &tailReader{from: s.body(r)}
	parts := multipart.NewReader(body, params["boundary"])
	description, err := parts.NextRawPart()
	if err != nil {
		return invalid("read description: %v", err)
	}
	in, err := s.insertion(r, description)
	if err != nil {
		return err
	}
	content, err := parts.NextRawPart()
	if err != nil {
		return invalid("read content: %v", err)
	}
	if in.ContentType == "" {
		in.ContentType = content.Header.Get("Content-Type")
	}
	return s.insert(w, r, in, &lastPart{content, parts, body, params["boundary"]}, -1)
}

// lastPart is a part that ends well only if the closing boundary follows it. Package mime/multipart would also take a
// body that was cut after a plain boundary for a whole one.
type lastPart struct {
	*multipart.Part
	parts    *multipart.Reader
	body     *tailReader
	boundary string
}

// Read reads the part and, at its end, the end of the body.
func (p *lastPart) Read(b []byte) (int, error) {
	n, err := p.Part.Read(b)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	switch _, err = p.parts.NextRawPart(); {
	case err == nil:
		return n, invalid("the body has more than two parts")
	case errors.Is(err, io.EOF) && p.body.endsWith("--"+p.boundary+"--"):
		return n, io.EOF
	}
	return n, io.ErrUnexpectedEOF
}

// tailReader remembers the last bytes that were read: enough for a boundary, which has at most 70 characters.
type tailReader struct {
	from io.Reader
	tail []byte
}

const tailSize = 128

// Read reads and remembers.
func (t *tailReader) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	t.tail = append(t.tail, p[max(0, n-tailSize):n]...)
	if drop := len(t.tail) - tailSize; drop > 0 {
		t.tail = t.tail[:copy(t.tail, t.tail[drop:])]
	}
	return n, err
}

func (t *tailReader) endsWith(end string) bool {
	return bytes.HasSuffix(bytes.TrimRight(t.tail, "\r\n"), []byte(end))
}

// insertion reads what is known before the content, and refuses early what would be refused at the end.
func (s *Server) insertion(r *http.Request, description io.Reader) (insertion, error) {
	q := r.URL.Query()
	var in insertion
	if description != nil {
		if err := readJSON(description, &in); err != nil {
			return in, err
		}
	}
	if q.Has("name") {
		in.Name = q.Get("name")
	}
	if q.Has("kmsKeyName") {
		in.KMSKeyName = q.Get("kmsKeyName")
	}
	if err := checkName(in.Name); err != nil {
		return in, err
	}
	var err error
	if in.conditions, err = parseConditions(q, "if"); err != nil {
		return in, err
	}
	in.bucket = r.PathValue("bucket")
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucketOf(in.bucket)
	if err != nil {
		return in, err
	}
	return in, in.conditions.check(b.objects[in.Name])
}

func (in insertion) declared() sums { return sums{crc32c: in.CRC32C, md5: in.MD5} }

// insert takes the content of an upload in one request and publishes it.
func (s *Server) insert(w http.ResponseWriter, r *http.Request, in insertion, content io.Reader, size int64) error {
	d, err := s.newDraft()
	if err != nil {
		return err
	}
	if err := s.receive(r, d, content, size); err != nil {
		d.discard()
		return err
	}
	o, err := s.commit(in, d, headerSums(r.Header))
	if err != nil {
		return err
	}
	return reply(w, o)
}

// commit verifies a whole draft and publishes it, or discards it.
func (s *Server) commit(in insertion, d *draft, declared sums) (*object, error) {
	if err := d.verify(in.declared(), declared); err != nil {
		d.discard()
		return nil, err
	}
	o, err := s.publish(publication{
		bucket: in.bucket, name: in.Name, attributes: in.attributes, conditions: in.conditions, draft: d,
	})
	if err != nil {
		d.discard()
	}
	return o, err
}
