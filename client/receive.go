package client

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Incoming is a file on its way in. Read gives its bytes, over as many connections as it takes, and io.EOF only when
// every byte is there and right; a *ChecksumError otherwise. Nothing read is to be used before that.
type Incoming struct {
	ID       FileTransferID
	FileName string // as the sender chose it; SafeName makes it fit for a disk
	Size     int64  // bytes
	SHA256   string // of the file, as the broker declares it

	b       *Broker
	ctx     context.Context // io.Reader has no other place for it
	etag    string
	at      int64 // bytes read
	hash    hash.Hash
	meter   *meter
	row     *patience
	body    io.ReadCloser
	watch   *watch
	endBody context.CancelFunc
	rested  time.Time // when the reader stopped reading; zero while it reads
	failed  error
}

// ReceiveOptions say how to receive.
type ReceiveOptions struct {
	// Progress, when set, is called with how far it has come: often, and one call at a time.
	Progress func(Progress)
}

// Receive begins to download a transfer's file; ctx holds for the reading too. After a break it asks for the
// rest of the file (Range, If-Range). The caller closes it, and confirms with Confirm when it has seen io.EOF.
func (b *Broker) Receive(ctx context.Context, id FileTransferID, o ReceiveOptions) (*Incoming, error) {
	in := &Incoming{ID: id, b: b, ctx: ctx, hash: sha256.New(), row: b.retry.begin()}
	if err := in.describe(nil); err != nil {
		return nil, fmt.Errorf("receive transfer %s: %w", id, err)
	}
	in.meter, in.rested = newMeter(o.Progress, PhaseDownload, id, in.Size), time.Now()
	return in, nil
}

// describe asks what the file is, and what is expected of it.
func (in *Incoming) describe(headers http.Header) error {
	if headers == nil {
		response, err := in.b.API.HeadFile(in.ctx, in.ID, nil)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK { // an answer to HEAD does not say why: the state does, or GET
			_ = response.Body.Close()
			return in.why(response)
		}
		defer func() { _ = response.Body.Close() }()
		headers = response.Header
	}
	in.etag = headers.Get("ETag")
	size, err := strconv.ParseInt(headers.Get("Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return errors.New("the broker does not say how large the file is")
	}
	in.Size = size
	if in.SHA256, err = readDigest(headers.Get("Repr-Digest")); err != nil {
		return err
	}
	if _, parameters, err := mime.ParseMediaType(headers.Get("Content-Disposition")); err == nil {
		in.FileName = parameters["filename"]
	}
	return nil
}

// why asks again with a method whose refusal says why. Should the file be there after all, none of it is read.
func (in *Incoming) why(head *http.Response) error {
	first := "bytes=0-0"
	_, err := Decode[struct{}](in.b.API.DownloadFile(in.ctx, in.ID, &DownloadFileParams{Range: &first}))
	if err == nil {
		err = refusal(operation(head.Request), head)
	}
	return err
}

// readDigest reads the SHA-256 of RFC 9530's field.
func readDigest(field string) (string, error) {
	for member := range strings.SplitSeq(field, ",") {
		value, ours := strings.CutPrefix(strings.TrimSpace(member), "sha-256=:")
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(value, ":"))
		if ours && err == nil && len(raw) == sha256.Size {
			return hex.EncodeToString(raw), nil
		}
	}
	return "", errors.New("the broker does not say which SHA-256 the file has")
}

// Read implements io.Reader.
func (in *Incoming) Read(p []byte) (int, error) {
	if !in.rested.IsZero() { // the connection did not fail while the reader did something else
		in.row.clock.forgive(time.Since(in.rested))
	}
	defer func() { in.rested = time.Now() }()
	for in.failed == nil {
		if in.at >= in.Size {
			in.failed = in.verify()
			break
		}
		if in.ctx.Err() != nil { // what has arrived already would be read on, however much that is
			in.failed = fmt.Errorf("receive transfer %s: %w", in.ID, context.Cause(in.ctx))
			break
		}
		n, err := in.readSome(p)
		if n > 0 || len(p) == 0 {
			return n, nil // the next Read finds out why there is no more
		}
		if err := in.row.pause(in.ctx, err); err != nil {
			in.failed = fmt.Errorf("receive transfer %s: %w", in.ID, err)
		}
	}
	return 0, in.failed
}

