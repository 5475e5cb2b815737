package feed

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// Whoever waits for events costs no query: it is woken by the process that wrote them. On PostgreSQL that process
// tells all others by NOTIFY, after the commit and not in it: within it, every commit of the installation would wait
// for every other one (docs/adr/0006-notify-after-commit.md). What is lost, because a process died in between or a
// connection broke, is found by one question for all that wait, every recheckEvery.
const (
	channel        = "formidling_events"
	recheckEvery   = 15 * time.Second
	pingEvery      = 30 * time.Second // the listening connection may be dead without saying so
	minBackoff     = 100 * time.Millisecond
	maxBackoff     = 5 * time.Second
	notifyPatience = 5 * time.Second // of who tells other processes
)

// watchers are those who wait, by party.
type watchers struct {
	mu   sync.Mutex
	of   map[models.Party]map[chan struct{}]struct{}
	seen map[models.Party]int64 // last number of a party, as recheck found it
}

// WatchEvents returns a channel that receives after events of a party were written, once for any number of them, and
// now and then for no reason. Watch first and then read, so that nothing falls between. Call stop when done.
func (f *Feed) WatchEvents(party models.Party) (wake <-chan struct{}, stop func()) {
	w, c := &f.watchers, make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of, w.seen = map[models.Party]map[chan struct{}]struct{}{}, map[models.Party]int64{}
	}
	if w.of[party] == nil {
		w.of[party] = map[chan struct{}]struct{}{}
	}
	w.of[party][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.of[party], c)
		if len(w.of[party]) == 0 {
			delete(w.of, party)
		}
	}
}

func (w *watchers) wake(parties ...models.Party) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range parties {
		for c := range w.of[p] {
			select {
			case c <- struct{}{}:
			default: // it has not yet heard the last one
			}
		}
	}
}

func (w *watchers) parties() []models.Party {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.of))
}

// forget drops what is known of parties that nobody waits for. It is not done when the last one leaves: most come
// back at once, and would be woken for nothing.
func (w *watchers) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.seen, func(p models.Party, _ int64) bool { return w.of[p] == nil })
}

// found notes where a party's sequence is and tells whether that is news.
func (w *watchers) found(p models.Party, last int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, watched := w.of[p]; !watched || w.seen[p] == last {
		return false
	}
	w.seen[p] = last
	return true
}

// Notify wakes who waits for events of these parties, here and in other processes.
func (f *Feed) Notify(parties []models.Party) {
	f.watchers.wake(parties...)
	select {
	case f.notified <- parties:
	default:
	}
	if f.db.Dialect() != db.Postgres {
		return
	}
	f.outbox.mu.Lock()
	defer f.outbox.mu.Unlock()
	if f.outbox.parties == nil {
		f.outbox.parties = map[models.Party]bool{}
	}
	for _, p := range parties {
		f.outbox.parties[p] = true
	}
	if !f.outbox.sending {
		f.outbox.sending = true
		f.outbox.group.Go(f.notifyOthers)
	}
}

// outbox holds who is to be woken in other processes, while an earlier notification is on its way.
type outbox struct {
	mu      sync.Mutex
	parties map[models.Party]bool
	sending bool
	group   sync.WaitGroup
}

func (o *outbox) take() []models.Party {
	o.mu.Lock()
	defer o.mu.Unlock()
	parties := slices.Sorted(maps.Keys(o.parties))
	o.parties = nil
	o.sending = len(parties) > 0
	return parties
}

// notifyOthers tells other processes until there is nobody left to tell. It tries again for a while, because the connection may
// have been lost since it was last used; after that recheck finds the events.
func (f *Feed) notifyOthers() {
	for parties := f.outbox.take(); len(parties) > 0; parties = f.outbox.take() {
		ctx, cancel := context.WithTimeout(context.Background(), notifyPatience)
		for err := f.sendNotification(ctx, parties); err != nil && ctx.Err() == nil; err = f.sendNotification(ctx, parties) {
			select {
			case <-ctx.Done():
			case <-time.After(minBackoff):
			}
		}
		cancel()
	}
}

func (f *Feed) sendNotification(ctx context.Context, parties []models.Party) error {
	for batch := range slices.Chunk(parties, db.InsertBatch) { // a message holds 8000 bytes
		// there is nothing to lose in a crash, so nobody needs to wait for the disk
		err := f.db.Notifier(ctx).Exec("SELECT set_config('synchronous_commit', 'off', true), pg_notify(?, ?)", channel, joinParties(batch)).Error
		if err != nil {
			return err
		}
	}
	return nil
}

func joinParties(parties []models.Party) string {
	var out strings.Builder
	for i, p := range parties {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(string(p))
	}
	return out.String()
}

// ListenForEvents wakes who waits for events that other processes wrote, until ctx ends. On PostgreSQL it keeps one
// connection to listen, and makes a new one when that is lost; lost is told the reason.
func (f *Feed) ListenForEvents(ctx context.Context, lost func(error)) {
	var group sync.WaitGroup
	defer group.Wait()
	if f.db.Dialect() == db.Postgres {
		group.Go(func() { f.listen(ctx, lost) })
	}
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := f.recheck(ctx); err != nil && ctx.Err() == nil {
				lost(err)
			}
		}
	}
}

func (f *Feed) listen(ctx context.Context, lost func(error)) {
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		listened, err := f.listenOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		lost(err)
		if listened {
			backoff = minBackoff
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff/2 + rand.N(backoff)): //nolint:gosec // G404: only to keep replicas apart
		}
	}
}

// listenOnce listens until the connection is lost, if it had one. What was written before it listened is found by all who wait.
func (f *Feed) listenOnce(ctx context.Context) (listened bool, err error) {
	dial, cancel := db.Bounded(ctx)
	defer cancel()
	conn, err := pgx.Connect(dial, f.db.URL())
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(dial, "LISTEN "+channel); err != nil {
		return false, err
	}
	f.watchers.wake(f.watchers.parties()...)
	for {
		wait, cancel := context.WithTimeout(ctx, pingEvery)
		n, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			for p := range strings.SplitSeq(n.Payload, ",") {
				f.watchers.wake(models.Party(p))
			}
		case ctx.Err() != nil:
			return true, ctx.Err()
		case !pgconn.Timeout(err):
			return true, err
		default:
			if err := ping(ctx, conn); err != nil {
				return true, err
			}
		}
	}
}

func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	return conn.Ping(ctx)
}

// recheck asks for all who wait at once whether there are events that nobody woke them for.
func (f *Feed) recheck(ctx context.Context) error {
	f.watchers.forget()
	for batch := range slices.Chunk(f.watchers.parties(), 10*db.InsertBatch) {
		ctx, cancel := db.Bounded(ctx)
		defer cancel()
		var rows []struct {
			Party models.Party
			Last  int64
		}
		if err := f.db.Read(ctx).Raw("SELECT party, last FROM party_sequences WHERE party IN ?", batch).Scan(&rows).Error; err != nil {
			return db.Unavailable("look for events", err)
		}
		for _, r := range rows {
			if f.watchers.found(r.Party, r.Last) {
				f.watchers.wake(r.Party)
			}
		}
	}
	return nil
}
