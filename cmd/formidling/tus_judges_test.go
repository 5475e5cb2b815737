package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/internal/testenv/badlink"
)

// judge is a tus client that others wrote, and a way in which people use it.
type judge struct {
	name    string
	program []string
	options map[string]any
	cut     int64 // bytes after which each connection breaks; 0: never
	killed  bool  // the client is killed on the way, and another goes on
}

var (
	tusJS = []string{"node", "judge.mjs"}
	tuspy = []string{"/usr/bin/python3", "../tuspy/judge.py"} // Debian's, which has Debian's package
)

// judges are run against one replica and against two. The size of a chunk is that of no segment of ours.
var judges = []judge{
	{name: "tus-js-client, single stream", program: tusJS},
	{name: "tus-js-client, chunks", program: tusJS, options: map[string]any{"chunkSize": 2_500_000}},
	{name: "tus-js-client, deferred length", program: tusJS, options: map[string]any{"chunkSize": 2_500_000, "deferred": true}},
	{name: "tus-js-client, 4 parallel", program: tusJS, options: map[string]any{"parallelUploads": 4}},
	{name: "tus-js-client, 4 parallel in chunks", program: tusJS, options: map[string]any{"parallelUploads": 4, "chunkSize": 1_000_000}},
	{name: "tus-js-client, link cut every 3 MiB", program: tusJS, cut: 3 << 20},
	{name: "tus-js-client, 4 parallel, link cut every 2 MiB", program: tusJS, options: map[string]any{"parallelUploads": 4}, cut: 2 << 20},
	{name: "tus-js-client, killed and started again", program: tusJS, options: map[string]any{"chunkSize": 2_500_000}, killed: true},
	{name: "tuspy, single stream", program: tuspy},
	{name: "tuspy, chunks", program: tuspy, options: map[string]any{"chunkSize": 2_500_000}},
	{name: "tuspy, link cut every 3 MiB", program: tuspy, cut: 3 << 20},
}

const judgedSize = 13_000_001

// verdict is what a judge prints.
type verdict struct {
	URL     string
	Retries int
}

// TestTusClients_UploadEveryByte has clients of others upload as they do everywhere else: one stream, in chunks, in
// parallel, over a link that breaks, to one replica and to two that take turns.
func TestTusClients_UploadEveryByte(t *testing.T) {
	t.Parallel()
	file, content := filepath.Join(t.TempDir(), "judged.bin"), newPattern(1)
	sum := content.sum(t, judgedSize)
	f, err := os.Create(file)
	require.NoError(t, err)
	_, err = io.Copy(f, content.from(0, judgedSize))
	require.NoError(t, errors.Join(err, f.Close()))
	for storage, settings := range storages(t) {
		t.Run(storage, func(t *testing.T) {
			t.Parallel()
			i := installWith(t, settings...)
			i.makeService()
			one := i.url
			two := testenv.RoundRobin(t, i.url, i.startReplica())
			for servers, url := range map[string]string{"one replica": one, "two replicas": two} {
				for _, j := range judges {
					t.Run(servers+", "+j.name, func(t *testing.T) {
						id := i.initialize()
						j.upload(t, i, url, id, file)
						i.holds(id, sum, judgedSize)
					})
				}
			}
		})
	}
}

// upload runs the client until it says that all is there.
func (j judge) upload(t *testing.T, i *installation, server, id, file string) {
	t.Helper()
	if j.cut > 0 {
		server = badlink.Cut(t, server, j.cut, 0)
	}
	order := map[string]any{
		"file": file, "endpoint": server + "/broker/api/v1/filetransfer/upload/tus/" + id,
		"headers": map[string]string{"Authorization": "Bearer " + i.as(testSender).Token},
	}
	for name, value := range j.options {
		order[name] = value
	}
	if j.killed {
		order["stopAt"] = judgedSize / 2
		first, killed := j.run(t, order)
		require.True(t, killed)
		delete(order, "stopAt")
		delete(order, "endpoint")
		order["uploadUrl"] = first.URL
	}
	got, killed := j.run(t, order)
	require.False(t, killed)
	require.Contains(t, got.URL, id, "the upload's id is the transfer's")
	if j.cut > 0 {
		require.GreaterOrEqual(t, got.Retries, 3, "the link was cut")
	}
}

// run runs the client once; killed tells that it ended by SIGKILL.
func (j judge) run(t *testing.T, order map[string]any) (v verdict, killed bool) {
	t.Helper()
	raw, err := json.Marshal(order)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), j.program[0], append(append([]string{}, j.program[1:]...), string(raw))...)
	cmd.Dir = filepath.Join("testdata", "tusjs")
	require.DirExists(t, filepath.Join(cmd.Dir, "node_modules"), "run scripts/ensure-node and scripts/ensure-tuspy, as make test does")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		status, _ := exit.Sys().(syscall.WaitStatus)
		killed = status.Signaled() && status.Signal() == syscall.SIGKILL
	}
	if !killed {
		require.NoError(t, err, "%s\n%s", out, said.String())
	}
	require.NoError(t, json.Unmarshal(bytes.TrimSpace(out), &v), string(out))
	return v, killed
}
