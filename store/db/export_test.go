package db

import "github.com/pressly/goose/v3"

// Patience is how long a call without a deadline waits.
const Patience = patience

// Migrator is the database's migrator.
func (d *DB) Migrator() (*goose.Provider, error) { return d.migrator() }
