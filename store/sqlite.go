package store

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"runtime"

	gosqlite "github.com/glebarez/go-sqlite"
	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
)

// SQLite has no digest of its own; the audit's trigger needs one (migrations/00003_audit.sqlite.sql).
func init() {
	gosqlite.MustRegisterDeterministicScalarFunction("sha256_hex", 1, func(_ *gosqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		text, ok := args[0].(string)
		if !ok {
			return nil, errors.New("sha256_hex takes a text")
		}
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:]), nil
	})
}

// openSQLite opens a file twice: SQLite allows one writer at a time, and a queue in our process is
// fairer and faster than its busy-wait. Readers go on beside the writer in WAL mode.
func (s *Store) openSQLite(file string) (err error) {
	pragmas := "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_time_format=sqlite"
	if s.write, err = openSQLitePool(file+pragmas+"&_txlock=immediate", 1); err != nil {
		return err
	}
	s.read, err = openSQLitePool(file+pragmas+"&_pragma=query_only(1)", max(4, runtime.NumCPU()))
	return err
}

func openSQLitePool(dsn string, conns int) (*gorm.DB, error) {
	db, err := gorm.Open(sqlite.Open(dsn), config())
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return db, nil
}
