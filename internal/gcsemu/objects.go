package gcsemu

import (
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
)

// lookup finds the object a request names and checks the request's preconditions; call with s.mu held.
func (s *Server) lookup(r *http.Request) (*object, error) {
	generation, err := pinned(r.URL.Query(), "generation")
	if err != nil {
		return nil, err
	}
	cs, err := readConditions(r)
	if err != nil {
		return nil, err
	}
	o, err := s.find(r.PathValue("bucket"), r.PathValue("object"), generation)
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return o, cs.checkRead(o)
	}
	return o, cs.check(o)
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Get("alt") == "media" {
		return s.download(w, r)
	}
	s.mu.Lock()
	o, err := s.lookup(r)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return reply(w, o)
}

func (s *Server) delete(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.lookup(r)
	if err != nil {
		return err
	}
	if err := o.held(); err != nil {
		return err
	}
	if err := s.erase(o); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// patch changes the attributes that the body names.
func (s *Server) patch(w http.ResponseWriter, r *http.Request) error {
	return s.update(w, r, func(o *object) attributes { return o.attributes })
}

// replace sets all attributes; those that the body does not name are cleared.
func (s *Server) replace(w http.ResponseWriter, r *http.Request) error {
	return s.update(w, r, func(o *object) attributes { return attributes{StorageClass: o.StorageClass} })
}

func (s *Server) update(w http.ResponseWriter, r *http.Request, from func(*object) attributes) error {
	patch := map[string]any{}
	if err := readJSON(r.Body, &patch); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.lookup(r)
	if err != nil {
		return err
	}
	o := *old
	if o.attributes, err = from(old).merge(patch); err != nil {
		return err
	}
	o.Metageneration++
	o.Updated = s.now().UTC()
	o.Etag = o.etag()
	if err := s.save(&o); err != nil {
		return err
	}
	s.buckets[o.Bucket].objects[o.Name] = &o
	return reply(w, &o)
}

// open finds an object and opens its content in one step, so that no delete comes in between.
func (s *Server) open(r *http.Request) (*object, *os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.lookup(r)
	if err != nil {
		return nil, nil, err
	}
	f, err := s.openContent(o)
	return o, f, err
}

// download serves content: whole, in ranges, or only the header.
func (s *Server) download(w http.ResponseWriter, r *http.Request) error {
	o, f, err := s.open(r)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	describe(w.Header(), o)
	http.ServeContent(w, r, "", o.Updated, f)
	return nil
}

func describe(h http.Header, o *object) {
	for name, value := range map[string]string{
		"Content-Type":                   o.ContentType,
		"Content-Disposition":            o.ContentDisposition,
		"Content-Language":               o.ContentLanguage,
		"Content-Encoding":               o.ContentEncoding,
		"Cache-Control":                  o.CacheControl,
		"X-Goog-Generation":              strconv.FormatInt(o.Generation, 10),
		"X-Goog-Metageneration":          strconv.FormatInt(o.Metageneration, 10),
		"X-Goog-Stored-Content-Length":   strconv.FormatInt(o.Size, 10),
		"X-Goog-Stored-Content-Encoding": "identity",
		"X-Goog-Storage-Class":           o.StorageClass,
		"Etag":                           strconv.Quote(o.Etag),
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	if o.ContentEncoding != "" {
		h.Set("X-Goog-Stored-Content-Encoding", o.ContentEncoding)
	}
	if o.ContentType == "" {
		h.Set("Content-Type", "application/octet-stream") // or it would be guessed from the content
	}
	h.Add("X-Goog-Hash", "crc32c="+o.CRC32C)
	if o.MD5 != "" {
		h.Add("X-Goog-Hash", "md5="+o.MD5)
	}
	for k, v := range o.Metadata {
		h.Set("X-Goog-Meta-"+k, v)
	}
}

// maxPage is how many objects one page of a list holds at most.
const maxPage = 1000

// list shows objects by name. Its page token is the last name of the page before.
func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	for _, name := range []string{"delimiter", "matchGlob", "filter"} {
		if q.Get(name) != "" {
			return invalid("%s is not emulated", name)
		}
	}
	for _, name := range []string{"versions", "softDeleted"} {
		if q.Get(name) == "true" {
			return invalid("%s is not emulated", name)
		}
	}
	size := maxPage
	if v := q.Get("maxResults"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return invalid("maxResults is not a number of objects")
		}
		if n > 0 {
			size = min(n, maxPage)
		}
	}
	prefix, after, from, to := q.Get("prefix"), q.Get("pageToken"), q.Get("startOffset"), q.Get("endOffset")
	items, err := s.matching(r.PathValue("bucket"), func(name string) bool {
		return strings.HasPrefix(name, prefix) && name > after && name >= from && (to == "" || name < to)
	})
	if err != nil {
		return err
	}
	page := map[string]any{"kind": "storage#objects"}
	if len(items) > size {
		items = items[:size]
		page["nextPageToken"] = items[size-1].Name
	}
	page["items"] = items
	return reply(w, page)
}

// matching returns the bucket's objects that wanted accepts, by name.
func (s *Server) matching(bucket string, wanted func(name string) bool) ([]*object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucketOf(bucket)
	if err != nil {
		return nil, err
	}
	items := []*object{}
	for name, o := range b.objects {
		if wanted(name) {
			items = append(items, o)
		}
	}
	slices.SortFunc(items, func(a, b *object) int { return strings.Compare(a.Name, b.Name) })
	return items, nil
}
