package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/tools/common/schema"
	"go.temporal.io/server/tools/sql"
)

const (
	defaultStoreName    = "postgres"
	visibilityStoreName = "postgres-visibility"

	// maxConns bounds the connections of one store of one service. Four services hold two
	// stores each, and PostgreSQL accepts a hundred connections unless told otherwise.
	maxConns = 10

	connectTimeout = 10 * time.Second
	undefinedDB    = "3D000" // SQLSTATE invalid_catalog_name
)

// postgres says which PostgreSQL to use, and how.
type postgres struct {
	server     *url.URL // without a path
	database   string
	visibility string
	shards     int32
}

// postgresFlags are the flags about PostgreSQL before they are checked.
type postgresFlags struct {
	url, database, visibility string
	shards                    int
}

func (f *postgresFlags) define(fs *flag.FlagSet) {
	fs.StringVar(&f.url, "pg", "", "use PostgreSQL at `postgres://user:password@host:port` instead of SQLite; without a password PGPASSWORD is used")
	fs.StringVar(&f.database, "pg-db", "temporal", "`name` of the PostgreSQL database, made and updated when needed")
	fs.StringVar(&f.visibility, "pg-visibility-db", "temporal_visibility", "`name` of the PostgreSQL database for visibility, made and updated when needed")
	fs.IntVar(&f.shards, "shards", 4, "`number` of history shards of a new PostgreSQL database; it can never change later")
}

// parse returns nil when PostgreSQL is not wanted.
func (f *postgresFlags) parse() (*postgres, error) {
	if f.url == "" {
		return nil, nil
	}
	u, err := url.Parse(f.url)
	if err != nil {
		// The error of url.Parse would repeat the password.
		return nil, errors.New("check --pg: not a URL")
	}
	switch {
	case u.Scheme != "postgres" && u.Scheme != "postgresql", u.Hostname() == "", u.User.Username() == "":
		return nil, errors.New("check --pg: want postgres://user:password@host:port")
	case strings.Trim(u.Path, "/") != "":
		return nil, errors.New("check --pg: name the databases with --pg-db and --pg-visibility-db")
	case f.database == "" || f.visibility == "" || f.database == f.visibility:
		return nil, errors.New("check --pg-db: the two databases need two names")
	case f.shards < 1 || f.shards > 16384:
		return nil, fmt.Errorf("check --shards: %d is not between 1 and 16384", f.shards)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "5432")
	}
	u.Path = ""
	return &postgres{server: u, database: f.database, visibility: f.visibility, shards: int32(f.shards)}, nil
}

// addPassword completes a URL that came without one.
func (p *postgres) addPassword(password string) {
	if _, given := p.server.User.Password(); !given && password != "" {
		p.server.User = url.UserPassword(p.server.User.Username(), password)
	}
}

// openPostgres makes both databases when missing and brings their schemas up to date.
// Safe to repeat: what exists already is left as it is.
func openPostgres(ctx context.Context, p *postgres, logger log.Logger) (config.Persistence, error) {
	for database, schemaName := range map[string]string{
		p.database:   "postgresql/v12/temporal",
		p.visibility: "postgresql/v12/visibility",
	} {
		if err := p.ensureDatabase(ctx, database, logger); err != nil {
			return config.Persistence{}, err
		}
		if err := p.updateSchema(database, schemaName, logger); err != nil {
			return config.Persistence{}, err
		}
	}
	return config.Persistence{
		DefaultStore:     defaultStoreName,
		VisibilityStore:  visibilityStoreName,
		NumHistoryShards: p.shards,
		DataStores: map[string]config.DataStore{
			defaultStoreName:    {SQL: p.config(p.database)},
			visibilityStoreName: {SQL: p.config(p.visibility)},
		},
	}, nil
}

// config is how the server reaches one database.
func (p *postgres) config(database string) *config.SQL {
	password, _ := p.server.User.Password()
	attributes := map[string]string{}
	for key, values := range p.server.Query() {
		attributes[key] = values[0]
	}
	return &config.SQL{
		PluginName:        postgresql.PluginNamePGX,
		DatabaseName:      database,
		User:              p.server.User.Username(),
		Password:          password,
		ConnectAddr:       p.server.Host,
		ConnectProtocol:   "tcp",
		ConnectAttributes: attributes,
		MaxConns:          maxConns,
		MaxIdleConns:      maxConns,
		MaxConnLifetime:   time.Hour,
	}
}

// ensureDatabase creates the database when there is none. It looks first, because a role that
// owns its databases need not be allowed to create any.
func (p *postgres) ensureDatabase(ctx context.Context, database string, logger log.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	u := *p.server
	u.Path = "/" + database
	conn, err := pgx.Connect(ctx, u.String())
	if err == nil {
		return conn.Close(ctx)
	}
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != undefinedDB {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	if err := sql.DoCreateDatabase(p.config(database), "", logger); err != nil {
		return fmt.Errorf("create database %s: %w", database, err)
	}
	return nil
}

// updateSchema runs the server's own versioned schema changes that the database lacks.
func (p *postgres) updateSchema(database, schemaName string, logger log.Logger) error {
	conn, err := sql.NewConnection(p.config(database), logger)
	if err != nil {
		return fmt.Errorf("connect to database %s: %w", database, err)
	}
	defer conn.Close()
	// Sets the version to 0.0 on a new database and keeps a later one.
	setup := schema.SetupConfig{InitialVersion: "0.0"}
	if err := schema.NewSetupSchemaTask(conn, &setup, logger).Run(); err != nil {
		return fmt.Errorf("set up schema of %s: %w", database, err)
	}
	update := schema.UpdateConfig{SchemaName: schemaName}
	if err := schema.NewUpdateSchemaTask(conn, &update, logger).Run(); err != nil {
		return fmt.Errorf("update schema of %s: %w", database, err)
	}
	return nil
}
