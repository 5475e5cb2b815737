package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"time"
)

// parentInterval is how often watchParent looks, and so how long an orphan lives.
const parentInterval = 500 * time.Millisecond

// watchParent calls stop when the process pid is gone.
//
// A test or a demonstration that is killed with signal 9 cannot stop the devstack it started,
// and nothing tells the devstack of it: no signal is sent, and standard input need not be a
// pipe. So it looks now and then. It must leave nothing running that holds ports and files.
func watchParent(ctx context.Context, pid int, logger *slog.Logger, stop func()) {
	alive := processWatch(pid)
	ticker := time.NewTicker(parentInterval)
	defer ticker.Stop()
	for alive() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	logger.WarnContext(ctx, "parent is gone", slog.Int("pid", pid))
	stop()
}

// processWatch returns a question: does process pid still live?
//
// A process that nobody has waited for still takes signals though it is dead. When pid is the
// real parent that is no trouble, since its children get another parent the moment it dies.
func processWatch(pid int) func() bool {
	if os.Getppid() == pid {
		return func() bool { return os.Getppid() == pid }
	}
	// Keeping the handle matters: where the kernel offers one, it goes on meaning this very
	// process when another one gets the same number later.
	process, err := os.FindProcess(pid)
	return func() bool {
		return err == nil && !errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
	}
}
