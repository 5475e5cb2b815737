package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/testenv"
)

func TestDemo_DeliversEveryByteAndLeavesNothing(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	file := filepath.Join(tmp, "my file.bin")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("content ", 100_000)), 0o600))
	d := testenv.Run(t, "formidling", []string{"TMPDIR=" + tmp}, "demo", "--file", file)
	require.Zero(t, d.Wait(), d.Out)
	for _, line := range []string{"API docs ", "Temporal UI ", "initialized transfer", "stored, verified and published", "First Recipient Ltd confirmed", "AllConfirmedDownloaded", "SHA-256 received"} {
		require.Contains(t, d.Out.String(), line)
	}
	require.Empty(t, running(t, tmp))
	left, err := filepath.Glob(filepath.Join(tmp, "formidling-demo-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestDemo_FailsForAFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	d := testenv.Run(t, "formidling", []string{"TMPDIR=" + tmp}, "demo", "--file", filepath.Join(tmp, "absent"))
	require.Equal(t, 1, d.Wait())
	require.Contains(t, d.Out.String(), "no such file")
	require.Empty(t, running(t, tmp))
}

func TestRun_KeepsItsStateAndServesAgainAfterKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	port, err := testenv.FreePort()
	require.NoError(t, err)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	env := []string{"FORMIDLING_DATA=" + dir, fmt.Sprintf("FORMIDLING_LISTEN=127.0.0.1:%d", port)}
	start := func() *testenv.Running {
		r := testenv.Run(t, "formidling", env, "run", "--temporal-port", "0", "--temporal-ui-port", "0")
		testenv.Answers(t, url+"/readyz")
		return r
	}
	r := start()
	i := &installation{t: t, dir: dir, url: url}
	i.makeService()
	id := i.initialize()
	r.Kill()
	require.Eventually(t, func() bool { return len(running(t, dir)) == 0 }, 15*time.Second, 50*time.Millisecond, "the child ends with its parent")
	r = start()
	status, raw := i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("content"), "Content-Type", octets)
	require.Equal(t, http.StatusOK, status, string(raw))
	i.deliver(id, "content")
	r.Terminate()
	require.Zero(t, r.Wait(), r.Out)
	require.Empty(t, running(t, dir))
}

func TestToken_IsAcceptedOnlyWithItsKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := testenv.Run(t, "formidling", []string{"FORMIDLING_DATA=" + dir}, "token", "--org", "310000027")
	require.Zero(t, one.Wait())
	require.Len(t, strings.Split(strings.TrimSpace(one.Out.String()), "."), 3)
	info, err := os.Stat(filepath.Join(dir, "dev-issuer.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	for _, args := range [][]string{{"token"}, {"token", "--cert", "absent.pem"}, {"token", "--cert", "x", "--org", "310000027"}, {"token", "--org", "12"}, {"token", "--org", "310000027", "--life", "0s"}, {"token", "--org", "310000027", "--life", "48h"}} {
		require.Equal(t, 1, testenv.Run(t, "formidling", []string{"FORMIDLING_DATA=" + dir}, args...).Wait(), args)
	}
}

