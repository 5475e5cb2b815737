package main

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

	"golang.org/x/sync/errgroup"
)

// embedded is the whole broker on one machine: Temporal as a child process, API and worker in this one.
type embedded struct {
	*parts
	ui string // of Temporal; empty when Temporal is somebody else's
}

// temporalPorts choose where the devstack listens: 0 takes a free port for the server, -1 for the UI.
type temporalPorts struct{ server, ui int }

// runEmbedded starts everything, calls serving when all is ready, and stops everything when it returns or
// ctx ends: first the API, then the worker, then Temporal, so that what a request began is finished.
func runEmbedded(ctx context.Context, c config, ports temporalPorts, serving func(ctx context.Context, e *embedded) error) error {
	stack, err := startDevstack(ctx, &c, ports)
	if err != nil {
		return err
	}
	defer stack.stop()
	p, err := connect(ctx, c, true)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.store.Migrate(ctx); err != nil {
		return err
	}
	workerContext, stopWorker := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorker()
	working, serves := make(chan struct{}), make(chan struct{})
	var background errgroup.Group
	background.Go(func() error {
		select {
		case <-serves: // receipts and webhooks carry the address, which the system may have chosen
		case <-workerContext.Done():
			return nil
		}
		return p.work(workerContext, func() { close(working) })
	})
	group, groupContext := errgroup.WithContext(ctx)
	groupContext, stop := context.WithCancel(groupContext)
	group.Go(func() error { return p.serveAPI(groupContext, func() { close(serves) }) })
	group.Go(func() error {
		defer stop()
		e := &embedded{parts: p, ui: c.TemporalUI}
		select {
		case <-serves:
		case <-groupContext.Done():
			return nil
		}
		select {
		case <-working:
		case <-groupContext.Done():
			return nil
		}
		return serving(groupContext, e)
	})
	err = group.Wait()
	stopWorker()
	return errors.Join(err, background.Wait())
}

// devstack is our Temporal child process; nil when Temporal is somebody else's.
type devstack struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// startDevstack starts Temporal and its UI, unless the configuration names one, and notes where they are.
func startDevstack(ctx context.Context, c *config, ports temporalPorts) (*devstack, error) {
	if c.TemporalAddress != "" {
		return nil, nil
	}
	program, err := devstackProgram()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	for _, port := range []int{ports.server, ports.ui} {
		awaitPort(ctx, port)
	}
	cmd := exec.Command(program, "--port", strconv.Itoa(ports.server), "--ui-port", strconv.Itoa(ports.ui),
		"--db", filepath.Join(c.Data, "temporal.db"), "--parent", strconv.Itoa(os.Getpid()), "--log-level", "error")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us to pass on, last
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start devstack: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start devstack: %w", err)
	}
	d := &devstack{cmd: cmd, done: make(chan struct{})}
	lines := make(chan []byte, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadBytes('\n') // empty when it ended before it was ready
		lines <- line
		_ = cmd.Wait() // how it ended does not matter, it was told to
		close(d.done)
	}()
	var ready struct{ Address, UI string }
	select {
	case <-ctx.Done():
		d.stop()
		return nil, ctx.Err()
	case line := <-lines:
		if err := json.Unmarshal(line, &ready); err != nil {
			d.stop()
			return nil, errors.New("start devstack: it ended before it was ready; its reason stands above")
		}
	}
	c.TemporalAddress, c.TemporalUI = ready.Address, ready.UI
	return d, nil
}

// portWait is how long the port of a devstack may still be taken by the one before it.
const portWait = 5 * time.Second

// awaitPort waits for a port of Temporal to be free. When a run was killed, its devstack notices within
// half a second and then ends; who starts the next run at once must not fail because of it. A port that
// stays taken is reported by the devstack.
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

// devstackProgram lies beside this program, where `make build` puts both.
func devstackProgram() (string, error) {
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

// stop ends the child in good order, and by force if that takes too long.
func (d *devstack) stop() {
	if d == nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-d.done:
	case <-time.After(10 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.done
	}
}
