package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that we started and will stop.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  string // file with what it said
}

// start runs cmd with its errors in a file. It dies with us, however we end: the kernel tells a child
// when the thread that started it ends, so that thread is kept.
func start(cmd *exec.Cmd, log string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	defer func() { _ = out.Close() }()
	cmd.Stderr = out
	// of its own group: Ctrl-C is for us to pass on
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &process{cmd: cmd, done: make(chan struct{}), log: log}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended does not matter: it was told to
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	return p, nil
}

// startPeer runs this program again as one of the peers, and returns where it listens.
func (l *lab) startPeer(name string, args ...string) (*process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("start %s: %w", name, err)
	}
	cmd := exec.Command(self, append([]string{name}, args...)...)
	pipe, child, err := os.Pipe()
	if err != nil {
		return nil, "", fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = pipe.Close() }()
	cmd.Stdout = child
	p, err := start(cmd, filepath.Join(l.tmp, name+".log"))
	_ = child.Close()
	if err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, "", fmt.Errorf("start %s: it ended at once: %s", name, p.tail())
	}
	return p, strings.TrimSpace(line), nil
}

// stop ends the process in good order, and by force if that takes too long.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.kill()
	}
}

// kill ends the process as a crash would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// ended tells that the process is there no more.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// tail is the last few lines that the process wrote.
func (p *process) tail() string {
	lines := strings.Split(strings.TrimSpace(readFile(p.log)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "\n")
}

func (p *process) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), name)
}

// children are the processes that the process has started; the broker's is its Temporal.
func (p *process) children() []string {
	lists, _ := filepath.Glob(p.proc("task/*/children")) // the pattern is valid
	var out []string
	for _, list := range lists {
		out = append(out, strings.Fields(readFile(list))...)
	}
	return out
}

// clockTicks is USER_HZ, which Linux has fixed at 100 for all that look from outside.
const clockTicks = 100

// cpu is how many seconds all threads of the process have computed, in user and kernel mode.
func (p *process) cpu() float64 { return cpuOf(strconv.Itoa(p.cmd.Process.Pid)) }

// cpuOfChildren is the same for its children together.
func (p *process) cpuOfChildren() float64 {
	sum := 0.0
	for _, pid := range p.children() {
		sum += cpuOf(pid)
	}
	return sum
}

func cpuOf(pid string) float64 {
	_, rest, _ := strings.Cut(readFile(filepath.Join("/proc", pid, "stat")), ") ") // the name may contain anything
	words := strings.Fields(rest)
	if len(words) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(words[11], 64)
	system, _ := strconv.ParseFloat(words[12], 64)
	return (user + system) / clockTicks
}

// rss is how many bytes of memory the process has now, and peak the most since forgetPeak.
func (p *process) rss() int64  { return kibibytes(p.proc("status"), "VmRSS") << 10 }
func (p *process) peak() int64 { return kibibytes(p.proc("status"), "VmHWM") << 10 }

func (p *process) forgetPeak() error {
	if err := os.WriteFile(p.proc("clear_refs"), []byte("5"), 0); err != nil {
		return fmt.Errorf("forget peak of memory: %w", err)
	}
	return nil
}

// errHopeless ends an until early when it is wrapped.
var errHopeless = errors.New("it will not happen")

// until tries again until check succeeds or the time is over.
func until(ctx context.Context, limit time.Duration, what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, errHopeless) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, err)
		}
	}
}
