package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/formidling/formidling/internal/testenv"
)

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
