package db

import (
	"container/list"
	"context"
	"database/sql/driver"
	"errors"
	"slices"
)

// keptStatements bounds what one connection keeps parsed. A whole life of a transfer has some ninety texts.
const keptStatements = 256

// preparing is a SQLite connector whose connections parse and plan a statement once and keep it, as pgx does for
// PostgreSQL. SQLite by itself does so each time: a quarter of a broker's work under small transfers (docs/performance.md).
// database/sql keeps no statement that was prepared in a transaction, which is where nearly all of ours run.
type preparing struct{ driver.Connector }

// Connect implements driver.Connector.
func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, is := c.(sqliteConn)
	if !is {
		return nil, errors.Join(errors.New("the driver's connection is not as it was"), c.Close())
	}
	return &preparingConn{sqliteConn: whole, kept: map[string]*list.Element{}}, nil
}

// sqliteConn is what a connection of the driver can do, and what hiding would cost features of database/sql.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// sqliteStmt is the same of a statement.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// sqliteRows is the same of rows.
type sqliteRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

// preparingConn keeps statements by their text; who was used last stands in front. Like every connection it serves one
// goroutine at a time.
type preparingConn struct {
	sqliteConn
	kept map[string]*list.Element // of *keptStatement
	used list.List
}

type keptStatement struct {
	sqliteStmt
	text string
	busy bool // its rows are being read
}

// Unwrap gives the driver its own connection.
func (c *preparingConn) Unwrap() driver.Conn { return c.sqliteConn }

// statement returns a statement that is not in use, kept for the next time; nil when it is in use.
func (c *preparingConn) statement(ctx context.Context, text string) (*keptStatement, error) {
	if at, known := c.kept[text]; known {
		c.used.MoveToFront(at)
		if s, is := at.Value.(*keptStatement); is && !s.busy {
			return s, nil
		}
		return nil, nil //nolint:nilnil // what it means is said above
	}
	made, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	whole, is := made.(sqliteStmt)
	if !is {
		return nil, errors.Join(errors.New("the driver's statement is not as it was"), made.Close())
	}
	s := &keptStatement{sqliteStmt: whole, text: text}
	c.kept[text] = c.used.PushFront(s)
	return s, c.forget()
}

// forget closes the statement that was used longest ago, if there are too many.
func (c *preparingConn) forget() error {
	for at := c.used.Back(); at != nil && c.used.Len() > keptStatements; at = at.Prev() {
		if s, is := at.Value.(*keptStatement); is && !s.busy {
			c.used.Remove(at)
			delete(c.kept, s.text)
			return s.Close()
		}
	}
	return nil
}

// ExecContext implements driver.ExecerContext.
func (c *preparingConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.statement(ctx, text)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return c.sqliteConn.ExecContext(ctx, text, args)
	}
	return s.ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (c *preparingConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.statement(ctx, text)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return c.sqliteConn.QueryContext(ctx, text, args)
	}
	r, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	whole, is := r.(sqliteRows)
	if !is {
		return nil, errors.Join(errors.New("the driver's rows are not as they were"), r.Close())
	}
	s.busy = true
	return &keptRows{sqliteRows: whole, of: s}, nil
}

// Close implements driver.Conn.
func (c *preparingConn) Close() error {
	var errs []error
	for at := c.used.Front(); at != nil; at = at.Next() {
		if s, is := at.Value.(*keptStatement); is {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(slices.Concat(errs, []error{c.sqliteConn.Close()})...)
}

// keptRows give their statement back when they are closed.
type keptRows struct {
	sqliteRows
	of *keptStatement
}

// Close implements driver.Rows.
func (r *keptRows) Close() error {
	r.of.busy = false
	return r.sqliteRows.Close()
}
