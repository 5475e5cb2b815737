// Command devstack runs a whole Temporal server and its web UI in one small process, for
// development, demonstrations and tests.
//
// It keeps everything in memory, in one SQLite file (--db) or in PostgreSQL (--pg), and comes
// tuned for a single machine. When a workflow can really run and be found by every search
// attribute, it prints one line of JSON on standard output, writes the same to --ready-file, and
// serves until it is told to stop:
//
//	$ devstack --db temporal.db
//	{"address":"127.0.0.1:7233","ui":"http://127.0.0.1:8233","namespace":"default"}
//
// Logs go to standard error. It never calls the Internet. Neither the server nor the UI has a
// login, so it listens on loopback addresses only unless --allow-remote says otherwise.
//
// It is a module of its own because the server brings some two hundred modules that the broker
// itself has no use for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if os.Getenv("USER") == "" { // a static binary in an image without accounts cannot find out
		_ = os.Setenv("USER", "devstack") // the name has no NUL, so it cannot fail
	}
	opts, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "devstack:", err)
		os.Exit(2)
	}
	if opts.pg != nil {
		opts.pg.addPassword(os.Getenv("PGPASSWORD"))
	}
	logger := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: opts.logLevel}))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once the first signal has arrived the default behaviour is restored, so that a second one
	// ends the process at once however long the orderly stop takes.
	context.AfterFunc(ctx, stop)

	if err := run(ctx, opts, logger, os.Stdout); err != nil {
		logger.ErrorContext(ctx, "devstack ended", slog.Any("error", err))
		os.Exit(1)
	}
}

// run starts everything, announces it on out and in the ready file, and serves until ctx ends
// or the watched parent is gone. Being told to stop is no error, at whatever moment it comes.
func run(ctx context.Context, opts options, logger *slog.Logger, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if opts.parent != 0 {
		go watchParent(ctx, opts.parent, logger, cancel)
	}
	if err := removeReadyFile(opts.readyFile); err != nil {
		return err
	}

	st, err := startStack(ctx, opts, logger)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer st.stop(logger)
	if err := st.awaitReady(ctx, opts); err != nil {
		return unlessStopped(ctx, err)
	}
	if err := announce(out, opts.readyFile, st.ready); err != nil {
		return err
	}
	<-ctx.Done()
	return removeReadyFile(opts.readyFile)
}

// unlessStopped drops an error that is only the consequence of having been told to stop.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
