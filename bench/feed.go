package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

const (
	feedRate   = 20 // transfers per second
	feedTarget = 20 // ms, p95 of a read
	feedIdle   = 5 * time.Second
	feedPage   = 50
)

// feed measures who waits for events: how soon it is notified, what waiting costs, and reading among many events.
func feed(ctx context.Context, l *lab) (result, error) {
	var r result
	err := l.feedOn(ctx, "embedded (SQLite)", "feed", "", &r)
	if err != nil {
		return r, err
	}
	pg, err := testenv.StartPostgres("fsync=on") //nolint:contextcheck // it has a limit of its own
	if err != nil {
		return r, err
	}
	defer pg.Stop()
	if err := l.feedOn(ctx, "PostgreSQL, fsync on", "feed-postgres", pg.URL("postgres"), &r); err != nil {
		return r, err
	}
	if err := l.feedReads(ctx, "PostgreSQL", pg.URL("postgres"), &r); err != nil {
		return r, err
	}
	return r, l.feedReads(ctx, "embedded (SQLite)", "sqlite:"+filepath.Join(l.tmp, "feed.db"), &r)
}

// feedOn measures one installation.
func (l *lab) feedOn(ctx context.Context, name, directory, database string, r *result) error {
	b, err := l.startBroker(ctx, directory, database)
	if err != nil {
		return err
	}
	defer b.stop()
	if err := l.feedLatency(ctx, b, name, r); err != nil {
		return err
	}
	return l.feedWaiting(ctx, b, name, r)
}

// patient is the client of those who wait: thousands of them must not need large buffers.
var patient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1 << 16, DisableCompression: true}}

// readEvent is one event as a client reads it.
type readEvent struct{ ID, Type, ResourceInstance string }

// events reads the feed behind an id.
func (o *organisation) events(ctx context.Context, by *http.Client, query string) ([]readEvent, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(o.base, "/broker/api/v1")+"/events/api/v1/events?"+query, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+o.token)
	response, err := by.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read events: %s", response.Status)
	}
	var events []readEvent
	return events, json.NewDecoder(response.Body).Decode(&events)
}

// moments are when something happened to transfers.
type moments struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (m *moments) note(id string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at[id] = at
}

// feedLatency sends transfers at a steady rate and measures from the last byte sent to the recipient's long poll.
func (l *lab) feedLatency(ctx context.Context, b *broker, name string, r *result) error {
	l.say("notified of files, %d transfers/s, %s", feedRate, name)
	sender, recipient, err := b.pair()
	if err != nil {
		return err
	}
	sent, notified := moments{at: map[string]time.Time{}}, moments{at: map[string]time.Time{}}
	total := max(feedRate, int(l.loadTime.Seconds()*feedRate))
	listening, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return recipient.listen(listening, total, &notified) })
	sending, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for n := range total {
		if err := pause(ctx, time.Until(began.Add(time.Duration(n)*time.Second/feedRate))); err != nil {
			return err
		}
		sending.Go(func() error {
			id, err := sender.initialize(ctx, serviceLater, recipient.party)
			if err != nil {
				return err
			}
			last := &lastByte{from: &body{left: int64(len(smallFile))}}
			err = sender.upload(ctx, id, last, int64(len(smallFile)))
			sent.note(id, last.at)
			return err
		})
	}
	if err := sending.Wait(); err != nil {
		return err
	}
	took := time.Since(began)
	if err := group.Wait(); err != nil {
		return err
	}
	var all sample
	for id, at := range sent.at {
		all = append(all, millis(notified.at[id].Sub(at)))
	}
	t := table{title: "last byte sent → recipient notified by long poll, " + name, columns: []string{"transfers", "per second", "p50 ms", "p99 ms", "most"}}
	t.add(len(all), float64(len(all))/took.Seconds(), all.quantile(0.5), all.quantile(0.99), all.quantile(1))
	r.Tables = append(r.Tables, t)
	r.Targets = append(r.Targets, atMost("last byte → recipient notified, p99, "+name, all.quantile(0.99), 1000, "ms"))
	return nil
}

