package store

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
func (s *Store) Migrate(ctx context.Context) error {
	p, err := s.migrator()
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return unavailable("migrate database", err)
	}
	return nil
}

// ErrSchema tells that the schema is not the one this program needs.
var ErrSchema = errors.New("the database schema is not at this program's version; run `formidling migrate`")

func (s *Store) checkVersion(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var have int64
	err := s.read.WithContext(ctx).Raw("SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&have).Error
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

func (s *Store) migrator() (*goose.Provider, error) {
	pool, err := s.pool()
	if err != nil {
		return nil, fmt.Errorf("open migrator: %w", err)
	}
	files, err := s.dialect.translate(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var options []goose.ProviderOption
	if s.dialect == dialectPostgres { // SQLite has one writer anyway
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // asks every second, for five minutes
		if err != nil {
			return nil, fmt.Errorf("open migrator: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(s.dialect.goose(), pool, files, options...)
	if err != nil {
		return nil, fmt.Errorf("open migrator: %w", err)
	}
	return p, nil
}
