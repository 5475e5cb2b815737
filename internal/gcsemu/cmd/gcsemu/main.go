// Command gcsemu serves the Cloud Storage emulator of this project, for development without an account.
//
//	gcsemu --dir /data --listen 0.0.0.0:4443 --bucket files
//
// Clients find it by STORAGE_EMULATOR_HOST=http://host:4443. Objects are kept in the directory across restarts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/formidling/formidling/internal/gcsemu"
)

// grace is how long requests may go on after the program was told to stop.
const grace = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "gcsemu:", err)
		os.Exit(1)
	}
}

// program is what the flags say.
type program struct {
	listen  string
	dir     string
	buckets []string
	log     *slog.Logger
}

func run(ctx context.Context, args []string, out io.Writer) error {
	p := program{log: slog.New(slog.NewTextHandler(out, nil))}
	flags := flag.NewFlagSet("gcsemu", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&p.listen, "listen", "127.0.0.1:4443", "`address` to listen on; port 0 picks a free one")
	flags.StringVar(&p.dir, "dir", "gcsemu-data", "`directory` that keeps the objects")
	flags.Func("bucket", "`name` of a bucket to create at start; may be repeated", func(name string) error {
		p.buckets = append(p.buckets, name)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("parse flags: unexpected argument %q", flags.Arg(0))
	}
	return p.run(ctx)
}

// run serves until ctx ends.
func (p program) run(ctx context.Context) (err error) {
	emulator, err := gcsemu.New(p.dir)
	if err != nil {
		return fmt.Errorf("open %s: %w", p.dir, err)
	}
	defer func() { err = errors.Join(err, emulator.Close()) }()
	for _, name := range p.buckets {
		if err := emulator.CreateBucket(name); err != nil {
			return fmt.Errorf("create bucket %s: %w", name, err)
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", p.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	p.log.InfoContext(ctx, "emulator started", slog.String("url", "http://"+listener.Addr().String()))
	return p.serve(ctx, listener, emulator)
}

// serve answers requests until ctx ends, and then lets those that began finish.
func (p program) serve(ctx context.Context, listener net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		p.log.WarnContext(last, "requests were cut off", slog.Any("error", err))
		if err := server.Close(); err != nil {
			return fmt.Errorf("close: %w", err)
		}
	}
	p.log.InfoContext(last, "emulator stopped")
	return nil
}
