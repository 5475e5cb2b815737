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
	parts, partCtx := errgroup.WithContext(ctx)
	for n := range g.checkpoint.Parts {
		parts.Go(func() error { return g.part(partCtx, n) })
	}
	if err := parts.Wait(); err != nil {
		return err
	}
	return g.join(ctx)
}

// divide cuts a file into parts of equal size, but for a byte.
func divide(size int64, parts int) []Part {
	out := make([]Part, parts)
	for n := range int64(parts) {
		out[n] = Part{From: size / int64(parts) * n, To: size / int64(parts) * (n + 1)}
	}
	out[parts-1].To = size
	return out
}

// part makes the upload of one part, unless an earlier run did, and sends what is missing of it.
func (g *sending) part(ctx context.Context, n int) error {
	known := g.checkpoint.Parts[n] // each part is changed by its own goroutine only
	u := &tusUpload{g: g, from: known.From, to: known.To, piece: largestPiece}
	if known.URL != "" {
		at, err := sameHost(g.b.base, known.URL)
		if err != nil {
			return err
		}
		u.url = at
		if err := u.send(ctx); !errors.Is(err, ErrNotFound) {
			return err
		}
		u.url, u.counted = "", 0 // it has expired
	}
	length := strconv.FormatInt(u.to-u.from, 10)
	if err := u.create(ctx, map[string]string{"Upload-Concat": "partial", "Upload-Length": length}); err != nil {
		return err
	}
	if err := g.save(func(c *Checkpoint) { c.Parts[n].URL = u.url }); err != nil {
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
	p := g.b.retry.begin()
	for {
		r, err := tusRequest(ctx, http.MethodPost, g.tusPath())
		if err != nil {
			return err
		}
		r.Header.Set("Upload-Concat", "final;"+strings.Join(places, " "))
		_, err = Decode[struct{}](g.carry(ctx, r, http.NoBody, 0))
		if err == nil || g.arrived(ctx) { // the answer was lost, not the file
			return nil
		}
		if err := p.pause(ctx, err); err != nil {
			return err
		}
	}
}
