// Command bench measures Formidling on this machine: the real program, on loopback, with its embedded
// default unless a part says otherwise. What depends on the machine is printed as a ratio to a peer that
// does the least possible for the same work in the same run, or as a distribution.
//
// One file per part: lives.go, bytes.go (upload and download), parallel.go, memory.go, large.go, fanout.go, search.go,
// restart.go, identity.go, rights.go, feed.go, webhooks.go, receipts.go. broker.go starts the program, client.go and tus.go
// speak to it; bare.go, direct.go and peer_*.go are the peers. It runs on Linux, because it reads /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/formidling/formidling/internal/testenv"
)

// options are what the command line chooses.
type options struct {
	only         []string
	json         string
	dir          string
	size, large  int64 // bytes
	rounds       int
	lives        int
	loadTime     time.Duration
	recipients   int
	searchRows   int
	restarts     int
	slow         int
	waiting      int
	feedEvents   int
	leaves       int
	partDeadline time.Duration
	huge         int64 // bytes
}

// lab is what all parts share.
type lab struct {
	options
	program string // bin/formidling
	tmp     string // removed at the end
}

// part is one thing to measure.
type part struct {
	name, what string
	run        func(context.Context, *lab) (result, error)
	asked      bool // it runs only when --only names it
}

var parts = []part{
	{name: "lives", what: "whole lives of small transfers", run: lives},
	{name: "upload", what: "upload of a large file", run: upload},
	{name: "parallel", what: "upload in parallel streams, over links that carry little each", run: parallel},
	{name: "download", what: "download of a large file", run: download},
	{name: "memory", what: "memory of the process that serves", run: memory},
	{name: "fanout", what: "one file to many recipients", run: fanout},
	{name: "search", what: "search among many transfers on PostgreSQL", run: search},
	{name: "restart", what: "kill -9 until it serves again", run: restart},
	{name: "identity", what: "knowing who a request is from", run: login},
	{name: "rights", what: "deciding who may do what", run: rights},
	{name: "feed", what: "being notified of files, and waiting for that", run: feed},
	{name: "webhooks", what: "last byte until a webhook tells the recipient", run: notified},
	{name: "receipts", what: "signing and verifying receipts, and the log of them", run: receipted},
	{name: "large", what: "memory during an upload of a very long sparse file", run: large, asked: true},
}

func main() {
	if len(os.Args) > 1 && peers[os.Args[1]] != nil {
		exit(peers[os.Args[1]](os.Args[2:]))
	}
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop) // the second signal ends the process at once
		err = measure(ctx, o)
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func parseOptions(args []string) (options, error) {
	o := options{size: 1 << 30, large: 8 << 30, huge: 100 << 30}
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	only := ""
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&only, "only", "", "`parts` to run, by comma: "+strings.Join(names, ","))
	f.StringVar(&o.json, "json", "", "also write the figures to this `file`")
	f.StringVar(&o.dir, "dir", "", "`directory` on the disk to measure; default that of temporary files")
	f.Func("size", "`size` of a large file, such as 256MiB (default 1GiB)", sizeFlag(&o.size))
	f.Func("large", "`size` of the file that shows memory to be flat, 0 to leave it out (default 8GiB)", sizeFlag(&o.large))
	f.Func("huge", "`size` of the sparse file of the part large (default 100GiB)", sizeFlag(&o.huge))
	f.IntVar(&o.rounds, "rounds", 4, "uploads and downloads of each server")
	f.IntVar(&o.lives, "lives", 200, "lives one after the other; ten times as many at c=50")
	f.DurationVar(&o.loadTime, "load-time", 20*time.Second, "the longest that one load of lives lasts")
	f.IntVar(&o.recipients, "recipients", 1000, "recipients of the fan-out")
	f.IntVar(&o.searchRows, "search-rows", 100_000, "transfers to search among")
	f.IntVar(&o.restarts, "restarts", 5, "how often to kill")
	f.IntVar(&o.leaves, "leaves", 1_000_000, "leaves of the log of receipts")
	f.IntVar(&o.slow, "slow", 32, "slow clients at once")
	f.IntVar(&o.waiting, "waiting", 2000, "clients that wait for events at once")
	f.IntVar(&o.feedEvents, "feed-events", 1_000_000, "events of the feed to read")
	f.DurationVar(&o.partDeadline, "part-deadline", 5*time.Minute, "the longest that one part may last")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	for name := range strings.SplitSeq(only, ",") {
		switch {
		case name == "":
		case slices.Contains(names, name):
			o.only = append(o.only, name)
		default:
			return o, fmt.Errorf("--only %s: there are %s", name, strings.Join(names, ", "))
		}
	}
	return o, nil
}

// sizeFlag reads 1048576, 512KiB, 64MiB or 1GiB.
func sizeFlag(to *int64) func(string) error {
	return func(s string) (err error) {
		*to, err = parseSize(s)
		return err
	}
}

// measure runs the parts one after the other. One that fails does not keep the others from running.
func measure(ctx context.Context, o options) error {
	program, err := testenv.Program("formidling")
	if err != nil {
		return err
	}
	l := &lab{options: o, program: program}
	if l.tmp, err = os.MkdirTemp(o.dir, "formidling-bench-"); err != nil {
		return fmt.Errorf("make working directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(l.tmp) }()
	r := report{Machine: thisMachine(l.tmp), Started: time.Now().UTC().Truncate(time.Second)}
	r.Machine.print(os.Stdout)
	var errs []error
	for _, p := range parts {
		if named := slices.Contains(o.only, p.name); ctx.Err() != nil || !named && (p.asked || len(o.only) > 0) {
			continue
		}
		res, err := l.measurePart(ctx, p)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
		res.print(os.Stdout)
		r.Parts = append(r.Parts, res)
	}
	r.LoadAtEnd = load()
	r.printTargets(os.Stdout)
	if o.json != "" {
		errs = append(errs, r.write(o.json))
	}
	return errors.Join(append(errs, ctx.Err())...)
}

func (l *lab) measurePart(ctx context.Context, p part) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, l.partDeadline)
	defer cancel()
	began, before := time.Now(), load()
	res, err := p.run(ctx, l)
	res.Part, res.What, res.Seconds, res.LoadBefore = p.name, p.what, time.Since(began).Seconds(), before
	if err != nil {
		res.Error = err.Error()
	}
	return res, err
}

// say tells on standard error how far it has come.
func (l *lab) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "… "+format+"\n", args...)
}
