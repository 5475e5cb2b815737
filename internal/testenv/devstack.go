package testenv

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Devstack is a Temporal server of our own (see devstack/).
type Devstack struct {
	Address   string `json:"address"`
	UI        string `json:"ui"`
	Namespace string `json:"namespace"`

	proc *process
}

var (
	devstack     *Devstack
	errDevstack  error
	devstackOnce sync.Once
)

// Temporal returns the test binary's shared Temporal server.
func Temporal(t testing.TB) *Devstack {
	t.Helper()
	devstackOnce.Do(func() { devstack, errDevstack = StartDevstack("", "-1") })
	require.NoError(t, errDevstack)
	return devstack
}

// StartDevstack starts a Temporal server that its caller alone uses. file keeps its state ("" keeps it
// in memory); port is the UI's, "0" for none and "-1" for a free one.
func StartDevstack(file, uiPort string, more ...string) (*Devstack, error) {
	program, err := Program("devstack")
	if err != nil {
		return nil, err
	}
	args := append([]string{"--port", "0", "--ui-port", uiPort, "--db", file, "--log-level", "error"}, more...)
	cmd := exec.Command(program, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start devstack: %w", err)
	}
	proc, err := start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start devstack: %w", err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("start devstack: it ended before it was ready: %w", err)
	}
	d := &Devstack{proc: proc}
	if err := json.Unmarshal(line, d); err != nil {
		return nil, fmt.Errorf("start devstack: read %q: %w", line, err)
	}
	return d, nil
}

// Kill ends the server at once.
func (d *Devstack) Kill() { d.proc.signal(syscall.SIGKILL); d.proc.wait() }

// Stop ends the server in good order.
func (d *Devstack) Stop() { d.stop() }

func (d *Devstack) stop() { d.proc.signal(syscall.SIGTERM); d.proc.wait() }

// Program finds a program that `make build` puts into bin/.
func Program(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	for ; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "bin", name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == "/" {
			return "", fmt.Errorf("find %s: %s does not exist; run `make build`", name, path)
		}
	}
}
