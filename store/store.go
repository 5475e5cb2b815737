package store

import (
	"context"
	"time"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/feed"
	"github.com/formidling/formidling/store/reads"
	"github.com/formidling/formidling/store/receipts"
	"github.com/formidling/formidling/store/registry"
	"github.com/formidling/formidling/store/subscriptions"
	"github.com/formidling/formidling/store/transfers"
	"github.com/formidling/formidling/store/tus"
)

// Store is a handle to one database with all its rooms; it is safe for concurrent use.
type Store struct {
	db *db.DB
	*feed.Feed
	*registry.Registry
	*receipts.Receipts
	*transfers.Transfers
	*tus.Tus
	*subscriptions.Subscriptions
	*reads.Reads
}

// Options set what differs between installations and tests.
type Options struct {
	MaxConns int              // of PostgreSQL, per process; 0: 20
	Now      func() time.Time // the clock; nil: the system's
	Quotas   *models.Quotas   // nil: the default
	// UploadsPerOrganisation run at once, at all replicas together; 0: no bound.
	UploadsPerOrganisation int
}

// Open connects to postgres://… or sqlite:FILE. It does not dial PostgreSQL before the first use,
// so a process can start while the database is down; use Ready.
func Open(url string, o Options) (*Store, error) {
	d, err := db.Open(url, db.Options{MaxConns: o.MaxConns, Now: o.Now})
	if err != nil {
		return nil, err
	}
	quotas := models.DefaultQuotas()
	if o.Quotas != nil {
		quotas = *o.Quotas
	}
	s := &Store{db: d, Feed: feed.New(d), Registry: registry.New(d, quotas)}
	s.Receipts = receipts.New(d, s.Registry)
	s.Transfers = transfers.New(d, s.Registry, s.Receipts, o.UploadsPerOrganisation)
	s.Tus = tus.New(d, s.Registry, s.Transfers)
	s.Subscriptions = subscriptions.New(d, s.Registry)
	s.Reads = reads.New(d, s.Feed, s.Registry)
	d.Use(db.Writers{Receipts: s.Receipts.Write, Events: s.Feed.Write, Notified: s.Notify})
	return s, nil
}

// Migrate brings the schema to the newest version. Several processes may call it at once on PostgreSQL.
func (s *Store) Migrate(ctx context.Context) error { return s.db.Migrate(ctx) }

// Ready tells whether the database answers and its schema is the one this program needs.
func (s *Store) Ready(ctx context.Context) error { return s.db.Ready(ctx) }

// DB is the database beneath the rooms.
func (s *Store) DB() *db.DB { return s.db }

// Close ends all connections, after other processes were told of what was committed.
func (s *Store) Close() error {
	s.Feed.Close()
	return s.db.Close()
}
