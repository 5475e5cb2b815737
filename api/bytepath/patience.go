package bytepath

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// How long bytes may stand still, and what is kept while they move.
const (
	// ReadPatience is how long an upload may stand still, and WritePatience how long a client may take for
	// one window of a download; both hold for a stall, however long the whole transfer takes.
	ReadPatience  = time.Minute
	WritePatience = 2 * time.Minute
	// LeaseTime is how long an upload may go unheard of before others may take it for lost.
	LeaseTime = time.Minute
	// CleanUpTime bounds what is done after a request, when nobody waits for it any more.
	CleanUpTime = 10 * time.Second
)

// ErrBody marks what went wrong between the client and us.
var ErrBody = errors.New("read request body")

// patientBody lets a slow client live and ends one that stands still.
type patientBody struct {
	body    io.Reader
	connect *http.ResponseController
	wait    time.Duration // how long it may stand still
	until   time.Time
}

// Patient returns the request's body with a deadline that rolls on while bytes arrive: it may stand still for wait, or
// for ReadPatience when that is 0.
func Patient(c *gin.Context, wait time.Duration) io.Reader {
	return &patientBody{body: c.Request.Body, connect: http.NewResponseController(c.Writer), wait: cmp.Or(wait, ReadPatience)}
}

// Read implements io.Reader.
func (p *patientBody) Read(b []byte) (int, error) {
	// now and then is often enough, and costs nothing on a fast link
	if now := time.Now(); p.until.Sub(now) < p.wait-p.wait/64 {
		p.until = now.Add(p.wait)
		_ = p.connect.SetReadDeadline(p.until) // test recorders have no connection
	}
	n, err := p.body.Read(b)
	switch {
	case errors.Is(err, io.EOF):
		_ = p.connect.SetReadDeadline(time.Time{}) // the client may wait for the answer as long as it takes
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrBody, err)
	}
	return n, err
}