// listen polls until it was notified of so many files.
func (o *organisation) listen(ctx context.Context, files int, notified *moments) error {
	after := "0"
	for n := 0; n < files; {
		events, err := o.events(ctx, patient, "wait=60&size=1000&type=published&after="+after)
		if err != nil {
			return err
		}
		for _, e := range events {
			notified.note(e.ResourceInstance, time.Now())
			after = e.ID
			n++
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// feedWaiting lets many clients wait, each of another organisation, and then wakes one.
func (l *lab) feedWaiting(ctx context.Context, b *broker, name string, r *result) error {
	l.say("%d clients wait, %s", l.waiting, name)
	wire.CloseIdleConnections()
	patient.CloseIdleConnections()
	before := b.rss()
	waitingCtx, stop := context.WithCancel(ctx)
	defer stop()
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer stop()
	for n := range l.waiting {
		client, err := b.as(models.Norwegian(fmt.Sprintf("35%07d", n)))
		if err != nil {
			return err
		}
		waiting.Go(func() {
			for waitingCtx.Err() == nil {
				if _, err := client.events(waitingCtx, patient, "wait=60"); err != nil {
					_ = pause(waitingCtx, time.Second) // the measurement counts who is connected
				}
			}
		})
	}
	if err := until(ctx, time.Minute, "all wait", func(context.Context) error {
		if n := b.connections(); n < l.waiting {
			return fmt.Errorf("%d are connected, not %d", n, l.waiting)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := pause(ctx, time.Second); err != nil { // the first questions are over
		return err
	}
	held, cpu := mib(b.rss()-before), b.cpu()
	if err := pause(ctx, feedIdle); err != nil {
		return err
	}
	busy := (b.cpu() - cpu) / feedIdle.Seconds() * 100
	t := table{
		title:   "clients that wait, each of another organisation, " + name + "; CPU of one core while nothing happens",
		columns: []string{"clients", "MiB before", "MiB more", "KiB each", "CPU %"},
	}
	t.add(l.waiting, mib(before), held, held*1024/float64(max(1, l.waiting)), busy)
	r.Tables = append(r.Tables, t)
	r.Targets = append(r.Targets, atMost(fmt.Sprintf("memory of %d waiting clients, %s", l.waiting, name), held, float64(l.waiting)/10, "MiB"))
	return nil
}

// feedReads asks a feed of many events in each way in which it can be filtered.
func (l *lab) feedReads(ctx context.Context, name, url string, r *result) error {
	l.say("a feed of %d events, %s", l.feedEvents, name)
	const reader models.Party = "0192:360000000"
	s, err := store.Open(url, store.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	if err := fillFeed(ctx, url, reader, l.feedEvents); err != nil {
		return err
	}
	t := table{title: fmt.Sprintf("a page of %d of a feed of %d events, from anywhere in it, %s", feedPage, l.feedEvents, name), columns: []string{"filter", "p50 ms", "p95 ms"}}
	worst := 0.0
	for _, q := range []struct {
		name   string
		filter models.EventFilter
	}{
		{"none", models.EventFilter{}},
		{"a type", models.EventFilter{Types: []string{"published"}}},
		{"a rare type", models.EventFilter{Types: []string{"cancelled"}}},
		{"a type that never was", models.EventFilter{Types: []string{"confirmationreminder"}}},
		{"two types", models.EventFilter{Types: []string{"published", "cancelled"}}},
		{"a service", models.EventFilter{Resource: "service-3"}},
		{"a rare service", models.EventFilter{Resource: "rare"}},
		{"a service and a rare type", models.EventFilter{Resource: "service-3", Types: []string{"cancelled"}}},
		{"of a supplier with three services", models.EventFilter{Sights: []models.Sight{{Resource: "service-1"}, {Resource: "rare"}, {Resource: "none"}}}},
		{"another subject", models.EventFilter{Subject: string(senderParty)}},
	} {
		var took sample
		for i := range searchRepeats + 1 {
			after := rand.Int64N(int64(l.feedEvents)) //nolint:gosec // G404: no secret, only anywhere in the feed
			from := time.Now()
			if _, err := s.EventsAfter(ctx, reader, after, q.filter, feedPage); err != nil {
				return err
			}
			if i > 0 { // the first one warms
				took = append(took, millis(time.Since(from)))
			}
		}
		t.add(q.name, took.quantile(0.5), took.quantile(0.95))
		worst = max(worst, took.quantile(0.95))
	}
	r.Tables = append(r.Tables, t)
	r.Targets = append(r.Targets, atMost(fmt.Sprintf("feed of %d events, the slowest filter's p95, %s", l.feedEvents, name), worst, feedTarget, "ms"))
	return nil
}

// feedFill tells $2 events to $1, of twenty services, a hundredth of them cancellations. What differs between databases is
// in braces.
const feedFill = `
INSERT INTO party_sequences VALUES ($1, $2) ON CONFLICT (party) DO UPDATE SET last = excluded.last;
INSERT INTO events (party, seq, id, type, transfer_id, resource_id, role, at, detail)
SELECT $1, i, {id}, CASE WHEN i % 100 = 0 THEN 'cancelled' WHEN i % 2 = 0 THEN 'published' ELSE 'downloadconfirmed' END,
	'00000000-0000-0000-0000-000000000000', CASE WHEN i % 1000 = 0 THEN 'rare' ELSE 'service-' || i % 20 END, 'Recipient', {now}, ''
FROM {numbers};`

// fillFeed puts events into an organisation's feed, without the transfers that they would be of.
func fillFeed(ctx context.Context, url string, reader models.Party, events int) error {
	driver, before, after := "pgx", "SET session_replication_role = replica", "VACUUM ANALYZE events; CHECKPOINT"
	words := []string{"{id}", "gen_random_uuid()", "{now}", "now()", "{numbers}", "generate_series(1, $2) i"}
	if file, is := strings.CutPrefix(url, "sqlite:"); is {
		driver, url, before, after = "sqlite", file+"?_pragma=busy_timeout(10000)", "PRAGMA foreign_keys = off", "ANALYZE"
		words = []string{
			"{id}", "lower(hex(randomblob(16)))", "{now}", "'2026-11-26 12:00:00+00:00'", "{numbers}",
			"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2) SELECT i FROM n)",
		}
	}
	db, err := sql.Open(driver, url)
	if err != nil {
		return fmt.Errorf("fill feed: %w", err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // the first statement is for the connection
	script := strings.NewReplacer(words...).Replace(feedFill)
	script = strings.NewReplacer("$1", "'"+string(reader)+"'", "$2", strconv.Itoa(events)).Replace(script)
	for _, statement := range append([]string{before, script}, strings.Split(after, "; ")...) {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("fill feed: %w", err)
		}
	}
	return nil
}

// connections counts how many clients are connected to the broker.
func (b *broker) connections() int {
	raw, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(b.base, "http://"), ":")
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	established := regexp.MustCompile(fmt.Sprintf(": 0100007F:%04X [0-9A-F]{8}:[0-9A-F]{4} 01 ", n))
	return len(established.FindAll(raw, -1))
}
