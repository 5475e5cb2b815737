package devtemporal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Ports choose where the server listens: 0 takes a free port for Temporal, -1 for its UI; a UI port of 0 is none.
type Ports struct{ Server, UI int }

// Server is a Temporal with its UI, a child of this process.
type Server struct {
	Address string // host:port
	UI      string // URL; empty when there is none

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Start starts Temporal with its state in a directory, and returns once it answers. The caller must Stop it.
func Start(ctx context.Context, directory string, ports Ports) (*Server, error) {
	cmd, err := command(directory, ports)
	if err != nil {
		return nil, err
	}
	for _, port := range []int{ports.Server, ports.UI} {
		awaitPort(ctx, port)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start devstack: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start devstack: %w", err)
	}
	s := &Server{cmd: cmd, done: make(chan struct{})}
	lines := make(chan []byte, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadBytes('\n') // empty when it ended before it was ready
		lines <- line
		_ = cmd.Wait() // Stop asked for the end; how it came does not matter
		close(s.done)
	}()
	select {
	case <-ctx.Done():
		s.Stop()
		return nil, ctx.Err()
	case line := <-lines:
		var ready struct{ Address, UI string }
		if err := json.Unmarshal(line, &ready); err != nil {
			s.Stop()
			return nil, errors.New("start devstack: it ended before it was ready; its reason stands above")
		}
		s.Address, s.UI = ready.Address, ready.UI
		return s, nil
	}
}

func command(directory string, ports Ports) (*exec.Cmd, error) {
	program, err := program()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	cmd := exec.Command(program, "--port", strconv.Itoa(ports.Server), "--ui-port", strconv.Itoa(ports.UI),
		"--db", filepath.Join(directory, "temporal.db"), "--parent", strconv.Itoa(os.Getpid()), "--log-level", "error")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us to pass on, last
	return cmd, nil
}

// program finds devstack beside this program, where `make build` puts both.
func program() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find devstack: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), "devstack")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find devstack: %w; run `make build`, or set TEMPORAL_ADDRESS to a Temporal of your own", err)
	}
	return path, nil
}

// portWait is how long an earlier server may still hold a port that we want.
const portWait = 5 * time.Second

// awaitPort waits until a port is free. When a run was killed, its devstack notices within half a second and then ends;
// who starts the next run at once must not fail because of it. The devstack reports a port that stays taken.
func awaitPort(ctx context.Context, port int) {
	ctx, cancel := context.WithTimeout(ctx, portWait)
	defer cancel()
	for port > 0 {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = l.Close()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends the server in good order, and by force if that takes too long.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-s.done:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}
