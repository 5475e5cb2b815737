// Package store keeps the state of Formidling in PostgreSQL or SQLite. It is the only importer of GORM.
//
// Rows of a transfer are changed by the activities of that transfer's own workflow alone (accept.go,
// deliver.go, confirm.go, end.go); the API appends facts that decide nothing by themselves (facts.go)
// and reads (views.go, search.go). Services and rights are ordinary resources, each change of which is
// audited (resources.go, grants.go, access_lists.go, …, audit.go); decide.go asks them.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/formidling/formidling/models"
)

// Store is a handle to one database; it is safe for concurrent use.
type Store struct {
	read, write *gorm.DB // the same handle on PostgreSQL; SQLite has one writer and many readers
	registry    *gorm.DB // for changes of the registry; connections of its own on PostgreSQL
	dialect     dialect
	now         func() time.Time
	quotas      models.Quotas

	watchers watchers // who waits for events
	outbox   outbox
	notifier *gorm.DB // one connection of its own on PostgreSQL; nil on SQLite
	url      string
	told     chan []models.Party // who has new events, see Told
	signer   Signer              // nil: what must be receipted is signed after the transaction that says so
	unsigned sync.Map            // transfers of which the signer left something
	uploads  int                 // of one organisation at once, at all replicas; 0: no bound
}

// Options set what differs between installations and tests.
type Options struct {
	MaxConns int              // of PostgreSQL, per process; 0: 20
	Now      func() time.Time // the clock; nil: the system's
	Quotas   *models.Quotas   // nil: the default
	// UploadsPerOrganisation run at once, at all replicas together; 0: no bound.
	UploadsPerOrganisation int
}

// registryConns is how many connections to PostgreSQL are kept for changes of the registry alone.
const registryConns = 4

// Open connects to postgres://… or sqlite:FILE. It does not dial PostgreSQL before the first use,
// so a process can start while the database is down; use Ready.
func Open(url string, o Options) (*Store, error) {
	s := &Store{url: url, now: o.Now, quotas: models.DefaultQuotas(), told: make(chan []models.Party, toldBuffer), uploads: o.UploadsPerOrganisation}
	if o.Quotas != nil {
		s.quotas = *o.Quotas
	}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	switch {
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		s.dialect = dialectPostgres
		s.write, err = openPostgres(url, o.MaxConns)
		s.read = s.write
		if err == nil {
			s.registry, err = openPostgres(url, registryConns)
		}
		if err == nil {
			s.notifier, err = openPostgres(url, 1)
		}
	case strings.HasPrefix(url, "sqlite:"):
		s.dialect = dialectSQLite
		err = s.openSQLite(strings.TrimPrefix(url, "sqlite:"))
		s.registry = s.write
	default:
		err = errors.New("the address is of no known form (postgres://… or sqlite:FILE)")
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return s, nil
}

// config is made afresh for each handle: GORM keeps the handle's state in it.
func config() *gorm.Config {
	return &gorm.Config{
		Logger:                 logger.Discard, // errors are returned, and logged once where they end
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		TranslateError:         true,
		NowFunc:                func() time.Time { return time.Time{} }, // timestamps are never set behind our back
	}
}

func openPostgres(url string, maxConns int) (*gorm.DB, error) {
	db, err := gorm.Open(postgres.Open(url), config())
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	if maxConns <= 0 {
		maxConns = 20
	}
	pool.SetMaxOpenConns(maxConns)
	pool.SetMaxIdleConns(maxConns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return db, nil
}

// Close ends all connections.
func (s *Store) Close() error {
	s.outbox.group.Wait()
	var errs []error
	for _, db := range []*gorm.DB{s.read, s.write, s.registry, s.notifier} {
		if db == nil {
			continue
		}
		if pool, err := db.DB(); err != nil {
			errs = append(errs, err)
		} else {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// Ready tells whether the database answers and its schema is the one this program needs.
func (s *Store) Ready(ctx context.Context) error {
	return unavailable("check database", s.checkVersion(ctx))
}

// clock is now as both databases keep it: UTC, in microseconds.
func (s *Store) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// patience is how long a call waits that was given no deadline of its own: a database that does not answer
// at all must not hold its callers for as long as TCP does.
const patience = 8 * time.Second

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, limited := ctx.Deadline(); limited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, patience)
}

// transact runs fn in one transaction that is committed when fn returns nil.
func (s *Store) transact(ctx context.Context, what string, fn func(tx *gorm.DB) error) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	t := &told{parties: map[models.Party]bool{}, by: s}
	err := s.write.WithContext(context.WithValue(ctx, toldKey{}, t)).Transaction(fn)
	if err == nil {
		s.committed(t)
	}
	return unavailable(what, err)
}

// pool is for the migrator, which speaks database/sql.
func (s *Store) pool() (*sql.DB, error) { return s.write.DB() }
