// Package testenv starts the real servers that tests run against: PostgreSQL and the Temporal devstack.
// Each is started once per test binary, on free ports with throw-away data, and dies with it.
// A missing program fails the test and says what to install; nothing is skipped.
package testenv

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver of the administrative connection
	"github.com/stretchr/testify/require"
)

// Server is a PostgreSQL of our own.
type Server struct {
	Port int
	dir  string
	proc *process
	bin  func(string) string
	cred *syscall.Credential
	more []string // settings, name=value
}

var (
	shared    *Server
	errShared error
	startOnce sync.Once
	databases atomic.Int64
)

// Postgres returns the URL of a new, empty database on the test binary's shared PostgreSQL.
func Postgres(t testing.TB) string {
	t.Helper()
	startOnce.Do(func() { shared, errShared = StartPostgres() })
	require.NoError(t, errShared)
	name := fmt.Sprintf("test_%d", databases.Add(1))
	shared.exec(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { shared.exec(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	return shared.URL(name)
}

// Main runs a package's tests and stops the servers that they started. Call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if broker != nil {
		broker.Stop()
	}
	if shared != nil {
		shared.Stop()
	}
	if devstack != nil {
		devstack.stop()
	}
	os.Exit(code)
}

// URL is where a database of the server is.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.Port, database)
}

func (s *Server) exec(t testing.TB, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", s.URL("postgres"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(context.Background(), statement)
	require.NoError(t, err)
}

// StartPostgres starts a PostgreSQL that its caller alone uses, and may stop and start again. Settings
// (name=value) win over ours, of which fsync=off is one.
func StartPostgres(settings ...string) (*Server, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "formidling-postgres-")
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	s := &Server{dir: dir, bin: bin, more: settings}
	if s.cred, err = unprivileged(dir); err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	initdb := exec.Command(bin("initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("start postgres: initdb: %w\n%s", err, out)
	}
	if s.Port, err = FreePort(); err != nil {
		return nil, err
	}
	return s, s.Start()
}

// Start starts the server on its data and waits until it answers.
func (s *Server) Start() error {
	args := []string{
		"-D", filepath.Join(s.dir, "data"), "-p", strconv.Itoa(s.Port),
		"-h", "127.0.0.1", "-k", s.dir, "-c", "fsync=off", "-c", "max_connections=300", "-c", "log_min_messages=panic",
	}
	for _, setting := range s.more {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(s.bin("postgres"), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	proc, err := start(cmd)
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.proc = proc
	return until(30*time.Second, "postgres answers", func(ctx context.Context) error {
		db, err := sql.Open("pgx", s.URL("postgres"))
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }()
		return db.PingContext(ctx)
	})
}

// Kill ends the server at once, as a power failure of its host would, and keeps its data.
func (s *Server) Kill() { s.proc.signal(syscall.SIGQUIT); s.proc.wait() }

// Stop ends the server and removes its data.
func (s *Server) Stop() {
	s.Kill()
	_ = os.RemoveAll(s.dir)
}

func postgresPrograms() (func(string) string, error) {
	places := []string{}
	if p, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			places = append(places, filepath.Dir(real))
		}
	}
	installed, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return nil, err
	}
	for _, dir := range append(places, installed...) {
		if _, err := os.Stat(filepath.Join(dir, "postgres")); err == nil {
			return func(name string) string { return filepath.Join(dir, name) }, nil
		}
	}
	return nil, fmt.Errorf("start postgres: neither initdb in PATH nor /usr/lib/postgresql/*/bin was found; install PostgreSQL, on Debian: apt-get install postgresql")
}

// unprivileged gives the directory to a user that PostgreSQL agrees to run as: it refuses root.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, uid, gid)
	}
	return nil, fmt.Errorf("find a user for postgres: neither %s exists", strings.Join([]string{"postgres", "nobody"}, " nor "))
}
