package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/internal/testenv"
)

// smallFile is what a life carries: 1 KiB.
var smallFile = noise[:1<<10]

const (
	loadClients = 50
	warmLives   = 15
)

// life is how long each step of one transfer took, in milliseconds.
type life struct {
	id                                             string
	initialize, upload, download, confirm, transit float64 // transit: from the first to the last
}

var lifeSteps = []struct {
	name string
	of   func(life) float64
}{
	{"initialize", func(l life) float64 { return l.initialize }},
	{"upload 1 KiB", func(l life) float64 { return l.upload }},
	{"download", func(l life) float64 { return l.download }},
	{"confirm", func(l life) float64 { return l.confirm }},
	{"initialize → confirmed", func(l life) float64 { return l.transit }},
}

// live sends one small file from the one to the other.
func live(ctx context.Context, sender, recipient *organisation, service string) (life, error) {
	var l life
	began := time.Now()
	step := func(to *float64, do func() error) func() error {
		return func() error {
			from := time.Now()
			err := do()
			*to = millis(time.Since(from))
			return err
		}
	}
	for _, do := range []func() error{
		step(&l.initialize, func() (err error) { l.id, err = sender.initialize(ctx, service, recipient.party); return err }),
		step(&l.upload, func() error {
			return sender.upload(ctx, l.id, bytes.NewReader(smallFile), int64(len(smallFile)))
		}),
		step(&l.download, func() error { return recipient.download(ctx, l.id, int64(len(smallFile))) }),
		step(&l.confirm, func() error { return recipient.confirm(ctx, l.id) }),
	} {
		if err := do(); err != nil {
			return l, err
		}
	}
	l.transit = millis(time.Since(began))
	return l, nil
}

func steps(of []life, step func(life) float64) sample {
	out := make(sample, len(of))
	for i, l := range of {
		out[i] = step(l)
	}
	return out
}

// lives measures whole lives: one after the other beside a broker without Temporal, then fifty at once.
func lives(ctx context.Context, l *lab) (result, error) {
	var r result
	err := l.livesEmbedded(ctx, &r)
	if err == nil {
		err = l.livesPostgres(ctx, &r)
	}
	return r, err
}

func (l *lab) livesEmbedded(ctx context.Context, r *result) error {
	b, err := l.startBroker(ctx, "lives", "")
	if err != nil {
		return err
	}
	defer b.stop()
	for _, do := range []func(context.Context, *broker, *result) error{l.livesAlone, l.livesEvents} {
		if err := do(ctx, b, r); err != nil {
			return err
		}
	}
	perSecond, err := l.livesLoad(ctx, b, "embedded (SQLite)", r)
	r.Targets = append(r.Targets, atLeast("whole lives at c=50, embedded", perSecond, 30, "/s"))
	return err
}

// livesAlone runs a life with Temporal and one without, in turn, and pairs them.
func (l *lab) livesAlone(ctx context.Context, b *broker, r *result) error {
	d, err := l.startDirect(ctx)
	if err != nil {
		return err
	}
	defer d.stop()
	l.say("lives one after the other, with and without Temporal")
	var with, without []life
	until := time.Now().Add(l.loadTime)
	for i := -warmLives; i < l.lives && time.Now().Before(until); i++ {
		for _, side := range []struct {
			*broker
			to *[]life
		}{{b, &with}, {d, &without}} {
			sender, recipient, err := side.pair()
			if err != nil {
				return err
			}
			one, err := live(ctx, sender, recipient, serviceLater) // no purge runs into the next life
			if err != nil {
				return err
			}
			if i >= 0 {
				*side.to = append(*side.to, one)
			}
		}
	}
	t := table{
		title:   fmt.Sprintf("%d small transfers one after the other, ms; the same broker without Temporal in turn; its share is the paired difference", len(with)),
		columns: []string{"step", "p50", "p99", "p50 without", "p99 without", "Temporal's p50", "p99"},
	}
	var share sample
	for _, s := range lifeSteps {
		a, b := steps(with, s.of), steps(without, s.of)
		share = differences(a, b)
		t.add(s.name, a.quantile(0.5), a.quantile(0.99), b.quantile(0.5), b.quantile(0.99), share.quantile(0.5), share.quantile(0.99))
	}
	r.Tables = append(r.Tables, t)
	r.Targets = append(r.Targets, atMost("Temporal's share of a life, p50", share.quantile(0.5), 40, "ms"))
	return nil
}

