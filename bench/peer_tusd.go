package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"

	"github.com/formidling/formidling/internal/testenv"
)

// startTusd runs the reference server of tus on a directory. It neither hashes nor syncs.
func (l *lab) startTusd(ctx context.Context, part string) (*byteServer, error) {
	program, err := testenv.Program("tusd")
	if err != nil {
		return nil, fmt.Errorf("%w, or make bin/tusd", err)
	}
	port, err := testenv.FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := l.freshDir(part + "-tusd")
	if err != nil {
		return nil, err
	}
	base := "http://127.0.0.1:" + strconv.Itoa(port) + "/files/"
	p, err := l.startProgram(ctx, part+"-tusd", base, exec.Command(program, "-upload-dir", dir, "-host", "127.0.0.1", "-port", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	c, file := tusClient{http: wire}, ""
	return &byteServer{
		name: "tusd, and fsync", process: p, unsynced: dir,
		upload: func(ctx context.Context, size int64) (err error) {
			file, err = c.single(ctx, base, size)
			return err
		},
		fetch:   func(ctx context.Context, size int64) error { return fetchURL(ctx, file, size) },
		discard: func(ctx context.Context) error { _, err := c.do(ctx, http.MethodDelete, file, nil, 0); return err },
	}, nil
}

// fetchURL reads a file that needs no login, and fails when its size is another.
func fetchURL(ctx context.Context, url string, size int64) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := send(wire, r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	return drain(response.Body, size)
}
