package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/formidling/formidling/internal/testenv"
)

// gcsBuffers is the default of FORMIDLING_GCS_BUFFERS, in MiB: what all uploads to Cloud Storage may hold together.
const gcsBuffers = 512

// large uploads a sparse file that is longer than most disks, and watches the memory of the process that serves. Its
// objects go to the Cloud Storage emulator, which keeps zeros as holes, so that only the length is large.
func large(ctx context.Context, l *lab) (result, error) {
	emulator, bucket, err := l.startEmulator(ctx)
	if err != nil {
		return result{}, err
	}
	defer emulator.stop()
	b, err := l.startBroker(ctx, "large", "", "OBJECTS=gs://files", "STORAGE_EMULATOR_HOST="+bucket)
	if err != nil {
		return result{}, err
	}
	defer b.stop()
	m := &memoryTable{broker: b, t: table{
		title: "memory of the process (API and worker), MiB", columns: []string{"while", "idle before", "peak", "above idle", "per client"},
	}}
	r := result{}
	for _, kind := range []struct {
		name   string
		upload func(context.Context, *organisation, string, int64) error
	}{
		{"plain", func(ctx context.Context, o *organisation, id string, size int64) error {
			return o.upload(ctx, id, &body{left: size, sparse: true}, size)
		}},
		{"tus", func(ctx context.Context, o *organisation, id string, size int64) error {
			c := tusClient{http: o.client(), token: o.token, sparse: true}
			if _, err := c.single(ctx, o.base+"/filetransfer/upload/tus/"+id, size); err != nil {
				return err
			}
			return o.published(ctx, id)
		}},
	} {
		s, err := b.way(kind.name, nil, serviceLater, kind.upload)
		if err != nil {
			return r, err
		}
		for _, size := range []int64{64 << 20, l.huge} {
			what := fmt.Sprintf("%s upload of %s to Cloud Storage", kind.name, formatSize(size))
			l.say("memory during a %s", what)
			above, err := m.during(ctx, what, 1, func() error { return s.upload(ctx, size) })
			if err != nil {
				return r, fmt.Errorf("%s: %w", what, err)
			}
			r.Targets = append(r.Targets, atMost("memory above idle, "+what, above, gcsBuffers, "MiB"))
		}
	}
	r.Tables = []table{m.t}
	return r, nil
}

// startEmulator runs our emulator of Cloud Storage with a bucket "files" and returns its address.
func (l *lab) startEmulator(ctx context.Context) (*process, string, error) {
	program, err := testenv.Program("gcsemu")
	if err != nil {
		return nil, "", err
	}
	port, err := testenv.FreePort()
	if err != nil {
		return nil, "", err
	}
	listen := "127.0.0.1:" + strconv.Itoa(port)
	cmd := exec.Command(program, "--listen", listen, "--dir", filepath.Join(l.tmp, "gcs"), "--bucket", "files")
	p, err := l.startProgram(ctx, "gcsemu", "http://"+listen+"/storage/v1/b/files", cmd)
	return p, listen, err
}
