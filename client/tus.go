package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Pieces that one PATCH carries, in bytes. The broker acknowledges each, so a break costs no more than one of them
// even where it keeps nothing of a broken request. They grow while each takes less than briefPiece, and become smaller
// when one takes more than longPiece, or breaks.
const (
	firstPiece    = 16 << 20
	largestPiece  = 256 << 20
	smallestPiece = 1 << 20

	briefPiece = 5 * time.Second
	longPiece  = 20 * time.Second
)

// settling is how long a broker is given to store what a broken connection brought.
const settling = 300 * time.Millisecond

// errNoTus says that the broker does not take uploads in pieces.
var errNoTus = errors.New("the broker takes no uploads in pieces")

// tusUpload is one upload by the tus protocol 1.0.0: the whole file, or a part.
type tusUpload struct {
	g        *sending
	url      string
	from, to int64 // bytes [from, to) of the file
	piece    int64
	renewed  bool  // the token, since the last piece that arrived
	counted  int64 // bytes of it that the meter knows
}

// tusPath is where the transfer's tus upload is.
func (g *sending) tusPath() string {
	return g.b.base.String() + "/broker/api/v1/filetransfer/upload/tus/" + g.id.String()
}

// tus sends a source that may be read again in pieces, in parallel parts when that was asked for.
func (g *sending) tus(ctx context.Context) error {
	if len(g.checkpoint.Parts) > 0 || g.o.Parts > 1 && g.s.size >= int64(g.o.Parts) {
		return g.tusParallel(ctx)
	}
	u := &tusUpload{g: g, url: g.tusPath(), to: g.s.size, piece: firstPiece}
	if err := u.create(ctx, map[string]string{"Upload-Length": strconv.FormatInt(u.to, 10)}); err != nil {
		return err
	}
	return u.send(ctx)
}

