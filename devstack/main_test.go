package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// asProgram in the environment makes the test binary behave as devstack, so that the tests see
// what a user sees: arguments, standard output, signals and exit status.
const asProgram = "DEVSTACK_AS_PROGRAM"

// lifeTimeout bounds the life of each devstack that a test starts.
const lifeTimeout = 2 * time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// running is a devstack in a process of its own.
type running struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr *bytes.Buffer
	ready  readiness
	conn   *grpc.ClientConn
}

// launch starts a devstack on free ports and does not wait for anything.
func launch(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lifeTimeout)
	t.Cleanup(cancel)
	args = append([]string{"--port", "0", "--ui-port", "-1"}, args...)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	r := &running{cmd: cmd, stdout: bufio.NewReader(stdout), stderr: &bytes.Buffer{}}
	cmd.Stderr = r.stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // has been waited for already, unless the test failed
		if t.Failed() {
			t.Logf("standard error of devstack:\n%s", r.stderr)
		}
	})
	return r
}

// start launches a devstack and waits for its announcement.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	r := launch(t, args...)
	line, err := r.stdout.ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, &r.ready))
	r.conn, err = grpc.NewClient(r.ready.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.conn.Close() })
	return r
}

// stop asks for an orderly end and demands exit status 0 and no further output.
func (r *running) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGTERM))
	r.awaitEnd(t)
}

// awaitEnd demands exit status 0 and no output after the announcement.
func (r *running) awaitEnd(t *testing.T) {
	t.Helper()
	rest, err := io.ReadAll(r.stdout)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.NoError(t, r.cmd.Wait())
}

// attributes asks the server for the namespace's own search attributes.
func (r *running) attributes(t *testing.T) map[string]enumspb.IndexedValueType {
	t.Helper()
	res, err := operatorservice.NewOperatorServiceClient(r.conn).ListSearchAttributes(t.Context(),
		&operatorservice.ListSearchAttributesRequest{Namespace: r.ready.Namespace})
	require.NoError(t, err)
	return res.GetCustomAttributes()
}

// namespace asks the server for the id and the retention of the namespace.
func (r *running) namespace(t *testing.T) (id string, retention time.Duration) {
	t.Helper()
	res, err := workflowservice.NewWorkflowServiceClient(r.conn).DescribeNamespace(t.Context(),
		&workflowservice.DescribeNamespaceRequest{Namespace: r.ready.Namespace})
	require.NoError(t, err)
	return res.GetNamespaceInfo().GetId(), res.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
}

// workflows counts what an operator would see in the namespace.
func (r *running) workflows(t *testing.T) int64 {
	t.Helper()
	res, err := workflowservice.NewWorkflowServiceClient(r.conn).CountWorkflowExecutions(t.Context(),
		&workflowservice.CountWorkflowExecutionsRequest{Namespace: r.ready.Namespace})
	require.NoError(t, err)
	return res.GetCount()
}

// get returns status and body of a page of the UI.
func (r *running) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.ready.UI+path, http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	content, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(content)
}
