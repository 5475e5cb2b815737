package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// byteServer is one of the two that are compared: ours, and the bare one.
type byteServer struct {
	name    string
	process *process
	upload  func(ctx context.Context, size int64) error
	fetch   func(ctx context.Context, size int64) error // what was uploaded last
	discard func(ctx context.Context) error             // the same

	rate, cpu sample // of each round: MB/s, and seconds of CPU per GiB
	peak      int64  // bytes, the highest of all rounds
}

// startPair starts both servers on the same disk.
func (l *lab) startPair(ctx context.Context, part string) (ours, theirs *byteServer, stop func(), err error) {
	b, err := l.startBroker(ctx, part, "")
	if err != nil {
		return nil, nil, nil, err
	}
	if ours, err = b.byteServer(); err != nil {
		b.stop()
		return nil, nil, nil, err
	}
	p, base, err := l.startPeer("bare", filepath.Join(l.tmp, part+"-bare"))
	if err != nil {
		b.stop()
		return nil, nil, nil, err
	}
	c := bareClient{base}
	theirs = &byteServer{
		name: "bare net/http", process: p,
		upload:  func(ctx context.Context, size int64) error { return c.upload(ctx, &body{left: size}, size) },
		fetch:   c.download,
		discard: c.discard,
	}
	return ours, theirs, func() { p.stop(); b.stop() }, nil
}

// byteServer is the broker, seen as one that stores and serves bytes.
func (b *broker) byteServer() (*byteServer, error) {
	sender, recipient, err := b.pair()
	if err != nil {
		return nil, err
	}
	id := ""
	return &byteServer{
		name: "Formidling", process: b.process,
		upload: func(ctx context.Context, size int64) (err error) {
			if id, err = sender.initialize(ctx, serviceLater, recipient.party); err != nil {
				return err
			}
			return sender.upload(ctx, id, &body{left: size}, size)
		},
		fetch: func(ctx context.Context, size int64) error { return recipient.download(ctx, id, size) },
		discard: func(ctx context.Context) error {
			if err := sender.cancel(ctx, id); err != nil {
				return err
			}
			_, err := b.purged(ctx, 0, time.Minute)
			return err
		},
	}, nil
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

// upload compares durable uploads: the broker's, with all that a transfer needs, against the least that
// computes the same checksums and is as durable.
func upload(ctx context.Context, l *lab) (result, error) {
	ours, theirs, stop, err := l.startPair(ctx, "upload")
	if err != nil {
		return result{}, err
	}
	defer stop()
	warm := min(l.size, 64<<20)
	for _, s := range []*byteServer{ours, theirs} {
		if err := s.upload(ctx, warm); err != nil {
			return result{}, err
		}
		if err := s.discard(ctx); err != nil {
			return result{}, err
		}
	}
	err = l.alternate("upload", ours, theirs, func(s *byteServer) error {
		if err := s.measure(ctx, l.size, s.upload); err != nil {
			return err
		}
		return s.discard(ctx)
	})
	r := compare(fmt.Sprintf("upload of %s, durable, with SHA-256, MD5 and CRC32C", formatSize(l.size)), ours, theirs)
	r.Targets = []target{atLeast("upload, of the bare server", ratios(ours.rate, theirs.rate).median(), 0.9, "×")}
	return r, err
}

// download compares downloads of one whole file, out of the page cache.
func download(ctx context.Context, l *lab) (result, error) {
	ours, theirs, stop, err := l.startPair(ctx, "download")
	if err != nil {
		return result{}, err
	}
	defer stop()
	for _, s := range []*byteServer{ours, theirs} {
		if err := s.upload(ctx, l.size); err != nil {
			return result{}, err
		}
		if err := s.fetch(ctx, l.size); err != nil {
			return result{}, err
		}
	}
	err = l.alternate("download", ours, theirs, func(s *byteServer) error { return s.measure(ctx, l.size, s.fetch) })
	r := compare(fmt.Sprintf("download of %s, from the page cache", formatSize(l.size)), ours, theirs)
	r.Targets = []target{atLeast("download, of the bare server", ratios(ours.rate, theirs.rate).median(), 0.9, "×")}
	return r, err
}

// alternate measures both in turn, A B B A …, so that what drifts meets both alike.
func (l *lab) alternate(what string, ours, theirs *byteServer, do func(*byteServer) error) error {
	for round := range l.rounds {
		l.say("%s, round %d of %d", what, round+1, l.rounds)
		order := []*byteServer{ours, theirs}
		if round%2 == 1 {
			order = []*byteServer{theirs, ours}
		}
		for _, s := range order {
			if err := do(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare puts both servers into one table.
func compare(title string, ours, theirs *byteServer) result {
	pairs := ratios(ours.rate, theirs.rate)
	t := table{title: title, columns: []string{"", "median MB/s", "least", "most", "CPU s per GiB", "peak RSS MiB"}}
	for _, s := range []*byteServer{ours, theirs} {
		t.add(s.name, s.rate.median(), s.rate.quantile(0), s.rate.quantile(1), s.cpu.median(), mib(s.peak))
	}
	t.add("ratio, pair by pair", pairs.median(), pairs.quantile(0), pairs.quantile(1), ratios(ours.cpu, theirs.cpu).median(), "")
	return result{Tables: []table{t}}
}
