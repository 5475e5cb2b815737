package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/internal/plainclient"
	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// The organisations of the tests, and their service. A broker in development knows these organisations by itself.
const (
	testOwner    models.Party = "0192:310000019"
	testSender   models.Party = "0192:310000027"
	testStranger models.Party = "0192:310000051"
	testService               = "demo-files"
)

var testRecipients = []models.Party{"0192:310000035", "0192:310000043"}

// installation is the production shape in real processes: PostgreSQL, Temporal, a Cloud Storage emulator,
// an API and a worker, each of which a test may kill and start again.
type installation struct {
	t        *testing.T
	dir      string
	env      []string
	url      string
	postgres *testenv.Server
	temporal *testenv.Devstack
	storage  *testenv.Running
	api      *testenv.Running
	worker   *testenv.Running
	port     struct{ api, temporal, storage int }
}

// install starts everything with made-up organisations, and makes a service.
func install(t *testing.T) *installation {
	t.Helper()
	i := installWith(t)
	i.makeService()
	return i
}

// installWith starts everything, with further settings.
func installWith(t *testing.T, settings ...string) *installation {
	t.Helper()
	i := &installation{t: t, dir: t.TempDir()}
	var err error
	for _, p := range []*int{&i.port.api, &i.port.temporal, &i.port.storage} {
		*p, err = testenv.FreePort()
		require.NoError(t, err)
	}
	i.postgres, err = testenv.StartPostgres()
	require.NoError(t, err)
	t.Cleanup(i.postgres.Stop)
	i.url = fmt.Sprintf("http://127.0.0.1:%d", i.port.api)
	i.env = []string{
		"FORMIDLING_LISTEN=" + strings.TrimPrefix(i.url, "http://"), "FORMIDLING_DATA=" + i.dir, "FORMIDLING_PUBLIC_URL=" + i.url,
		"DATABASE_URL=" + i.postgres.URL("postgres"), "OBJECTS=gs://files",
		fmt.Sprintf("STORAGE_EMULATOR_HOST=127.0.0.1:%d", i.port.storage),
		fmt.Sprintf("TEMPORAL_ADDRESS=127.0.0.1:%d", i.port.temporal),
		"FORMIDLING_PAYLOAD_KEYS=k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"FORMIDLING_SHUTDOWN_GRACE=PT20S",
	}
	i.env = append(i.env, settings...)
	i.startTemporal()
	t.Cleanup(func() { i.temporal.Kill() })
	i.startStorage()
	require.Zero(t, testenv.Run(t, "formidling", i.env, "migrate").Wait())
	i.startAPI()
	i.startWorker()
	testenv.Answers(t, i.url+"/readyz")
	return i
}

func (i *installation) startTemporal() {
	i.t.Helper()
	var err error
	i.temporal, err = testenv.StartDevstack(filepath.Join(i.dir, "temporal.db"), "0", "--port", fmt.Sprint(i.port.temporal))
	require.NoError(i.t, err)
}

func (i *installation) startStorage() {
	i.storage = testenv.Run(i.t, "gcsemu", nil, "--listen", fmt.Sprintf("127.0.0.1:%d", i.port.storage), "--dir", filepath.Join(i.dir, "gcs"), "--bucket", "files")
	testenv.Answers(i.t, fmt.Sprintf("http://127.0.0.1:%d/storage/v1/b/files", i.port.storage))
}

func (i *installation) startAPI() {
	i.api = testenv.Run(i.t, "formidling", i.env, "api")
	testenv.Answers(i.t, i.url+"/livez")
}

func (i *installation) startWorker() { i.worker = testenv.Run(i.t, "formidling", i.env, "worker") }

func (i *installation) makeService() {
	i.t.Helper()
	owner := i.as(testOwner)
	ctx := i.t.Context()
	require.NoError(i.t, owner.Post(ctx, "/serviceowner", map[string]any{"name": "o"}, nil))
	require.NoError(i.t, owner.Put(ctx, "/resource/"+testService, map[string]any{"purgeFileTransferGracePeriod": "PT0S"}))
	require.NoError(i.t, owner.Put(ctx, "/resource/"+testService+"/grants/"+testSender.Number(), map[string]any{"send": true, "receive": false}))
	for _, r := range testRecipients {
		require.NoError(i.t, owner.Put(ctx, "/resource/"+testService+"/grants/"+r.Number(), map[string]any{"send": false, "receive": true}))
	}
}

