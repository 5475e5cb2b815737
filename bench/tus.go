package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// tusClient uploads by tus 1.0.0, to ours and to tusd alike.
type tusClient struct {
	http  *http.Client
	token string // empty: none is sent

	sparse bool // what it sends are zeros
	thin   int  // bytes per second that each connection carries; 0: what it can
}

// do makes one request and returns the headers of its answer; headers come in pairs.
func (c tusClient) do(ctx context.Context, method, at string, from io.Reader, size int64, headers ...string) (http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, method, at, from)
	if err != nil {
		return nil, err
	}
	r.ContentLength = size
	r.Header.Set("Tus-Resumable", "1.0.0")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	response, err := send(c.http, r)
	if err != nil {
		return nil, err
	}
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection can be used again
	return response.Header, response.Body.Close()
}

// create opens an upload and returns its URL.
func (c tusClient) create(ctx context.Context, endpoint string, headers ...string) (string, error) {
	answer, err := c.do(ctx, http.MethodPost, endpoint, nil, 0, headers...)
	if err != nil {
		return "", err
	}
	base, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	at, err := base.Parse(answer.Get("Location"))
	if err != nil {
		return "", fmt.Errorf("create upload: read Location: %w", err)
	}
	return at.String(), nil
}

// fill sends all bytes of an upload in one request.
func (c tusClient) fill(ctx context.Context, at string, size int64) error {
	from := &body{left: size, sparse: c.sparse}
	if c.thin > 0 {
		from.pace = &pace{chunk: 16 << 10, every: time.Second * (16 << 10) / time.Duration(c.thin)}
	}
	answer, err := c.do(ctx, http.MethodPatch, at, from, size, "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")
	if err != nil {
		return err
	}
	if got := answer.Get("Upload-Offset"); got != strconv.FormatInt(size, 10) {
		return fmt.Errorf("fill %s: the offset is %s, not %d", at, got, size)
	}
	return nil
}

// single uploads in one stream and returns the URL of the upload.
func (c tusClient) single(ctx context.Context, endpoint string, size int64) (string, error) {
	at, err := c.create(ctx, endpoint, "Upload-Length", strconv.FormatInt(size, 10))
	if err != nil {
		return "", err
	}
	return at, c.fill(ctx, at, size)
}

// parallel uploads in as many streams at once, and has the server join them. It opens them in the file's order, by which a
// server may hash ahead.
func (c tusClient) parallel(ctx context.Context, endpoint string, size int64, streams int) error {
	urls, parts := make([]string, streams), make([]int64, streams)
	for n := range urls {
		parts[n] = size / int64(streams)
		if n == streams-1 {
			parts[n] = size - parts[n]*int64(streams-1)
		}
		var err error
		if urls[n], err = c.create(ctx, endpoint, "Upload-Concat", "partial", "Upload-Length", strconv.FormatInt(parts[n], 10)); err != nil {
			return err
		}
	}
	group, inGroup := errgroup.WithContext(ctx)
	for n := range urls {
		group.Go(func() error { return c.fill(inGroup, urls[n], parts[n]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	_, err := c.create(ctx, endpoint, "Upload-Concat", "final;"+strings.Join(urls, " "))
	return err
}
