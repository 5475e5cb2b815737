package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// plain sends a source that may be read again in one request, and all of it again when that breaks. The key lets the
// broker know a repetition of an upload that it has already.
func (g *sending) plain(ctx context.Context) error {
	p := g.row.shared()
	for renewed := false; ; {
		err := g.plainOnce(ctx, g.s.section(0, g.s.size), g.s.size)
		if err == nil {
			return nil
		}
		renewed = forgive(err, renewed)
		if err := p.pause(ctx, err); err != nil {
			return err
		}
	}
}

// forgive lets a request that was refused for its token be sent once more, with another one.
func forgive(err error, before bool) (now bool) {
	var refused *Error
	if before || !errors.As(err, &refused) || !refused.newToken {
		return before
	}
	refused.Retryable = true
	return true
}

// plainOnce sends a body in one request; size is -1 when it is not known. Before the body goes out the broker is
// asked whether it wants it.
func (g *sending) plainOnce(ctx context.Context, from io.Reader, size int64) error {
	key := g.checkpoint.Key
	r, err := NewUploadFileRequestWithBody(g.b.API.Server, g.id, &UploadFileParams{IdempotencyKey: &key}, "application/octet-stream", http.NoBody)
	if err != nil {
		return err
	}
	g.prove(r)
	r.Header.Set("Expect", "100-continue")
	_, err = Decode[FileUploaded](g.carry(ctx, r, from, size))
	return err
}

// carry sends a request with a part of the file as its body. What did not arrive is taken off the progress again, and
// a connection on which nothing moves is given up.
func (g *sending) carry(ctx context.Context, r *http.Request, from io.Reader, size int64) (*http.Response, error) {
	if size >= 0 {
		from = &whole{Reader: from, left: size}
	}
	for renewed := false; ; renewed = true {
		moving, w, cancel := watched(ctx, g.b.stall)
		body := &outgoing{Reader: from, meter: g.meter, watch: w, clock: g.row.clock}
		sent := r.WithContext(moving)
		sent.Body, sent.ContentLength = io.NopCloser(body), size
		if size == 0 {
			sent.Body = http.NoBody
			w.next(answerTimeout)
		}
		response, err := g.b.once(sent)
		carried, unreadable := body.stop()
		if err != nil || response.StatusCode >= 400 {
			g.meter.add(-carried)
		}
		if err != nil {
			cancel()
			if unreadable != nil {
				return nil, fmt.Errorf("read file: %w", unreadable)
			}
			return nil, err
		}
		response.Body = &closing{ReadCloser: response.Body, then: cancel}
		if response.StatusCode != http.StatusUnauthorized || renewed || !g.b.renew(sent, response) {
			return response, nil
		}
		refused := refusal(operation(r), response)
		cancel()
		if carried > 0 || size < 0 { // the body is gone, or half of it
			refused.newToken = true
			return nil, refused
		}
	}
}

// uploadOnce sends a source that is read once: plain when it fits into memory, where it can be had again, else in
// pieces that are kept until the broker has them.
func (g *sending) uploadOnce(ctx context.Context) error {
	if g.o.Way == WayPlain {
		return g.plainOnce(ctx, g.hashed, -1)
	}
	head := make([]byte, smallFile)
	n, err := io.ReadFull(g.hashed, head)
	g.row.progressed()
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		g.s = FromReaderAt(bytes.NewReader(head[:n]), int64(n))
		return g.plain(ctx)
	case err != nil:
		return err
	}
	return g.tusStream(ctx, head)
}
