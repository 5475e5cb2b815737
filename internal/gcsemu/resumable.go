package gcsemu

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// sessionLife is how long Cloud Storage keeps an upload session.
	sessionLife = 7 * 24 * time.Hour
	// replayLife is how long the outcome of an ended session is kept for a client that lost the answer.
	replayLife = time.Hour
)

// session is one resumable upload. It ends once, with an object or with the error that refused it, and gives every
// later request that same answer.
type session struct {
	in     insertion
	length int64 // declared at the start; -1 if not

	mu      sync.Mutex // held while a chunk arrives: chunks of one session follow each other
	draft   *draft
	touched time.Time
	ended   bool
	object  *object
	err     error
}

// start opens a session. Preconditions are checked here and again at the end.
func (s *Server) start(w http.ResponseWriter, r *http.Request) error {
	in, err := s.insertion(r, r.Body)
	if err != nil {
		return err
	}
	if in.ContentType == "" {
		in.ContentType = r.Header.Get("X-Upload-Content-Type")
	}
	u := &session{in: in, length: -1, touched: s.now()}
	if v := r.Header.Get("X-Upload-Content-Length"); v != "" {
		if u.length, err = strconv.ParseInt(v, 10, 64); err != nil || u.length < 0 {
			return invalid("X-Upload-Content-Length is not a length")
		}
	}
	if u.draft, err = s.newDraft(); err != nil {
		return err
	}
	id := rand.Text()
	s.sweep()
	s.mu.Lock()
	s.sessions[id] = u
	s.mu.Unlock()

	at := *r.URL
	at.Scheme, at.Host = "http", r.Host
	if r.TLS != nil {
		at.Scheme = "https"
	}
	at.RawQuery = "uploadType=resumable&upload_id=" + id
	w.Header().Set("X-Guploader-Uploadid", id)
	w.Header().Set("Location", at.String())
	w.WriteHeader(http.StatusOK)
	return nil
}

// sweep forgets sessions that nobody will come back to. A session that is receiving a chunk stays.
func (s *Server) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, u := range s.sessions {
		if !u.mu.TryLock() {
			continue
		}
		if u.stale(s.now()) {
			u.end(nil, noSession())
			delete(s.sessions, id)
		}
		u.mu.Unlock()
	}
}

func (u *session) stale(now time.Time) bool {
	idle := now.Sub(u.touched)
	return idle > sessionLife || (u.ended && idle > replayLife)
}

// end settles the session's outcome; call with u.mu held. A draft that was not published is discarded.
func (u *session) end(o *object, err error) {
	if u.ended {
		return
	}
	u.ended, u.object, u.err = true, o, err
	if o == nil {
		u.draft.discard()
	}
	u.draft = nil
}

func (u *session) outcome(w http.ResponseWriter) error {
	if u.err != nil {
		return u.err
	}
	return reply(w, u.object)
}

func noSession() error { return notFound("no such upload session") }

func (s *Server) session(id, bucket string) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.sessions[id]
	if u == nil || u.in.bucket != bucket {
		return nil, noSession()
	}
	return u, nil
}

// cancel ends a session without an object.
func (s *Server) cancel(_ http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("upload_id")
	u, err := s.session(id, r.PathValue("bucket"))
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end(nil, noSession())
	s.mu.Lock()
	delete(s.sessions, id)
	s.mu.Unlock()
	return &apiError{statusCancelled, "cancelled", "the upload was cancelled"}
}

// resume takes one request of a session: a chunk, the last chunk, or a question about the progress.
func (s *Server) resume(w http.ResponseWriter, r *http.Request, id string) error {
	u, err := s.session(id, r.PathValue("bucket"))
	if err != nil {
		return err
	}
	c, err := parseChunk(r)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.touched = s.now()
	if u.ended {
		return u.outcome(w)
	}
	if c.question(u.draft.size) {
		return u.progress(w, r)
	}
	if err := u.admit(c); err != nil {
		return err
	}
	if err := s.takeChunk(r, u, c); err != nil {
		return err
	}
	u.touched = s.now()
	if !c.last {
		return u.progress(w, r)
	}
	u.end(s.commit(u.in, u.draft, headerSums(r.Header)))
	return u.outcome(w)
}

// admit refuses a chunk that does not fit what was declared or what has arrived.
func (u *session) admit(c chunk) error {
	end, known := c.start+c.length, c.length >= 0
	switch {
	case c.start > u.draft.size:
		return &apiError{http.StatusServiceUnavailable, "backendError", "the chunk leaves a gap"}
	case c.last && known && end < u.draft.size:
		return invalid("the upload is longer than its last chunk says")
	case u.length >= 0 && known && (end > u.length || (c.last && end != u.length)):
		return invalid("the upload does not have the declared length of %d bytes", u.length)
	}
	return nil
}

// takeChunk appends the new bytes of a chunk. It skips bytes that are here already, so a chunk may be sent again.
func (s *Server) takeChunk(r *http.Request, u *session, c chunk) error {
	body, known := s.body(r), u.draft.size-c.start
	if c.length >= 0 {
		known = min(known, c.length)
	}
	if err := skip(body, known); err != nil {
		return err
	}
	want := c.length
	if want >= 0 {
		want -= known
	}
	return s.receive(r, u.draft, body, want)
}

// progress answers with how many bytes are kept.
func (u *session) progress(w http.ResponseWriter, r *http.Request) error {
	if u.draft.size > 0 {
		w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", u.draft.size-1))
	}
	status := http.StatusPermanentRedirect
	if r.Header.Get("X-Guploader-No-308") != "" {
		// Since RFC 7238 status 308 means something else; clients that know this ask for another sign.
		w.Header().Set("X-Http-Status-Code-Override", "308")
		status = http.StatusOK
	}
	w.WriteHeader(status)
	return nil
}
