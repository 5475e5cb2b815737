package db

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/formidling/formidling/models"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema to the newest version. Several processes may call it at once on PostgreSQL.
func (d *DB) Migrate(ctx context.Context) error {
	p, err := d.migrator()
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return Unavailable("migrate database", err)
	}
	return nil
}

// ErrSchema tells that the schema is not the one this program needs.
var ErrSchema = errors.New("the database schema is not at this program's version; run `formidling migrate`")

func (d *DB) checkVersion(ctx context.Context) error {
	ctx, cancel := Bounded(ctx)
	defer cancel()
	var have int64
	err := d.read.WithContext(ctx).Raw("SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&have).Error
	if err != nil {
		return err
	}
	if want := newestMigration(); have < want {
		return fmt.Errorf("%w: %w: at %d, needs %d", models.ErrUnavailable, ErrSchema, have, want)
	}
	return nil
}

// newestMigration is the highest number that a file's name begins with.
func newestMigration() (newest int64) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0 // the pattern is constant and valid
	}
	for _, f := range files {
		if n, err := goose.NumericComponent(f); err == nil {
			newest = max(newest, n)
		}
	}
	return newest
}

func (d *DB) migrator() (*goose.Provider, error) {
	pool, err := d.pool()
	if err != nil {
		return nil, fmt.Errorf("open migrator: %w", err)
	}
	files, err := d.dialect.translate(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var options []goose.ProviderOption
	if d.dialect == Postgres { // SQLite has one writer anyway
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // asks every second, for five minutes
		if err != nil {
			return nil, fmt.Errorf("open migrator: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(d.dialect.goose(), pool, files, options...)
	if err != nil {
		return nil, fmt.Errorf("open migrator: %w", err)
	}
	return p, nil
}