// create makes the upload, unless it is there.
func (u *tusUpload) create(ctx context.Context, headers map[string]string) error {
	r, err := tusRequest(ctx, http.MethodPost, u.g.tusPath())
	if err != nil {
		return err
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	if headers["Upload-Concat"] == "" {
		u.g.prove(r)
	}
	response, err := u.g.request(r)
	var refused *Error
	switch {
	case errors.As(err, &refused) && lacksTus(refused):
		return fmt.Errorf("%w: %w", errNoTus, err)
	case errors.As(err, &refused) && refused.Status == http.StatusConflict && u.url != "":
		return nil // it was made before; HEAD tells how far it is, or that the transfer wants no more
	case err != nil:
		return err
	case u.url == "":
		u.url, err = sameHost(r.URL, response.Header.Get("Location"))
	}
	return err
}

// lacksTus tells whether there is nothing at the place of tus uploads, which is not to say that there is no transfer.
func lacksTus(refused *Error) bool {
	switch refused.Status {
	case http.StatusNotFound:
		return refused.Code != codeNoTransfer
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

// request sends a request without a body until it is answered, and closes the answer. What tus asks for in this way is
// safe to repeat: an upload that was made twice for one part is never finished, and expires.
func (g *sending) request(r *http.Request) (*http.Response, error) {
	r.Header.Set("Tus-Resumable", tusVersion)
	r.Header.Set(repeatable, "yes")
	response, err := g.b.do(r, g.row.shared())
	if err != nil {
		return nil, err
	}
	_, err = Decode[struct{}](response, nil)
	return response, err
}

const tusVersion = "1.0.0"

const codeNoTransfer = "BRO-00001"

// sameHost resolves the place of an upload: a broker that names another host gets no credential sent there.
func sameHost(base *url.URL, location string) (string, error) {
	place, err := base.Parse(location)
	if err != nil || location == "" || place.Host != base.Host || place.Scheme != base.Scheme {
		return "", fmt.Errorf("the broker made an upload at %q, which is not a place of its own", location)
	}
	return place.String(), nil
}

func tusRequest(ctx context.Context, method, at string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, at, http.NoBody)
	if err == nil {
		r.Header.Set("Tus-Resumable", tusVersion)
	}
	return r, err
}

// send carries all bytes that the broker does not have.
func (u *tusUpload) send(ctx context.Context) error {
	if u.g.o.Resume != nil { // the broker may be about to store what came over the connection of the run before
		if err := sleep(ctx, settling); err != nil {
			return err
		}
	}
	offset, err := u.offset(ctx)
	if err != nil {
		return err
	}
	u.g.meter.resumed(offset)
	u.counted = offset
	return u.pieces(ctx, offset, func(at int64) (io.Reader, int64, error) {
		to := min(u.to, u.from+at+u.piece)
		return u.g.s.section(u.from+at, to), to - u.from - at, nil
	})
}

// pieces sends what next gives for an offset, until the upload is complete. After a failure the broker tells how much
// it has, and next is asked for that offset.
func (u *tusUpload) pieces(ctx context.Context, offset int64, next func(at int64) (io.Reader, int64, error)) error {
	p := u.g.row.shared()
	for confirmed := false; !confirmed || offset < u.to-u.from; {
		from, size, err := next(offset)
		if err != nil {
			return err
		}
		began := time.Now()
		reached, err := u.patch(ctx, offset, from, size)
		if err == nil {
			u.resize(time.Since(began))
		}
		confirmed = err == nil // else ask once more, even when all bytes have arrived: their completion may be lost
		if err != nil {
			if reached, err = u.recover(ctx, p, err); err != nil {
				return err
			}
		}
		u.settleMeter(reached)
		if reached > offset {
			p.progressed()
			u.renewed = false
		}
		offset = reached
	}
	return nil
}

// resize makes the next piece take some seconds, after one that took this long.
func (u *tusUpload) resize(took time.Duration) {
	switch {
	case took < briefPiece:
		u.piece = min(largestPiece, u.piece*2)
	case took > longPiece:
		u.piece = max(smallestPiece, u.piece/2)
	}
}

// recover waits after a failed piece and asks how far the upload is.
func (u *tusUpload) recover(ctx context.Context, p *patience, failure error) (int64, error) {
	var refused *Error
	if errors.As(failure, &refused) && refused.Status == http.StatusConflict {
		if u.g.arrived(ctx) {
			return 0, failure
		}
		refused.Retryable = true // the broker has another offset than ours
	}
	u.renewed = forgive(failure, u.renewed)
	if err := p.pause(ctx, failure); err != nil {
		return 0, err
	}
	if refused == nil { // it broke
		u.piece = max(smallestPiece, u.piece/2)
	}
	return u.offset(ctx)
}

// settleMeter makes the progress what the broker has.
func (u *tusUpload) settleMeter(reached int64) {
	if reached != u.counted {
		u.g.meter.add(reached - u.counted)
		u.counted = reached
	}
}

// offset asks how many bytes the broker has for certain.
func (u *tusUpload) offset(ctx context.Context) (int64, error) {
	r, err := tusRequest(ctx, http.MethodHead, u.url)
	if err != nil {
		return 0, err
	}
	response, err := u.g.request(r)
	if err != nil {
		return 0, err
	}
	return readOffset(response, u.to-u.from)
}

func readOffset(response *http.Response, most int64) (int64, error) {
	n, err := strconv.ParseInt(response.Header.Get("Upload-Offset"), 10, 64)
	if err != nil || n < 0 || most >= 0 && n > most {
		return 0, fmt.Errorf("the broker has an offset of %q in a file of %d bytes", response.Header.Get("Upload-Offset"), most)
	}
	return n, nil
}

// patch sends one piece and returns how far the upload is then.
func (u *tusUpload) patch(ctx context.Context, at int64, from io.Reader, size int64) (int64, error) {
	r, err := tusRequest(ctx, http.MethodPatch, u.url)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/offset+octet-stream")
	r.Header.Set("Upload-Offset", strconv.FormatInt(at, 10))
	r.Header.Set("Expect", "100-continue")
	response, err := u.g.carry(ctx, r, from, size)
	if err != nil {
		return 0, err
	}
	if _, err := Decode[struct{}](response, nil); err != nil {
		return 0, err
	}
	u.counted += size // carry has counted them already
	return readOffset(response, u.to-u.from)
}
