package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestDevstack_SetsUpAnEmptyPostgresAndFindsItAgain(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t)

	first := start(t, "--pg", pg.String())
	require.EqualValues(t, defaultAttributes(), first.attributes(t))
	id, _ := first.namespace(t)
	require.Zero(t, first.workflows(t))
	first.stop(t)

	second := start(t, "--pg", pg.String(), "--search-attribute", "Extra=Bool", "--retention", "48h")
	require.Contains(t, second.attributes(t), "Extra")
	sameID, retention := second.namespace(t)
	require.Equal(t, id, sameID)
	require.Equal(t, 48*time.Hour, retention)
	second.stop(t)

	wrong := *pg
	wrong.User = url.UserPassword("temporal", "guessed")
	third := launch(t, "--pg", wrong.String())
	require.Error(t, third.cmd.Wait())
	require.Contains(t, third.stderr.String(), "connect to PostgreSQL")
	require.NotContains(t, third.stderr.String(), "guessed")
}

// startPostgres runs an empty PostgreSQL for the length of the test, and returns its URL.
func startPostgres(t *testing.T) *url.URL {
	t.Helper()
	bin := postgresBinaries(t)
	// Not t.TempDir, whose parent the user that PostgreSQL runs as may not enter.
	dir, err := os.MkdirTemp("", "devstack-pg-") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	attr := unprivileged(t, dir)

	// A password that needs escaping in a URL.
	u := &url.URL{Scheme: "postgres", User: url.UserPassword("temporal", "p@ss/w:rd"), Host: freeAddress(t)}
	password, _ := u.User.Password()
	pwfile := filepath.Join(dir, "password")
	require.NoError(t, os.WriteFile(pwfile, []byte(password), 0o644)) // read by that other user

	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(t.Context(), filepath.Join(bin, "initdb"), "-D", data, "-U", "temporal",
		"-A", "scram-sha-256", "--pwfile", pwfile, "--no-sync", "--encoding", "UTF8", "--no-locale")
	initdb.Dir, initdb.SysProcAttr = dir, attr
	out, err := initdb.CombinedOutput()
	require.NoError(t, err, "%s", out)

	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", u.Port(), "-k", dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")
	server.Dir, server.SysProcAttr = dir, attr
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT) // ends at once; nothing is worth keeping
		_ = server.Wait()
	})
	awaitPostgres(t, u)
	return u
}

// postgresBinaries finds the directory with initdb and postgres; without them the test fails.
func postgresBinaries(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	require.NoError(t, err)
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	require.NotEmpty(t, found, "PostgreSQL is not installed, on Debian: apt-get install postgresql")
	return filepath.Dir(found[len(found)-1])
}

// unprivileged hands dir to the user postgres when the test runs as root, as whom PostgreSQL
// refuses to run, and returns how to start a process as that user.
func unprivileged(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	require.NoError(t, err, "PostgreSQL does not run as root, and needs the user that its package makes")
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	require.NoError(t, err)
	require.NoError(t, os.Chown(dir, int(uid), int(gid)))
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func awaitPostgres(t *testing.T, u *url.URL) {
	t.Helper()
	err := until(t.Context(), 30*time.Second, "connect", func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, fmt.Sprintf("%s/postgres", u))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	require.NoError(t, err)
}
