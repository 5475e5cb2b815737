package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	slowRate  = 1 << 20                // bytes per second of a slow client
	slowEvery = 100 * time.Millisecond // it sends a tenth of that
	slowFile  = 8 << 20
	// slowSettle is left to the connections of a measurement before the next one.
	slowSettle = time.Second
)

// memory watches how the process that serves (API and worker in one) grows with the size of a file and
// with the number of slow clients.
func memory(ctx context.Context, l *lab) (result, error) {
	b, err := l.startBroker(ctx, "memory", "")
	if err != nil {
		return result{}, err
	}
	defer b.stop()
	if _, _, err := l.load(ctx, b, loadClients, l.loadTime); err != nil { // what every process has after a while
		return result{}, err
	}
	s, err := b.byteServer()
	if err != nil {
		return result{}, err
	}
	m := &memoryTable{broker: b, t: table{
		title: "memory of the process (API and worker), MiB", columns: []string{"while", "idle before", "peak", "above idle", "per client"},
	}}
	r := result{}
	sizes := []int64{l.size}
	switch need := 2*l.large + 4<<30; {
	case l.large <= l.size:
	case free(l.tmp) < need:
		r.note("upload of %s left out: it needs %s of free disk", formatSize(l.large), formatSize(need))
	default:
		sizes = append(sizes, l.large)
	}
	for _, size := range sizes {
		l.say("memory during an upload of %s", formatSize(size))
		above, err := m.during(ctx, "upload of "+formatSize(size), 1, func() error { return s.upload(ctx, size) })
		if err != nil {
			return r, err
		}
		r.Targets = append(r.Targets, atMost("memory above idle, upload of "+formatSize(size), above, 64, "MiB"))
	}
	err = l.memorySlow(ctx, m, &r)
	r.Tables = []table{m.t}
	return r, err
}

// memorySlow holds many uploads and many downloads open at once, each at 1 MiB/s.
func (l *lab) memorySlow(ctx context.Context, m *memoryTable, r *result) error {
	ids := make([]string, l.slow)
	sender, recipient, err := m.broker.pair()
	if err != nil {
		return err
	}
	for i := range ids {
		if ids[i], err = sender.initialize(ctx, serviceLater, recipient.party); err != nil {
			return err
		}
	}
	all := func(do func(ctx context.Context, id string) error) func() error {
		return func() error {
			group, ctx := errgroup.WithContext(ctx)
			for _, id := range ids {
				group.Go(func() error { return do(ctx, id) })
			}
			return group.Wait()
		}
	}
	for _, kind := range []struct {
		name string
		do   func(ctx context.Context, id string) error
	}{
		{"uploads", func(ctx context.Context, id string) error {
			return sender.upload(ctx, id, &body{left: slowFile, pace: newPace()}, slowFile)
		}},
		{"downloads", func(ctx context.Context, id string) error { return recipient.downloadSlowly(ctx, id) }},
	} {
		l.say("memory during %d slow %s", l.slow, kind.name)
		above, err := m.during(ctx, fmt.Sprintf("%d slow %s", l.slow, kind.name), l.slow, all(kind.do))
		if err != nil {
			return err
		}
		r.Targets = append(r.Targets, atMost("memory per slow client, "+kind.name, above/float64(l.slow), 1, "MiB"))
	}
	return nil
}

func newPace() *pace { return &pace{chunk: slowRate / int(time.Second/slowEvery), every: slowEvery} }

// downloadSlowly reads a file as a thin link would, with a small window so that the bytes wait at the server.
func (o *organisation) downloadSlowly(ctx context.Context, id string) error {
	response, err := o.do(ctx, "GET", "/filetransfer/"+id+"/download", "", nil, 0)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	p, got := newPace(), int64(0)
	buffer := make([]byte, p.chunk)
	for {
		p.wait()
		n, err := response.Body.Read(buffer)
		got += int64(n)
		switch {
		case err == nil:
		case got == slowFile:
			return nil
		default:
			return errors.Join(fmt.Errorf("%d bytes came, not %d", got, slowFile), err)
		}
	}
}

// memoryTable collects the peaks of one process.
type memoryTable struct {
	broker *broker
	t      table
}

// during returns how many MiB the process grew at most, above what it had before.
func (m *memoryTable) during(ctx context.Context, what string, clients int, do func() error) (above float64, err error) {
	wire.CloseIdleConnections()
	select {
	case <-time.After(slowSettle):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	idle := m.broker.rss()
	if err := m.broker.forgetPeak(); err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	peak := m.broker.peak()
	above = mib(peak - idle)
	m.t.add(what, mib(idle), mib(peak), above, above/float64(clients))
	return above, nil
}