// livesEvents counts what Temporal wrote down of one transfer.
func (l *lab) livesEvents(ctx context.Context, b *broker, r *result) error {
	c, err := b.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	sender, recipient, err := b.pair()
	if err != nil {
		return err
	}
	t := table{title: "events in the history of a transfer to one recipient", columns: []string{"", "events"}}
	most := 0
	for _, kind := range []struct {
		service, what string
		purged        bool
	}{{serviceLater, "grace period PT2H, confirmed", false}, {serviceNow, "grace period PT0S, purged and ended", true}} {
		one, err := live(ctx, sender, recipient, kind.service)
		if err != nil {
			return err
		}
		id := "transfer/" + one.id
		if kind.purged {
			if err := c.GetWorkflow(ctx, id, "").Get(ctx, nil); err != nil {
				return fmt.Errorf("wait for %s: %w", id, err)
			}
		} else if err := settled(ctx, c, id); err != nil {
			return err
		}
		n, err := events(ctx, c, id)
		if err != nil {
			return err
		}
		t.add(kind.what, n)
		most = max(most, n)
	}
	r.Tables = append(r.Tables, t)
	r.Targets = append(r.Targets, atMost("history events of a transfer to one recipient", float64(most), 27, ""))
	return nil
}

// events counts the events of a workflow's latest run.
func events(ctx context.Context, c client.Client, workflow string) (int, error) {
	n := 0
	for all := c.GetWorkflowHistory(ctx, workflow, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); all.HasNext(); n++ {
		if _, err := all.Next(); err != nil {
			return n, fmt.Errorf("read history of %s: %w", workflow, err)
		}
	}
	return n, nil
}

// settled waits until an open workflow has written down what it had to.
func settled(ctx context.Context, c client.Client, workflow string) error {
	before := -1
	return until(ctx, 10*time.Second, "the history stands still", func(ctx context.Context) error {
		n, err := events(ctx, c, workflow)
		if err != nil || n != before {
			before = n
			time.Sleep(200 * time.Millisecond)
			return errors.Join(err, errors.New("it grows"))
		}
		return nil
	})
}

// livesLoad lets fifty clients live as fast as they can, and waits until all that they sent is purged.
func (l *lab) livesLoad(ctx context.Context, b *broker, name string, r *result) (perSecond float64, err error) {
	l.say("lives at c=%d, %s", loadClients, name)
	kept := b.files("")                                                     // of other measurements
	if _, _, err := l.load(ctx, b, 3*loadClients, l.loadTime); err != nil { // warm
		return 0, err
	}
	broker, temporal, client := b.cpu(), b.cpuOfChildren(), cpuOf("self")
	all, took, err := l.load(ctx, b, 10*l.lives, l.loadTime)
	if err != nil {
		return 0, err
	}
	purged, err := b.purged(ctx, kept, time.Minute)
	if err != nil {
		return 0, err
	}
	each := 1000 / float64(len(all)) // from seconds of all to milliseconds of one
	perSecond = float64(len(all)) / took.Seconds()
	t := table{title: fmt.Sprintf("whole lives, %d clients at once, %s", loadClients, name), columns: []string{"step", "p50 ms", "p99 ms"}}
	for _, s := range lifeSteps {
		of := steps(all, s.of)
		t.add(s.name, of.quantile(0.5), of.quantile(0.99))
	}
	r.Tables = append(r.Tables, t, table{
		title:   fmt.Sprintf("the same; CPU is per life, of a database server not counted, %d cores", runtime.NumCPU()),
		columns: []string{"lives", "lives/s", "all purged, s later", "CPU ms broker", "Temporal", "client"},
		rows: [][]any{{
			len(all), perSecond, purged.Seconds(),
			(b.cpu() - broker) * each, (b.cpuOfChildren() - temporal) * each, (cpuOf("self") - client) * each,
		}},
	})
	return perSecond, nil
}

// load runs lives on loadClients connections until there are enough or the time is over.
func (l *lab) load(ctx context.Context, b *broker, most int, limit time.Duration) ([]life, time.Duration, error) {
	var begun atomic.Int64
	var mu sync.Mutex
	var all []life
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for range loadClients {
		group.Go(func() error {
			sender, recipient, err := b.pair()
			for err == nil && begun.Add(1) <= int64(most) && time.Since(began) < limit {
				var one life
				if one, err = live(ctx, sender, recipient, serviceNow); err == nil {
					mu.Lock()
					all = append(all, one)
					mu.Unlock()
				}
			}
			return err
		})
	}
	err := group.Wait()
	return all, time.Since(began), err
}

// livesPostgres repeats the load with PostgreSQL as the broker's database.
func (l *lab) livesPostgres(ctx context.Context, r *result) error {
	pg, err := testenv.StartPostgres("fsync=on") //nolint:contextcheck // it has a limit of its own
	if err != nil {
		return err
	}
	defer pg.Stop()
	b, err := l.startBroker(ctx, "lives-postgres", pg.URL("postgres"))
	if err != nil {
		return err
	}
	defer b.stop()
	_, err = l.livesLoad(ctx, b, "PostgreSQL, fsync on", r)
	return err
}
