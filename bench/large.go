package main

import (
	"context"
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
	return l.memoryInCloud(ctx, "large", true, 64<<20, l.huge)
}

// memoryInCloud watches the memory of a process that serves while files of some sizes are uploaded to the Cloud Storage
// emulator, a process of its own; all uploads together may hold as much as the pool of buffers has.
func (l *lab) memoryInCloud(ctx context.Context, name string, sparse bool, sizes ...int64) (result, error) {
	emulator, bucket, err := l.startEmulator(ctx, name)
	if err != nil {
		return result{}, err
	}
	defer emulator.stop()
	b, err := l.startBroker(ctx, name, "", "OBJECTS=gs://files", "STORAGE_EMULATOR_HOST="+bucket)
	if err != nil {
		return result{}, err
	}
	defer b.stop()
	m := newMemoryTable(b, "memory of the process (API and worker) with Cloud Storage, MiB")
	r := result{}
	err = m.uploads(ctx, l, &r, "to Cloud Storage", sparse, gcsBuffers, sizes...)
	r.Tables = []table{m.t}
	return r, err
}

// startEmulator runs our emulator of Cloud Storage with a bucket "files" and returns its address.
func (l *lab) startEmulator(ctx context.Context, name string) (*process, string, error) {
	program, err := testenv.Program("gcsemu")
	if err != nil {
		return nil, "", err
	}
	port, err := testenv.FreePort()
	if err != nil {
		return nil, "", err
	}
	listen := "127.0.0.1:" + strconv.Itoa(port)
	cmd := exec.Command(program, "--listen", listen, "--dir", filepath.Join(l.tmp, name+"-gcs"), "--bucket", "files")
	p, err := l.startProgram(ctx, name+"-gcsemu", "http://"+listen+"/storage/v1/b/files", cmd)
	return p, listen, err
}
