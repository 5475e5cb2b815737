package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"

	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
)

// asProgram makes the test binary the program, so that a test can send it signals and look at its memory.
const asProgram = "GCSEMU_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a running program and a client of it.
type process struct {
	cmd    *exec.Cmd
	url    string
	bucket *storage.BucketHandle
	log    *bufio.Reader
}

var urlPattern = regexp.MustCompile(`url=(http://\S+)`)

func start(t *testing.T, dir string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], "--listen", "127.0.0.1:0", "--dir", dir, "--bucket", "files", "--bucket", "more")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	p := &process{cmd: cmd, log: bufio.NewReader(stderr)}
	line, err := p.log.ReadString('\n')
	require.NoError(t, err)
	m := urlPattern.FindStringSubmatch(line)
	require.NotNil(t, m, line)
	p.url = m[1]
	client, err := storage.NewClient(context.Background(),
		option.WithEndpoint(m[1]+"/storage/v1/"), option.WithoutAuthentication())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	p.bucket = client.Bucket("files")
	return p
}

// stop sends a signal and requires that the program ends well.
func (p *process) stop(t *testing.T, signal os.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(signal))
	rest, err := io.ReadAll(p.log)
	require.NoError(t, err)
	require.NoError(t, p.cmd.Wait(), string(rest))
	require.Contains(t, string(rest), "emulator stopped")
}

func (p *process) write(t *testing.T, name string, content io.Reader) {
	t.Helper()
	w := p.bucket.Object(name).If(storage.Conditions{DoesNotExist: true}).NewWriter(t.Context())
	_, err := io.Copy(w, content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

func TestProgram_KeepsObjectsAcrossARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir)
	first.write(t, "a", bytes.NewReader([]byte("content")))
	first.stop(t, syscall.SIGTERM)

	second := start(t, dir)
	r, err := second.bucket.Object("a").NewReader(t.Context())
	require.NoError(t, err)
	p, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, "content", string(p))
	second.stop(t, os.Interrupt)
}

func TestProgram_IsFoundByTheEnvironment(t *testing.T) { // which is one for all tests, so not in parallel
	p := start(t, t.TempDir())
	t.Setenv("STORAGE_EMULATOR_HOST", p.url)
	client, err := storage.NewClient(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	attrs, err := client.Bucket("more").Attrs(t.Context())
	require.NoError(t, err)
	require.Equal(t, "more", attrs.Name)
}

func TestProgram_KeepsObjectsWhenItIsKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir)
	first.write(t, "a", bytes.NewReader([]byte("content")))
	require.NoError(t, first.cmd.Process.Kill())
	require.Error(t, first.cmd.Wait())

	attrs, err := start(t, dir).bucket.Object("a").Attrs(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(len("content")), attrs.Size)
}

func TestProgram_RefusesWhatItCannotServe(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/file"
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, args := range map[string][]string{
		"a flag it does not know":     {"--other"},
		"an argument":                 {"more"},
		"a bucket with a bad name":    {"--dir", t.TempDir(), "--bucket", "A B"},
		"a directory that is a file":  {"--dir", file},
		"an address it may not claim": {"--dir", t.TempDir(), "--listen", "127.0.0.1:-1"},
	} {
		require.Error(t, run(t.Context(), args, io.Discard), name)
	}
}
