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

// smallest is the file that the longer ones are compared with, in bytes.
const smallest = 1 << 20

// memory watches how the process that serves (API and worker in one) grows with the size of a file, on the local disk and
// with Cloud Storage, and with the number of slow clients.
func memory(ctx context.Context, l *lab) (result, error) {
	b, err := l.startBroker(ctx, "memory", "")
	if err != nil {
		return result{}, err
	}
	defer b.stop()
	if _, _, err := l.load(ctx, b, loadClients, l.loadTime); err != nil { // what every process has after a while
		return result{}, err
	}
	m := newMemoryTable(b, "memory of the process (API and worker), MiB")
	r := result{}
	sizes := []int64{smallest, l.size}
	switch need := l.large + 4<<30; {
	case l.large <= l.size:
	case free(l.tmp) < need:
		r.note("uploads of %s left out: they need %s of free disk", formatSize(l.large), formatSize(need))
	default:
		sizes = append(sizes, l.large)
	}
	err = m.uploads(ctx, l, &r, "to the disk", false, 64, sizes...)
	if err == nil {
		err = l.memorySlow(ctx, m, &r)
	}
	r.Tables = []table{m.t}
	if err != nil {
		return r, err
	}
	b.stop()
	cloud, err := l.memoryInCloud(ctx, "memory-cloud", false, smallest, l.size)
	r.Tables, r.Targets = append(r.Tables, cloud.Tables...), append(r.Targets, cloud.Targets...)
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

func newMemoryTable(b *broker, title string) *memoryTable {
	return &memoryTable{broker: b, t: table{title: title, columns: []string{"while", "idle before", "peak", "above idle", "per client"}}}
}

// uploads sends files of some sizes in each way, one after the other, and deletes them. sparse ones are zeros. most is how
// many MiB the process may have above what it had before the first of them: buffers that it keeps count for all.
func (m *memoryTable) uploads(ctx context.Context, l *lab, r *result, where string, sparse bool, most float64, sizes ...int64) error {
	fresh := m.broker.rss()
	for _, kind := range []struct {
		name   string
		upload func(context.Context, *organisation, string, int64) error
	}{
		{"plain", func(ctx context.Context, o *organisation, id string, size int64) error {
			return o.upload(ctx, id, &body{left: size, sparse: sparse}, size)
		}},
		{"tus", func(ctx context.Context, o *organisation, id string, size int64) error {
			c := tusClient{http: o.client(), token: o.token, sparse: sparse}
			if _, err := c.single(ctx, o.base+"/filetransfer/upload/tus/"+id, size); err != nil {
				return err
			}
			return o.published(ctx, id)
		}},
	} {
		s, err := m.broker.way(kind.name, nil, serviceLater, kind.upload)
		if err != nil {
			return err
		}
		for _, size := range sizes {
			what := fmt.Sprintf("%s upload of %s %s", kind.name, formatSize(size), where)
			l.say("memory during a %s", what)
			above, err := m.during(ctx, what, 1, func() error { return s.upload(ctx, size) })
			above = max(above, mib(m.broker.peak()-fresh))
			if err == nil {
				err = s.discard(ctx)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			r.Targets = append(r.Targets, atMost("memory above idle, "+what, above, most, "MiB"))
		}
	}
	return nil
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
