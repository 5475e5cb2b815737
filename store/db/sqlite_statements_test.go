package db

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// oneConnection opens a database of the numbers 1 to 9 on a connection that keeps its statements.
func oneConnection(t *testing.T) *sql.DB {
	t.Helper()
	db, err := openSQLitePool(filepath.Join(t.TempDir(), "x.db")+"?_pragma=journal_mode(WAL)", 1)
	require.NoError(t, err)
	pool, err := db.DB()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	_, err = pool.ExecContext(t.Context(), "CREATE TABLE n (i integer); INSERT INTO n (i) VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9)")
	require.NoError(t, err)
	return pool
}

// keptOf counts what the one connection keeps, and tells whether a text is among it.
func keptOf(t *testing.T, pool *sql.DB, text string) (n int, among bool) {
	t.Helper()
	c, err := pool.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	require.NoError(t, c.Raw(func(driver any) error {
		of, is := driver.(*preparingConn)
		require.True(t, is)
		require.Equal(t, len(of.kept), of.used.Len())
		n, among = len(of.kept), of.kept[text] != nil
		return nil
	}))
	return n, among
}

func numbers(t *testing.T, q interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}, text string, each func(int), args ...any,
) {
	t.Helper()
	rows, err := q.QueryContext(t.Context(), text, args...)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var i int
		require.NoError(t, rows.Scan(&i))
		each(i)
	}
	require.NoError(t, rows.Err())
}

func TestPreparing_AStatementThatIsBeingReadCanBeAskedAgain(t *testing.T) {
	t.Parallel()
	pool := oneConnection(t)
	const above = "SELECT i FROM n WHERE i > ? ORDER BY i"
	for range 2 { // the second time with what was kept
		tx, err := pool.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		var seen []int
		numbers(t, tx, above, func(i int) { // on the same connection, while the rows outside are open
			numbers(t, tx, above, func(j int) { seen = append(seen, 10*i+j) }, i+1)
		}, 6)
		require.Equal(t, []int{79}, seen)
		require.NoError(t, tx.Commit())
		_, among := keptOf(t, pool, above)
		require.True(t, among)
	}
}

func TestPreparing_KeepsWhatWasUsedLastAndNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	pool := oneConnection(t)
	const always = "SELECT i FROM n WHERE i = ?"
	for k := range keptStatements + 50 {
		numbers(t, pool, fmt.Sprintf("SELECT %d", k), func(i int) { require.Equal(t, k, i) })
		numbers(t, pool, always, func(i int) { require.Equal(t, k%9+1, i) }, k%9+1)
	}
	n, among := keptOf(t, pool, always)
	require.Equal(t, keptStatements, n)
	require.True(t, among)
	_, among = keptOf(t, pool, "SELECT 0")
	require.False(t, among)
}

func TestPreparing_AStatementOutlivesFaultsAndChangesOfTheSchema(t *testing.T) {
	t.Parallel()
	pool := oneConnection(t)
	const all, add = "SELECT * FROM n WHERE i = ?", "INSERT INTO n (i) VALUES (?)"
	count := func(column string) (cols int) {
		rows, err := pool.QueryContext(t.Context(), all, 1)
		require.NoError(t, err)
		defer func() { require.NoError(t, rows.Close()) }() // though nothing was read
		names, err := rows.Columns()
		require.NoError(t, err)
		require.Contains(t, names, column)
		require.NoError(t, rows.Err())
		return len(names)
	}
	require.Equal(t, 1, count("i"))
	_, err := pool.ExecContext(t.Context(), "ALTER TABLE n ADD COLUMN j text CHECK (i < 100)")
	require.NoError(t, err)
	require.Equal(t, 2, count("j"))
	_, err = pool.ExecContext(t.Context(), add, 11)
	require.NoError(t, err)
	_, err = pool.ExecContext(t.Context(), add, 100)
	require.ErrorContains(t, err, "CHECK")
	_, err = pool.ExecContext(t.Context(), add, 12)
	require.NoError(t, err)
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = pool.ExecContext(ended, add, 13)
	require.ErrorIs(t, err, context.Canceled)
	var last []int
	numbers(t, pool, "SELECT i FROM n WHERE i > 9 ORDER BY i", func(i int) { last = append(last, i) })
	require.Equal(t, []int{11, 12}, last)
	_, err = pool.ExecContext(t.Context(), "SELECT nonsense FROM nowhere")
	require.Error(t, err)
	_, among := keptOf(t, pool, "SELECT nonsense FROM nowhere")
	require.False(t, among)
}