func (i *installation) as(o models.Party) *plainclient.Client {
	i.t.Helper()
	issuer, err := identity.OpenDevIssuer(i.dir, time.Now)
	require.NoError(i.t, err)
	token, err := issuer.Token(o, []string{models.ScopeRead, models.ScopeWrite, models.ScopeServiceOwner}, time.Hour)
	require.NoError(i.t, err)
	return plainclient.WithToken(i.url, token)
}

// ask makes one request and returns its status and body; headers come in pairs.
func (i *installation) ask(by models.Party, method, path string, body io.Reader, headers ...string) (int, []byte) {
	i.t.Helper()
	status, raw, err := i.try(by, method, path, body, headers...)
	require.NoError(i.t, err)
	return status, raw
}

func (i *installation) try(by models.Party, method, path string, body io.Reader, headers ...string) (int, []byte, error) {
	c := i.as(by)
	r, err := http.NewRequestWithContext(i.t.Context(), method, c.Base+path, body)
	require.NoError(i.t, err)
	r.Header.Set("Authorization", "Bearer "+c.Token)
	r.Header.Set("Content-Type", "application/json")
	for n := 0; n < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	return response.StatusCode, raw, err
}

const octets = "application/octet-stream"

func (i *installation) draft() string {
	return fmt.Sprintf(`{"fileName":"a.bin","resourceId":%q,"sendersFileTransferReference":"r","sender":%q,"recipients":[%q,%q]}`,
		testService, testSender, testRecipients[0], testRecipients[1])
}

func (i *installation) initialize(headers ...string) string {
	i.t.Helper()
	status, raw := i.ask(testSender, "POST", "/filetransfer", strings.NewReader(i.draft()), headers...)
	require.Equal(i.t, http.StatusOK, status, string(raw))
	var out struct{ FileTransferID string }
	require.NoError(i.t, json.Unmarshal(raw, &out))
	return out.FileTransferID
}

func (i *installation) status(id string) string {
	i.t.Helper()
	_, raw := i.ask(testSender, "GET", "/filetransfer/"+id, nil)
	var out struct{ FileTransferStatus string }
	require.NoError(i.t, json.Unmarshal(raw, &out), string(raw))
	return out.FileTransferStatus
}

func (i *installation) becomes(id, status string) {
	i.t.Helper()
	last := ""
	require.Eventually(i.t, func() bool { last = i.status(id); return last == status }, 40*time.Second, 50*time.Millisecond, "want %s, last seen %s", status, last)
}

// deliver has all recipients fetch and confirm.
func (i *installation) deliver(id, content string) {
	i.t.Helper()
	for _, r := range testRecipients {
		status, raw := i.ask(r, "GET", "/filetransfer/"+id+"/download", nil)
		require.Equal(i.t, http.StatusOK, status, string(raw))
		require.Equal(i.t, content, string(raw))
		status, raw = i.ask(r, "POST", "/filetransfer/"+id+"/confirmdownload", nil)
		require.Equal(i.t, http.StatusNoContent, status, string(raw))
	}
}

// objects counts what the storage keeps.
func (i *installation) objects() int {
	i.t.Helper()
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/storage/v1/b/files/o", i.port.storage))
	require.NoError(i.t, err)
	defer func() { _ = response.Body.Close() }()
	var list struct{ Items []struct{ Name string } }
	require.NoError(i.t, json.NewDecoder(response.Body).Decode(&list))
	return len(list.Items)
}

// running lists processes whose command line names a directory.
func running(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []string
	for _, f := range files {
		if raw, err := os.ReadFile(f); err == nil && strings.Contains(string(raw), dir) {
			found = append(found, strings.ReplaceAll(string(raw), "\x00", " "))
		}
	}
	return found
}
