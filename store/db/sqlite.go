package db

import (
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"runtime"

	dialector "github.com/libtnb/sqlite"
	"gorm.io/gorm"
	"modernc.org/sqlite"
)

// SQLite has no digest of its own; the audit's trigger needs one (migrations/00003_audit.sqlite.sql).
func init() {
	sqlite.MustRegisterDeterministicScalarFunction("sha256_hex", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		text, ok := args[0].(string)
		if !ok {
			return nil, errors.New("sha256_hex takes a text")
		}
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:]), nil
	})
}

// openSQLite opens a file twice: SQLite allows one writer at a time, and a queue in our process is
// fairer and faster than its busy-wait. Readers go on beside the writer in WAL mode. What is committed is on
// the disk, by fdatasync(2), which the dialector's package switches on.
func (d *DB) openSQLite(file string) (err error) {
	pragmas := "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_time_format=sqlite&_timezone=UTC"
	if d.write, err = openSQLitePool(file+pragmas+"&_txlock=immediate", 1); err != nil {
		return err
	}
	d.read, err = openSQLitePool(file+pragmas+"&_pragma=query_only(1)", max(4, runtime.NumCPU()))
	return err
}

func openSQLitePool(dsn string, conns int) (*gorm.DB, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(preparing{connector})
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	db, err := gorm.Open(dialector.New(dialector.Config{Conn: pool}), config())
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return db, nil
}
