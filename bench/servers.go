package main

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// byteServer is one way to store and serve bytes that is compared with others: a server, and how it is spoken to.
type byteServer struct {
	name    string
	process *process
	upload  func(ctx context.Context, size int64) error
	fetch   func(ctx context.Context, size int64) error // what was uploaded last
	discard func(ctx context.Context) error             // the same
	// unsynced is the directory of a server that answers before its files are durable: what it takes to make them
	// so, an fsync of each, then counts as part of the upload. Empty for those that do it themselves.
	unsynced string

	rate, cpu sample // of each round: MB/s, and seconds of CPU per GiB
	peak      int64  // bytes, the highest of all rounds
}

// measure times one transfer of bytes and counts what it cost the server.
func (s *byteServer) measure(ctx context.Context, size int64, do func(context.Context, int64) error) error {
	if err := s.process.forgetPeak(); err != nil {
		return err
	}
	cpu, began := s.process.cpu(), time.Now()
	if err := do(ctx, size); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.rate = append(s.rate, rate(size, time.Since(began)))
	s.cpu = append(s.cpu, (s.process.cpu()-cpu)/(float64(size)/(1<<30)))
	s.peak = max(s.peak, s.process.peak())
	return nil
}

// store uploads and returns when the bytes are durable.
func (s *byteServer) store(ctx context.Context, size int64) error {
	if err := s.upload(ctx, size); err != nil || s.unsynced == "" {
		return err
	}
	return syncTree(s.unsynced)
}

// round measures an upload, and makes room for the next.
func (s *byteServer) round(ctx context.Context, size int64) error {
	if err := s.measure(ctx, size, s.store); err != nil {
		return err
	}
	return s.discard(ctx)
}

// syncTree makes all that lies below a directory durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() && !e.Type().IsRegular() {
			return ignoreAbsence(err)
		}
		f, err := os.Open(path) //nolint:gosec // in our own directory
		if err != nil {
			return ignoreAbsence(err)
		}
		defer func() { _ = f.Close() }()
		return f.Sync()
	})
}

// ignoreAbsence forgives files that went away while the tree was walked: the server's own temporary ones.
func ignoreAbsence(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// alternate measures all servers in turn, A B C C B A …, so that what drifts meets all alike.
func (l *lab) alternate(what string, servers []*byteServer, do func(*byteServer) error) error {
	for round := range l.rounds {
		l.say("%s, round %d of %d", what, round+1, l.rounds)
		order := slices.Clone(servers)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, s := range order {
			if err := do(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare puts all servers into one table. The first is ours, which the ratios of the others are for.
func compare(title string, servers []*byteServer) table {
	ours := servers[0]
	t := table{title: title, columns: []string{"", "median MB/s", "least", "most", "CPU s per GiB", "peak RSS MiB", "Formidling, of it", "least", "most"}}
	for _, s := range servers {
		pairs := ratios(ours.rate, s.rate)
		t.add(s.name, s.rate.median(), s.rate.quantile(0), s.rate.quantile(1), s.cpu.median(), mib(s.peak), pairs.median(), pairs.quantile(0), pairs.quantile(1))
	}
	return t
}

// startProgram runs a server that others wrote, in a directory of its own, and waits until it answers at url, whatever.
func (l *lab) startProgram(ctx context.Context, name, url string, cmd *exec.Cmd) (*process, error) {
	p, err := start(cmd, filepath.Join(l.tmp, name+".log"))
	if err != nil {
		return nil, err
	}
	err = until(ctx, 30*time.Second, name+" answers", func(ctx context.Context) error {
		if p.ended() {
			return fmt.Errorf("%w: it ended", errHopeless)
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := wire.Do(r)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("start %s: %w; it said: %s", name, err, p.tail())
	}
	return p, nil
}

// freshDir makes a directory for a server.
func (l *lab) freshDir(name string) (string, error) {
	dir := filepath.Join(l.tmp, name)
	return dir, os.MkdirAll(dir, 0o700)
}
