package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// tusStream sends a source that is read once. Each piece stays in memory until the broker has it, so a connection
// that breaks costs nothing but that piece again.
func (g *sending) tusStream(ctx context.Context, head []byte) error {
	u := &tusUpload{g: g, url: g.tusPath(), to: unknownLength}
	if err := u.create(ctx, map[string]string{"Upload-Defer-Length": "1"}); err != nil {
		if g.o.Way == WayAuto && errors.Is(err, errNoTus) { // else it would travel in a way that survives no break, for a reason that passes
			return g.plainOnce(ctx, io.MultiReader(bytes.NewReader(head), g.hashed), -1)
		}
		return err
	}
	s := &streamed{source: g.hashed, piece: head}
	if _, err := s.source.Peek(1); errors.Is(err, io.EOF) {
		s.last = true
	}
	err := u.stream(ctx, s)
	return g.despite(ctx, err)
}

// unknownLength stands for a length that is not known yet.
const unknownLength = 1<<63 - 1

// streamed is a source that is read once, and the piece of it that the broker may not have yet.
type streamed struct {
	source *hashing
	start  int64 // of piece, in the file
	piece  []byte
	last   bool // nothing follows piece
}

// next reads the piece after this one.
func (s *streamed) next() error {
	s.start += int64(len(s.piece))
	n, err := io.ReadFull(s.source, s.piece)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	s.piece = s.piece[:n]
	_, err = s.source.Peek(1)
	s.last = errors.Is(err, io.EOF)
	if !s.last && err != nil {
		return err
	}
	return nil
}

// stream sends piece after piece, and with the last one the length.
func (u *tusUpload) stream(ctx context.Context, s *streamed) error {
	p := u.g.row.shared()
	for {
		if err := u.streamPiece(ctx, p, s); err != nil {
			return err
		}
		u.renewed = false
		if s.last {
			return nil
		}
		if err := s.next(); err != nil {
			return err
		}
		p.progressed() // however long the source took
	}
}

// streamPiece sends one piece, again from where the broker has it after each failure.
func (u *tusUpload) streamPiece(ctx context.Context, p *patience, s *streamed) error {
	end := s.start + int64(len(s.piece))
	for at := s.start; ; {
		err := u.patchStream(ctx, s, at)
		if err == nil {
			return nil
		}
		reached, err := u.recover(ctx, p, err)
		if err != nil {
			return err
		}
		u.settleMeter(reached)
		if reached < s.start || reached > end {
			return &Error{Op: "HEAD " + u.url, Status: http.StatusConflict, Detail: "the broker has another part of the file than was sent"}
		}
		if at = reached; at == end && !s.last {
			return nil
		}
	}
}

func (u *tusUpload) patchStream(ctx context.Context, s *streamed, at int64) error {
	r, err := tusRequest(ctx, http.MethodPatch, u.url)
	if err != nil {
		return err
	}
	rest := s.piece[at-s.start:]
	r.Header.Set("Content-Type", "application/offset+octet-stream")
	r.Header.Set("Upload-Offset", strconv.FormatInt(at, 10))
	r.Header.Set("Expect", "100-continue")
	if s.last {
		r.Header.Set("Upload-Length", strconv.FormatInt(at+int64(len(rest)), 10))
	}
	_, err = Decode[struct{}](u.g.carry(ctx, r, bytes.NewReader(rest), int64(len(rest))))
	if err == nil {
		u.counted += int64(len(rest))
	}
	return err
}