func TestTokenKeys_AreMadeOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys", "token-keys.json")
	require.Zero(t, testenv.Run(t, "formidling", nil, "token-keys", file).Wait())
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 1, testenv.Run(t, "formidling", nil, "token-keys", file).Wait())
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestCommands_RefuseUnsafeOrUnknownSettings(t *testing.T) {
	t.Parallel()
	dir := "FORMIDLING_DATA=" + t.TempDir()
	const key = "FORMIDLING_PAYLOAD_KEYS=k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	shared := []string{"DATABASE_URL=sqlite:" + t.TempDir() + "/f.db", "OBJECTS=" + t.TempDir()}
	for name, tc := range map[string]struct {
		args []string
		env  []string
		says string
	}{
		"an unknown setting":     {[]string{"api"}, []string{"FORMIDLING_LISTN=x"}, "did you mean FORMIDLING_LISTEN?"},
		"a development issuer":   {[]string{"api"}, []string{key, "FORMIDLING_LISTEN=0.0.0.0:0"}, "loopback only"},
		"a public URL":           {[]string{"api"}, []string{key, "FORMIDLING_PUBLIC_URL=https://broker.example"}, "loopback only"},
		"a public run":           {[]string{"run"}, []string{"FORMIDLING_LISTEN=0.0.0.0:0"}, "loopback only"},
		"a public token":         {[]string{"token", "--org", "310000027"}, []string{"FORMIDLING_LISTEN=0.0.0.0:0"}, "loopback only"},
		"no payload keys":        {[]string{"worker"}, nil, "FORMIDLING_PAYLOAD_KEYS is empty"},
		"a short key":            {[]string{"worker"}, []string{"FORMIDLING_PAYLOAD_KEYS=k:AAAA"}, "32 bytes"},
		"a database of no kind":  {[]string{"api"}, []string{key, "DATABASE_URL=mysql://x"}, "open database"},
		"no database":            {[]string{"worker"}, []string{key, "DATABASE_URL="}, "DATABASE_URL: must be set"},
		"no objects":             {[]string{"api"}, []string{key, "OBJECTS="}, "OBJECTS: must be set"},
		"no database to migrate": {[]string{"migrate"}, []string{"DATABASE_URL="}, "DATABASE_URL"},
		"half a migration":       {[]string{"migrate", "--only", "databse"}, nil, "--only"},
		"keys of nobody trusted": {[]string{"api"}, []string{key, "FORMIDLING_TOKEN_KEYS=x"}, "need FORMIDLING_TRUST"},
		"no server certificate":  {[]string{"api"}, []string{key, "FORMIDLING_TRUST=x", "FORMIDLING_MTLS_LISTEN=127.0.0.1:0"}, "FORMIDLING_MTLS_CERTIFICATE"},
		"a trust without use":    {[]string{"api"}, []string{key, "FORMIDLING_TRUST=x"}, "nothing uses it"},
		"a trust of no kind":     {[]string{"api"}, []string{key, "FORMIDLING_LISTEN=127.0.0.1:0", "FORMIDLING_TRUST=absent.json", "FORMIDLING_TOKEN_KEYS=x"}, "absent.json"},
		"issuers of no kind":     {[]string{"api"}, []string{key, "FORMIDLING_LISTEN=127.0.0.1:0", "FORMIDLING_ISSUERS=absent.json"}, "absent.json"},
		"a public certificate":   {[]string{"api"}, []string{key, "FORMIDLING_LISTEN=127.0.0.1:0", "FORMIDLING_MTLS_LISTEN=0.0.0.0:0"}, "loopback only"},
		"tokens of nowhere":      {[]string{"api"}, []string{key, "FORMIDLING_LISTEN=0.0.0.0:0", "FORMIDLING_TRUST=x", "FORMIDLING_TOKEN_KEYS=x"}, "FORMIDLING_PUBLIC_URL: must be set"},
		"a quota of no kind":     {[]string{"config"}, []string{"FORMIDLING_QUOTAS=servces=1"}, "name=number"},
		"neither yes nor no":     {[]string{"config"}, []string{"FORMIDLING_SEID1=maybe"}, "it must be true, yes, on or 1, or false, no, off or 0"},
		"one thing twice":        {[]string{"config"}, []string{"FORMIDLING_OBJECTS=elsewhere"}, "FORMIDLING_OBJECTS and OBJECTS differ"},
		"a duration of no kind":  {[]string{"config"}, []string{"FORMIDLING_UPLOAD_DEADLINE=1d"}, "ISO 8601"},
		"a number of no kind":    {[]string{"config"}, []string{"FORMIDLING_UPLOAD_SLOTS=0"}, "at least 1"},
		"too many recipients":    {[]string{"config"}, []string{"FORMIDLING_MAX_RECIPIENTS=20001"}, "at most 20000"},
		"an argument too many":   {[]string{"api", "now"}, []string{key}, "unknown command"},
		"a public codec":         {[]string{"api"}, []string{key, "FORMIDLING_LISTEN=127.0.0.1:0", "FORMIDLING_TEMPORAL_UI=http://x", "FORMIDLING_CODEC_LISTEN=0.0.0.0:0"}, "it has no login"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := testenv.Run(t, "formidling", append(append([]string{dir}, shared...), tc.env...), tc.args...)
			require.Equal(t, 1, r.Wait())
			require.Contains(t, r.Out.String(), tc.says)
		})
	}
}

func TestConfig_ListsEverySetting(t *testing.T) {
	t.Parallel()
	r := testenv.Run(t, "formidling", nil, "config")
	require.Zero(t, r.Wait())
	for _, s := range table {
		require.Contains(t, r.Out.String(), s.Name)
		require.Contains(t, r.Out.String(), s.Alias)
	}
}