func (in *Incoming) readSome(p []byte) (int, error) {
	if in.body == nil {
		if err := in.open(); err != nil {
			return 0, err
		}
	}
	in.watch.moved()
	n, err := in.body.Read(p[:min(int64(len(p)), in.Size-in.at)])
	in.watch.rest()
	if n > 0 {
		in.hash.Write(p[:n])
		in.at += int64(n)
		in.meter.add(int64(n))
		in.row.progressed()
	}
	if err != nil {
		in.hangUp()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return n, broken(in.ctx, "GET file", in.stalled(err))
	}
	return n, nil
}

// stalled distinguishes a connection that we gave up from one that broke.
func (in *Incoming) stalled(err error) error {
	if in.ctx.Err() == nil && errors.Is(err, context.Canceled) {
		return errStalled
	}
	return err
}

// open asks for the file from where we are.
func (in *Incoming) open() error {
	params := &DownloadFileParams{}
	if in.at > 0 {
		rest := fmt.Sprintf("bytes=%d-", in.at)
		params.Range, params.IfRange = &rest, &in.etag
	}
	ctx, w, cancel := watched(in.ctx, in.b.stall)
	response, err := in.b.API.DownloadFile(ctx, in.ID, params)
	if err == nil && response.StatusCode >= 400 {
		_, err = Decode[struct{}](response, nil)
	}
	if err == nil {
		err = in.expected(response)
	}
	if err != nil {
		cancel()
		return err
	}
	w.rest()
	in.body, in.watch, in.endBody = response.Body, w, cancel
	return nil
}

// expected checks that an answer goes on where we are, in the file that we know.
func (in *Incoming) expected(response *http.Response) error {
	want, at := http.StatusOK, ""
	if in.at > 0 {
		want, at = http.StatusPartialContent, fmt.Sprintf("bytes %d-%d/%d", in.at, in.Size-1, in.Size)
	}
	if response.StatusCode == want && response.Header.Get("ETag") == in.etag && response.Header.Get("Content-Range") == at {
		return nil
	}
	_ = response.Body.Close()
	return fmt.Errorf("the file is another one than before: %d %s, ETag %s", response.StatusCode, response.Header.Get("Content-Range"), response.Header.Get("ETag"))
}

// verify is what Read answers at the end.
func (in *Incoming) verify() error {
	in.hangUp()
	if sum := hexSum(in.hash); sum != in.SHA256 {
		return &ChecksumError{Declared: in.SHA256, Actual: sum, DeclaredSize: in.Size, ActualSize: in.at}
	}
	return io.EOF
}

func (in *Incoming) hangUp() {
	if in.body == nil {
		return
	}
	_ = in.body.Close() // it was only read
	in.endBody()
	in.body = nil
}

// Close ends the download. Read, not Close, reports whether the file is whole.
func (in *Incoming) Close() error {
	in.hangUp()
	if in.failed == nil {
		in.failed = io.ErrClosedPipe
	}
	return nil
}

// resume goes on behind what an earlier run has, which is read again for the checksum.
func (in *Incoming) resume(have io.Reader, tell func(Progress)) error {
	m := newMeter(tell, PhaseChecksum, in.ID, in.Size)
	n, err := checksum(in.ctx, in.hash, io.LimitReader(have, in.Size), m)
	if err != nil {
		return err
	}
	in.at = n
	in.meter.resumed(n)
	in.row = in.b.retry.begin()
	return nil
}
