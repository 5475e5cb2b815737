package db

import (
	"io/fs"
	"regexp"
	"strings"
	"testing/fstest"

	"github.com/pressly/goose/v3"
)

// Dialect is one of the two databases we speak to.
type Dialect string

// The two databases.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

func (d Dialect) goose() goose.Dialect {
	if d == SQLite {
		return goose.DialectSQLite3
	}
	return goose.DialectPostgres
}

// sqliteTypes are the only words in which the migrations differ: the driver reads a column as a time
// only when it is declared datetime, and uuid would get numeric affinity.
var sqliteTypes = map[string]string{"timestamptz": "datetime", "uuid": "text", "bigint": "integer"}

var typeWords = regexp.MustCompile(`\b(timestamptz|uuid|bigint)\b`)

// translate returns the migrations in this dialect. There is one text for both databases, so that they cannot
// drift apart; only what needs a trigger has two, named for the database: 00003_audit.postgres.sql.
func (d Dialect) translate(files fs.FS, dir string) (fs.FS, error) {
	sub, err := fs.Sub(files, dir)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(sub, "*.sql")
	if err != nil {
		return nil, err
	}
	out := fstest.MapFS{}
	for _, name := range names {
		text, err := fs.ReadFile(sub, name)
		if err != nil {
			return nil, err
		}
		plain, own, special := strings.Cut(strings.TrimSuffix(name, ".sql"), ".")
		if special {
			if own == string(d) {
				out[plain+".sql"] = &fstest.MapFile{Data: text}
			}
			continue
		}
		if d == Postgres {
			out[name] = &fstest.MapFile{Data: text}
			continue
		}
		text = typeWords.ReplaceAllFunc(text, func(w []byte) []byte { return []byte(sqliteTypes[string(w)]) })
		out[name] = &fstest.MapFile{Data: text}
	}
	return out, nil
}
