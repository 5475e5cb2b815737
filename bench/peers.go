package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

// nginxConfig stores by PUT and serves static files, in one process, so that its CPU and memory are all of it.
const nginxConfig = `daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 64; }
http {
  access_log off; sendfile on; tcp_nopush on; client_max_body_size 0; client_body_buffer_size 1m;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/t1; fastcgi_temp_path %[1]s/t2; uwsgi_temp_path %[1]s/t3; scgi_temp_path %[1]s/t4;
  server { listen 127.0.0.1:%[2]d; root %[1]s/files; location / { dav_methods PUT DELETE; } }
}
`

// startNginx runs Debian's nginx. It neither hashes nor syncs.
func (l *lab) startNginx(ctx context.Context, part string) (*byteServer, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program = "/usr/sbin/nginx"; !exists(program) {
			return nil, errors.New("start nginx: it is not installed; run scripts/ensure-bench-peers")
		}
	}
	port, err := testenv.FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := l.freshDir(part + "-nginx")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "nginx.conf")
	err = errors.Join(os.Mkdir(filepath.Join(dir, "files"), 0o700), os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, port), 0o600))
	if err != nil {
		return nil, err
	}
	base := "http://127.0.0.1:" + strconv.Itoa(port)
	p, err := l.startProgram(ctx, part+"-nginx", base, exec.Command(program, "-p", dir, "-c", config, "-e", filepath.Join(dir, "error.log")))
	if err != nil {
		return nil, err
	}
	c := fileClient{base, "PUT"}
	return &byteServer{
		name: "nginx, and fsync", process: p, unsynced: filepath.Join(dir, "files"),
		upload: c.upload, fetch: c.download, discard: c.discard,
	}, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

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
