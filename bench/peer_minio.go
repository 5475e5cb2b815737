package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/formidling/formidling/internal/testenv"
)

const minioUser, minioPassword = "bench-user", "bench-password" // of a server on loopback that lives as long as the bench

// startMinIO runs MinIO on one directory. It computes an MD5 and a checksum of its own, and syncs in part, so that the
// fsync that is added finds little to do.
func (l *lab) startMinIO(ctx context.Context, part string) (*byteServer, error) {
	program, err := testenv.Program("minio")
	if err != nil {
		return nil, fmt.Errorf("%w, or make bin/minio", err)
	}
	port, err := testenv.FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := l.freshDir(part + "-minio")
	if err != nil {
		return nil, err
	}
	listen := "127.0.0.1:" + strconv.Itoa(port)
	cmd := exec.Command(program, "server", "--quiet", "--address", listen, dir)
	cmd.Env = []string{
		"HOME=" + l.tmp, "MINIO_ROOT_USER=" + minioUser, "MINIO_ROOT_PASSWORD=" + minioPassword, "MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"MINIO_CI_CD=on", // a directory of the system's disk will do
	}
	p, err := l.startProgram(ctx, part+"-minio", "http://"+listen+"/minio/health/live", cmd)
	if err != nil {
		return nil, err
	}
	c := minioClient{listen}
	err = until(ctx, 30*time.Second, "MinIO makes a bucket", func(ctx context.Context) error { return c.ask(ctx, http.MethodPut, "/bench", nil, 0) })
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%w; it said: %s", err, p.tail())
	}
	return &byteServer{
		name: "MinIO, and fsync", process: p, unsynced: dir,
		upload: func(ctx context.Context, size int64) error {
			return c.ask(ctx, http.MethodPut, "/bench/file", &body{left: size}, size)
		},
		fetch: func(ctx context.Context, size int64) error {
			response, err := c.do(ctx, http.MethodGet, "/bench/file", nil, 0)
			if err != nil {
				return err
			}
			defer func() { _ = response.Body.Close() }()
			return drain(response.Body, size)
		},
		discard: func(ctx context.Context) error { return c.ask(ctx, http.MethodDelete, "/bench/file", nil, 0) },
	}, nil
}

// minioClient speaks S3 as far as the bench needs it.
type minioClient struct{ host string }

func (c minioClient) ask(ctx context.Context, method, path string, from io.Reader, size int64) error {
	response, err := c.do(ctx, method, path, from, size)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection can be used again
	return response.Body.Close()
}

// do makes one request, signed with AWS Signature Version 4 but for its body.
func (c minioClient) do(ctx context.Context, method, path string, from io.Reader, size int64) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.host+path, from)
	if err != nil {
		return nil, err
	}
	r.ContentLength = size
	const payload, signed = "UNSIGNED-PAYLOAD", "host;x-amz-content-sha256;x-amz-date"
	now := time.Now().UTC().Format("20060102T150405Z")
	day, scope := now[:8], now[:8]+"/us-east-1/s3/aws4_request"
	canonical := strings.Join([]string{method, path, "", "host:" + c.host, "x-amz-content-sha256:" + payload, "x-amz-date:" + now, "", signed, payload}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + minioPassword)
	for _, step := range []string{day, "us-east-1", "s3", "aws4_request", "AWS4-HMAC-SHA256\n" + now + "\n" + scope + "\n" + hex.EncodeToString(sum[:])} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(step))
		key = mac.Sum(nil)
	}
	r.Header.Set("X-Amz-Date", now)
	r.Header.Set("X-Amz-Content-Sha256", payload)
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%x", minioUser, scope, signed, key))
	return send(wire, r)
}
