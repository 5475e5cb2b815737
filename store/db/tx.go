package db

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// Tx is one transaction of the store. It commits when the function that it was given to returns nil; before that it
// writes the receipts and then the events that were asked for, in one place, so that no lock on a chain or on a party's
// sequence is held while anything else is done.
type Tx struct {
	*gorm.DB
	of       *DB
	clock    time.Time // zero: not read yet
	now      time.Time
	floor    time.Time
	receipts []models.ReceiptDraft
	events   []models.Notice
	notified map[models.Party]bool
	onCommit []func()
}

// Writers write what a transaction collected, as it commits. Each room that owns such rows gives its own (Use).
type Writers struct {
	Receipts func(*Tx, []models.ReceiptDraft) error
	Events   func(*Tx, []models.Notice) error
	Notified func([]models.Party) // after the commit
}

// errNoWriter tells of a store that was put together without a room: nothing is dropped silently.
var errNoWriter = errors.New("commit: nobody writes receipts or events in this store")

// Use sets who writes receipts and events. Call it before the first transaction.
func (d *DB) Use(w Writers) { d.writers = w }

// Transact runs fn in one transaction. what is said of an error: what was being done.
func (d *DB) Transact(ctx context.Context, what string, fn func(*Tx) error) error {
	return d.transact(ctx, d.write, what, fn)
}

// TransactRegistry is Transact for changes of the registry. It has connections of its own, so that taking a right away
// never waits behind uploads.
func (d *DB) TransactRegistry(ctx context.Context, what string, fn func(*Tx) error) error {
	return d.transact(ctx, d.registry, what, fn)
}

func (d *DB) transact(ctx context.Context, handle *gorm.DB, what string, fn func(*Tx) error) error {
	ctx, cancel := Bounded(ctx)
	defer cancel()
	var tx *Tx
	err := handle.WithContext(ctx).Transaction(func(g *gorm.DB) error {
		tx = &Tx{DB: g, of: d, notified: map[models.Party]bool{}}
		if err := fn(tx); err != nil {
			return err
		}
		return tx.write()
	})
	if err == nil {
		tx.committed()
	}
	return Unavailable(what, err)
}

// Now is the transaction's time: the clock is read once, at the first call, which comes after the locks that order the
// transaction among others. Everything that the transaction writes has this time.
func (t *Tx) Now() time.Time {
	if t.now.IsZero() {
		t.now = Later(t.Clock(), t.floor)
	}
	return t.now
}

// Clock is what the clock showed, whatever the rows tell of: leases are renewed where no row is read, so they are given and
// looked at by it alone.
func (t *Tx) Clock() time.Time {
	if t.clock.IsZero() {
		t.clock = t.of.Now()
	}
	return t.clock
}

// NotBefore keeps Now from lying before a moment that the rows tell of, though clocks of replicas differ or are set
// back. It counts until Now is first called.
func (t *Tx) NotBefore(at time.Time) { t.floor = Later(t.floor, at.UTC()) }

// Later is the later of two moments.
func Later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Context is the transaction's, which ends with it.
func (t *Tx) Context() context.Context { return t.Statement.Context }

// Dialect is which of the two databases it is.
func (t *Tx) Dialect() Dialect { return t.of.dialect }

// Receipt has the commit write receipts down, in the order in which they were asked for.
func (t *Tx) Receipt(drafts ...models.ReceiptDraft) { t.receipts = append(t.receipts, drafts...) }

// Event has the commit write events, behind the receipts, and wake who waits for them.
func (t *Tx) Event(notices ...models.Notice) { t.events = append(t.events, notices...) }

// Wake has organisations woken after the commit as if they had an event.
func (t *Tx) Wake(parties ...models.Party) {
	for _, p := range parties {
		t.notified[p] = true
	}
}

// OnCommit has something done after the commit; never if there is none.
func (t *Tx) OnCommit(fn func()) { t.onCommit = append(t.onCommit, fn) }

func (t *Tx) write() error {
	if len(t.receipts) > 0 {
		if t.of.writers.Receipts == nil {
			return errNoWriter
		}
		if err := t.of.writers.Receipts(t, t.receipts); err != nil {
			return err
		}
	}
	if len(t.events) == 0 {
		return nil
	}
	if t.of.writers.Events == nil {
		return errNoWriter
	}
	if err := t.of.writers.Events(t, t.events); err != nil {
		return err
	}
	for _, n := range t.events {
		t.Wake(n.To)
	}
	return nil
}

func (t *Tx) committed() {
	for _, fn := range t.onCommit {
		fn()
	}
	if len(t.notified) > 0 && t.of.writers.Notified != nil {
		t.of.writers.Notified(slices.Sorted(maps.Keys(t.notified)))
	}
}
