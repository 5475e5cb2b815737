// Command replay runs recorded histories against the workflows that it was built with.
//
//	replay FILE...             says which histories the code can no longer replay; exits 1 if there is one
//	replay -plants N FILE...   prints the number of each planted sleep, 0 to N-1, that every history replays with
//
// The tests of workflows build it twice. With -cover it shows which lines no history runs. Over a copy of the sources
// in which a sleep stands at the head of each block (REPLAY_PLANT names the one that is awake) it shows which
// careless edits no history notices. It is a program of its own, because it links in a fraction of the time that the
// tests take, and because a planted sleep must not reach other tests.
package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/proto"

	"github.com/formidling/formidling/worker"
)

// plantVariable names the planted sleep that is awake.
const plantVariable = "REPLAY_PLANT"

type recording struct {
	file    string
	history *historypb.History
}

func main() {
	plants := flag.Int("plants", 0, "print which of so many planted sleeps no history notices")
	flag.Parse()
	ok, err := run(*plants, flag.Args(), os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(plants int, files []string, out io.Writer) (ok bool, err error) {
	all, err := read(files)
	if err != nil {
		return false, err
	}
	ok = true
	if plants == 0 {
		for _, r := range all {
			if err := r.replay(); err != nil {
				ok = false
				fmt.Fprintf(out, "%s: %v\n", r.file, err)
			}
		}
		return ok, nil
	}
	for n := range plants {
		if err := os.Setenv(plantVariable, strconv.Itoa(n)); err != nil {
			return false, fmt.Errorf("wake plant: %w", err)
		}
		if !slices.ContainsFunc(all, func(r recording) bool { return r.replay() != nil }) {
			fmt.Fprintln(out, n)
		}
	}
	return true, nil
}

func read(files []string) ([]recording, error) {
	out := make([]recording, len(files))
	for i, file := range files {
		f, err := os.Open(file) //nolint:gosec // its caller names the histories
		if err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		h, err := client.HistoryFromJSON(f, client.HistoryJSONOptions{})
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("read history %s: %w", file, err)
		}
		out[i] = recording{file, h}
	}
	return out, nil
}

// replay runs the history in a replayer of its own; a replay may change what it is given.
func (r recording) replay() error {
	replayer := sdkworker.NewWorkflowReplayer()
	worker.RegisterWorkflows(replayer)
	return replayer.ReplayWorkflowHistory(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)), proto.CloneOf(r.history))
}
