package testenv

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// process is a child that is killed when this test binary ends, however it ends.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs cmd from a goroutine that keeps its thread: the kernel sends the parent-death signal when
// the thread that started a child ends, not when the process does.
func start(cmd *exec.Cmd) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(p.done)
		runtime.UnlockOSThread()
	}()
	return p, <-started
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

func (p *process) wait() { <-p.done }

// The ports that FreePort chooses from lie below those that systems give to outgoing connections and to whoever
// asks for any port: between FreePort and its use nobody else gets one by chance.
const (
	firstPort = 10_000
	lastPort  = 32_000
)

// FreePort returns a TCP port on loopback that nobody listens on now.
func FreePort() (int, error) {
	var err error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // G404: no secret, only unlikely to be chosen twice
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find free port: %w", err)
}

// until tries again until check succeeds or the time is over.
func until(limit time.Duration, what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, err)
		}
	}
}
