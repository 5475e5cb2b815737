package testenv

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Running is one of our programs, run as a real process.
type Running struct {
	Out  *Output // what it printed, both streams
	proc *process
}

// Run starts a program of bin/ with this environment only; it is killed when the test ends.
func Run(t testing.TB, name string, env []string, args ...string) *Running {
	t.Helper()
	program, err := Program(name)
	require.NoError(t, err)
	cmd := exec.Command(program, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	r := &Running{Out: &Output{}}
	cmd.Stdout, cmd.Stderr = r.Out, r.Out
	r.proc, err = start(cmd)
	require.NoError(t, err)
	t.Cleanup(func() {
		r.Kill()
		if t.Failed() {
			t.Logf("%s %v printed:\n%s", name, args, r.Out.String())
		}
	})
	return r
}

// Kill ends the process as kill -9 does.
func (r *Running) Kill() { r.proc.signal(syscall.SIGKILL); r.proc.wait() }

// Terminate asks the process to stop.
func (r *Running) Terminate() { r.proc.signal(syscall.SIGTERM) }

// Wait waits for the end and returns the exit code, -1 when a signal ended it.
func (r *Running) Wait() int {
	r.proc.wait()
	return r.proc.cmd.ProcessState.ExitCode()
}

// Pid of the process.
func (r *Running) Pid() int { return r.proc.cmd.Process.Pid }

// Answers waits until a URL answers 200.
func Answers(t testing.TB, url string) {
	t.Helper()
	require.NoError(t, until(30*time.Second, url+" answers", func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("it answered %s", response.Status)
		}
		return nil
	}))
}

// Output collects what several writers print.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String returns all that was printed so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
