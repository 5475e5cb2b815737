package cli

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/client"
	"github.com/formidling/formidling/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var deskServices atomic.Int64 // so that a test may run twice

// desk is where a test uses the client commands, as real processes, against a real broker's service of its own.
type desk struct {
	t       *testing.T
	broker  *testenv.Broker
	service string
	dir     string // files and state
	env     []string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return newDeskAt(t, testenv.SharedBroker(t))
}

func newDeskAt(t *testing.T, broker *testenv.Broker) *desk {
	t.Helper()
	d := &desk{t: t, broker: broker, dir: t.TempDir(), service: fmt.Sprintf("%s-%d", strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name())), deskServices.Add(1))}
	d.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "FORMIDLING_URL=" + broker.MTLS, "FORMIDLING_CA=" + broker.Root(), "FORMIDLING_SERVICE=" + d.service,
	}
	owner := d.sdk("310000019")
	_, err := client.Decode[struct{}](owner.API.CreateServiceOwner(t.Context(), client.CreateServiceOwnerJSONRequestBody{Name: "Office"}))
	if err != nil {
		var refused *client.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, http.StatusConflict, refused.Status)
	}
	_, err = client.Decode[struct{}](owner.API.PutResource(t.Context(), d.service, nil, client.ResourceUpdate{}))
	require.NoError(t, err)
	yes := true
	d.grant("310000027", client.GrantUpdate{Send: &yes})
	d.grant("310000035", client.GrantUpdate{Receive: &yes})
	return d
}

func (d *desk) sdk(number string) *client.Broker {
	d.t.Helper()
	c := &config{commands: New(Options{}), URL: d.broker.MTLS, CA: d.broker.Root(), Certificate: d.broker.Certificate(number)}
	b, err := c.connect(&display{quiet: true})
	require.NoError(d.t, err)
	return b
}

func (d *desk) grant(to string, terms client.GrantUpdate) {
	d.t.Helper()
	_, err := client.Decode[client.Grant](d.sdk("310000019").API.PutGrant(d.t.Context(), d.service, to, nil, terms))
	require.NoError(d.t, err)
}

// as is the environment of an organisation.
func (d *desk) as(number string, more ...string) []string {
	return append(append([]string{"FORMIDLING_CERTIFICATE=" + d.broker.Certificate(number)}, d.env...), more...)
}

const (
	deskSender    = "310000027"
	deskRecipient = "310000035"
)

// command is a run of formidling.
type command struct {
	*exec.Cmd
	out, err bytes.Buffer
}

func (d *desk) command(env []string, stdin io.Reader, args ...string) *command {
	d.t.Helper()
	program, err := testenv.Program("formidling")
	require.NoError(d.t, err)
	c := &command{Cmd: exec.CommandContext(d.t.Context(), program, args...)}
	c.Env, c.Dir, c.Stdin, c.Stdout, c.Stderr = env, d.dir, stdin, &c.out, &c.err
	return c
}

// run runs a command to its end.
func (d *desk) run(env []string, stdin io.Reader, args ...string) (out, complaint string, code int) {
	d.t.Helper()
	c := d.command(env, stdin, args...)
	_ = c.Run() // its exit code tells
	return c.out.String(), c.err.String(), c.ProcessState.ExitCode()
}

// ok runs a command that must succeed and returns what it printed.
func (d *desk) ok(env []string, args ...string) string {
	d.t.Helper()
	out, complaint, code := d.run(env, nil, args...)
	require.Zero(d.t, code, complaint)
	return strings.TrimSpace(out)
}

// file writes content into the desk's directory.
func (d *desk) file(name string, content []byte) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	require.NoError(d.t, os.WriteFile(path, content, 0o600))
	return path
}

func (d *desk) read(path string) []byte {
	d.t.Helper()
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.dir, path)
	}
	raw, err := os.ReadFile(path)
	require.NoError(d.t, err)
	return raw
}

// send sends a file and returns its transfer.
func (d *desk) send(content []byte, args ...string) string {
	d.t.Helper()
	return d.ok(d.as(deskSender), append([]string{"send", d.file("a.bin", content), "--to", deskRecipient}, args...)...)
}

// unfinished lists the sends that can be gone on with.
func (d *desk) unfinished() []string {
	d.t.Helper()
	found, err := filepath.Glob(filepath.Join(d.dir, ".local/state/formidling/sends/*"))
	require.NoError(d.t, err)
	return found
}

// following starts a command of the recipient's and returns the lines that it prints, and what ends it as Ctrl-C does.
func (d *desk) following(args ...string) (lines chan string, stop func() int) {
	d.t.Helper()
	c := d.command(d.as(deskRecipient), nil, args...)
	lines = make(chan string, 100)
	c.Stdout = lineWriter(lines)
	require.NoError(d.t, c.Start())
	return lines, func() int {
		require.NoError(d.t, c.Process.Signal(syscall.SIGINT))
		_ = c.Wait() // its exit code tells
		return c.ProcessState.ExitCode()
	}
}

type lineWriter chan string

// Write implements io.Writer for a program that prints whole lines.
func (w lineWriter) Write(p []byte) (int, error) { w <- string(p); return len(p), nil }
