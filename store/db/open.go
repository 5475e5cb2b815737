package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// DB is a handle to one database; it is safe for concurrent use.
type DB struct {
	read, write *gorm.DB // the same handle on PostgreSQL; SQLite has one writer and many readers
	registry    *gorm.DB // for changes of the registry; connections of its own on PostgreSQL
	notifier    *gorm.DB // one connection of its own on PostgreSQL; nil on SQLite
	dialect     Dialect
	url         string
	now         func() time.Time
	writers     Writers
}

// Options set what differs between installations and tests.
type Options struct {
	MaxConns int              // of PostgreSQL, per process; 0: 20
	Now      func() time.Time // the clock; nil: the system's
}

// registryConns is how many connections to PostgreSQL are kept for changes of the registry alone.
const registryConns = 4

// InsertBatch keeps one INSERT below the parameter limits of both databases. In rows.
const InsertBatch = 500

// Open connects to postgres://… or sqlite:FILE. It does not dial PostgreSQL before the first use,
// so a process can start while the database is down; use Ready.
func Open(url string, o Options) (*DB, error) {
	d := &DB{url: url, now: o.Now}
	if d.now == nil {
		d.now = time.Now
	}
	var err error
	switch {
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		d.dialect = Postgres
		d.write, err = openPostgres(url, o.MaxConns)
		d.read = d.write
		if err == nil {
			d.registry, err = openPostgres(url, registryConns)
		}
		if err == nil {
			d.notifier, err = openPostgres(url, 1)
		}
	case strings.HasPrefix(url, "sqlite:"):
		d.dialect = SQLite
		err = d.openSQLite(strings.TrimPrefix(url, "sqlite:"))
		d.registry = d.write
	default:
		err = errors.New("the address is of no known form (postgres://… or sqlite:FILE)")
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return d, nil
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
func (d *DB) Close() error {
	var errs []error
	for _, db := range []*gorm.DB{d.read, d.write, d.registry, d.notifier} {
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
func (d *DB) Ready(ctx context.Context) error {
	return Unavailable("check database", d.checkVersion(ctx))
}

// Now is the time as both databases keep it: UTC, in microseconds. A transaction has its own, Tx.Now.
func (d *DB) Now() time.Time { return d.now().UTC().Truncate(time.Microsecond) }

// Dialect is which of the two databases it is.
func (d *DB) Dialect() Dialect { return d.dialect }

// URL is what Open was given.
func (d *DB) URL() string { return d.url }

// Read is the handle for reading outside a transaction.
func (d *DB) Read(ctx context.Context) *gorm.DB { return d.read.WithContext(ctx) }

// Write is the handle for single statements that tell nobody of what they change. All others use Transact.
func (d *DB) Write(ctx context.Context) *gorm.DB { return d.write.WithContext(ctx) }

// Notifier is the connection over which PostgreSQL tells other processes; nil on SQLite.
func (d *DB) Notifier(ctx context.Context) *gorm.DB {
	if d.notifier == nil {
		return nil
	}
	return d.notifier.WithContext(ctx)
}

// patience is how long a call waits that was given no deadline of its own: a database that does not answer
// at all must not hold its callers for as long as TCP does.
const patience = 8 * time.Second

// Bounded gives a call that has no deadline one of some seconds.
func Bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, limited := ctx.Deadline(); limited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, patience)
}

// pool is for the migrator, which speaks database/sql.
func (d *DB) pool() (*sql.DB, error) { return d.write.DB() }
