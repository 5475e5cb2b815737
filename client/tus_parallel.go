package client

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// tusParallel sends parts of the file on a connection each, and joins them (tus: concatenation).
func (g *sending) tusParallel(ctx context.Context) error {
	if len(g.checkpoint.Parts) == 0 {
		if err := g.save(func(c *Checkpoint) { c.Parts = divide(g.s.size, g.o.Parts) }); err != nil {
			return err
		}
	}
	if err := g.openParts(ctx); err != nil {
		return err
	}
	parts, partCtx := errgroup.WithContext(ctx)
	for n := range g.checkpoint.Parts {
		parts.Go(func() error { return g.part(partCtx, n) })
	}
	if err := parts.Wait(); err != nil {
		return err
	}
	return g.join(ctx)
}

// divide cuts a file into parts of equal size, give or take a byte.
func divide(size int64, parts int) []Part {
	out := make([]Part, parts)
	for n := range int64(parts) {
		out[n] = Part{From: size / int64(parts) * n, To: size / int64(parts) * (n + 1)}
	}
	out[parts-1].To = size
	return out
}

// openParts makes the uploads of the parts that no earlier run made, one after the other: the broker hashes what it
// has of a file in the order in which its parts were made.
func (g *sending) openParts(ctx context.Context) error {
	for n, part := range g.checkpoint.Parts {
		if part.URL != "" {
			continue
		}
		if err := g.openPart(ctx, n, &tusUpload{g: g, from: part.From, to: part.To}); err != nil {
			return err
		}
		g.row.progressed()
	}
	return nil
}

// openPart makes the upload of one part.
func (g *sending) openPart(ctx context.Context, n int, u *tusUpload) error {
	length := strconv.FormatInt(u.to-u.from, 10)
	if err := u.create(ctx, map[string]string{"Upload-Concat": "partial", "Upload-Length": length}); err != nil {
		return err
	}
	return g.save(func(c *Checkpoint) { c.Parts[n].URL = u.url })
}

// part sends what is missing of one part.
func (g *sending) part(ctx context.Context, n int) error {
	known := g.checkpoint.Parts[n] // each part is changed by its own goroutine only
	at, err := sameHost(g.b.base, known.URL)
	if err != nil {
		return err
	}
	u := &tusUpload{g: g, url: at, from: known.From, to: known.To, piece: firstPiece}
	if err := u.send(ctx); !errors.Is(err, ErrNotFound) {
		return err
	}
	u.url, u.counted = "", 0 // it has expired
	if err := g.openPart(ctx, n, u); err != nil {
		return err
	}
	return u.send(ctx)
}

// join makes the file of its parts. The answer waits for what remains to be hashed.
func (g *sending) join(ctx context.Context) error {
	var places []string
	for _, p := range g.checkpoint.Parts {
		places = append(places, p.URL)
	}
	p := g.row.shared()
	p.progressed()
	for {
		r, err := tusRequest(ctx, http.MethodPost, g.tusPath())
		if err != nil {
			return err
		}
		r.Header.Set("Upload-Concat", "final;"+strings.Join(places, " "))
		g.prove(r)
		_, err = Decode[struct{}](g.carry(ctx, r, http.NoBody, 0))
		if err == nil || g.arrived(ctx) { // the answer was lost, not the file
			return nil
		}
		if err := p.pause(ctx, err); err != nil {
			return err
		}
	}
}
