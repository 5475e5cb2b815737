package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/formidling/formidling/models"
)

// organisation is one organisation's system, speaking plain HTTP as any client would.
type organisation struct {
	party       models.Party
	base, token string
	http        *http.Client // nil: wire
}

// wire is the HTTP client of all measurements, of the peers too. The buffers are large, so that the
// client leaves as much of the cores to the servers as it can.
var wire = &http.Client{Transport: wireTransport()}

func wireTransport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true, WriteBufferSize: 256 << 10, ReadBufferSize: 64 << 10}
}

func (o *organisation) client() *http.Client {
	if o.http != nil {
		return o.http
	}
	return wire
}

// call sends JSON and reads JSON.
func (o *organisation) call(ctx context.Context, method, path string, body, out any) error {
	var sent io.Reader
	size := int64(0)
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent, size = bytes.NewReader(raw), int64(len(raw))
	}
	response, err := o.do(ctx, method, path, "application/json", sent, size)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if out != nil {
		return json.NewDecoder(response.Body).Decode(out)
	}
	_, err = io.Copy(io.Discard, response.Body) // so that the connection can be used again
	return err
}

// do sends a request; an answer that is no success is an error that says what the broker said.
func (o *organisation) do(ctx context.Context, method, path, kind string, body io.Reader, size int64) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, o.base+path, body)
	if err != nil {
		return nil, err
	}
	if o.token != "" {
		r.Header.Set("Authorization", "Bearer "+o.token)
	}
	if body != nil {
		r.Header.Set("Content-Type", kind)
		r.ContentLength = size
	}
	return send(o.client(), r)
}

func send(by *http.Client, r *http.Request) (*http.Response, error) {
	response, err := by.Do(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		defer func() { _ = response.Body.Close() }()
		said, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
		return nil, fmt.Errorf("%s %s: %s: %s", r.Method, r.URL.Path, response.Status, said)
	}
	return response, nil
}

// allow gives an organisation rights in a service of the caller.
func (o *organisation) allow(ctx context.Context, service string, to models.Party, send, receive bool) error {
	right := map[string]any{"send": send, "receive": receive}
	return o.call(ctx, http.MethodPut, "/resource/"+service+"/grants/"+string(to), right, nil)
}

// initialize starts a transfer and returns its id.
func (o *organisation) initialize(ctx context.Context, service string, to ...models.Party) (string, error) {
	var made struct{ FileTransferID string }
	err := o.call(ctx, http.MethodPost, "/filetransfer", map[string]any{
		"resourceId": service, "fileName": "bench.bin", "sendersFileTransferReference": "bench",
		"sender": o.party, "recipients": to,
	}, &made)
	return made.FileTransferID, err
}

// upload sends the bytes of a transfer and returns when they are published.
func (o *organisation) upload(ctx context.Context, id string, body io.Reader, size int64) error {
	response, err := o.do(ctx, http.MethodPost, "/filetransfer/"+id+"/upload", "application/octet-stream", body, size)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct{ FileTransferStatus string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.FileTransferStatus != models.TransferPublished.String() {
		return fmt.Errorf("upload %s: it is %s", id, answer.FileTransferStatus)
	}
	return nil
}

// download reads the file of a transfer, and fails when its size is another.
func (o *organisation) download(ctx context.Context, id string, size int64) error {
	response, err := o.do(ctx, http.MethodGet, "/filetransfer/"+id+"/download", "", nil, 0)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	return drain(response.Body, size)
}

// confirm says that the caller has the file.
func (o *organisation) confirm(ctx context.Context, id string) error {
	return o.call(ctx, http.MethodPost, "/filetransfer/"+id+"/confirmdownload", nil, nil)
}

// cancel takes a transfer back, and with it its bytes.
func (o *organisation) cancel(ctx context.Context, id string) error {
	return o.call(ctx, http.MethodPost, "/filetransfer/"+id+"/cancel", nil, nil)
}

// drain reads a body to its end with a large buffer.
func drain(from io.Reader, size int64) error {
	n, err := io.CopyBuffer(onlyWriter{io.Discard}, from, make([]byte, 1<<20))
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes came, not %d", n, size)
	}
	return err
}

// onlyWriter hides ReadFrom, which would bring a small buffer of its own.
type onlyWriter struct{ io.Writer }

// noise is what uploads consist of: bytes that do not compress, made once.
var noise = func() []byte {
	b := make([]byte, 4<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}()

// body is noise over and over, up to a number of bytes. It costs one copy.
type body struct {
	left int64
	at   int
	pace *pace // nil: as fast as it goes

	sparse bool // zeros instead of noise
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if b.pace != nil {
		p = p[:min(len(p), b.pace.chunk)]
		b.pace.wait()
	}
	p = p[:min(int64(len(p)), b.left)]
	if b.sparse {
		clear(p)
		b.left -= int64(len(p))
		return len(p), nil
	}
	n := copy(p, noise[b.at:])
	b.at = (b.at + n) % len(noise)
	b.left -= int64(n)
	return n, nil
}

// pace lets one chunk through in each interval, as a thin link would.
type pace struct {
	chunk int
	every time.Duration
	next  time.Time
}

func (p *pace) wait() {
	if now := time.Now(); p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(p.every)
	time.Sleep(time.Until(p.next))
}
