package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// The disk of the test is full when less than its reserve is free. slack is free above the reserve at first: what
// other tests write meanwhile fits in. The ballast takes all of it and more, without writing.
const slack = 3 << 30

func freeBytes(t *testing.T, dir string) int64 {
	t.Helper()
	var s unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &s))
	return int64(s.Bavail) * s.Bsize
}

// ballast makes the disk full; remove makes room again.
func ballast(t *testing.T, dir string, reserve int64) (remove func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	require.NoError(t, unix.Fallocate(int(f.Fd()), 0, 0, freeBytes(t, dir)-reserve+1<<30), "the file system must be able to allocate")
	require.Less(t, freeBytes(t, dir), reserve)
	return func() { require.NoError(t, os.Remove(f.Name())) }
}

// TestDiskFull_InTheMiddleOfAnUpload fills the disk while a plain and a tus upload are under way. It is not parallel,
// because it counts on the free space of the disk that all tests share.
func TestDiskFull_InTheMiddleOfAnUpload(t *testing.T) {
	const size, rate = 160 << 20, 64 << 20
	dir := t.TempDir()
	reserve := freeBytes(t, dir) - slack
	require.Greater(t, reserve, int64(1<<30), "the test needs 5 GiB of free disk at "+dir)
	i := installWith(t, "OBJECTS="+dir, "FORMIDLING_DISK_RESERVE="+strconv.FormatInt(reserve, 10))
	i.makeService()
	content := newPattern(8)
	before := i.initialize()
	status, raw := i.ask(testSender, "POST", "/filetransfer/"+before+"/upload", content.from(0, 1<<20), "Content-Type", octets)
	require.Equal(t, http.StatusOK, status, string(raw))

	plain, resumed := i.initialize(), i.initialize()
	u := i.tus(i.url, resumed, size)
	slow := func() io.Reader { return &throttled{Reader: content.from(0, size), rate: rate} }
	uploads, ctx := errgroup.WithContext(t.Context())
	var plainStatus, tusStatus int
	uploads.Go(func() (err error) {
		plainStatus, _, err = i.try(testSender, "POST", "/filetransfer/"+plain+"/upload", slow(), "Content-Type", octets)
		return err
	})
	uploads.Go(func() error { tusStatus = u.patchUntilRefused(ctx, slow()); return nil })
	i.becomes(plain, "UploadStarted")
	i.becomes(resumed, "UploadStarted")
	makeRoom := ballast(t, dir, reserve)
	require.NoError(t, uploads.Wait())
	require.Equal(t, http.StatusInsufficientStorage, plainStatus)
	require.Equal(t, http.StatusInsufficientStorage, tusStatus)
	i.notReady("the disk")
	i.holds(before, content.sum(t, 1<<20), 1<<20) // what is there is served all the same
	require.Less(t, u.serving(), int64(size))

	makeRoom()
	u.finish(content)
	i.holds(resumed, content.sum(t, size), size)
	status, raw = i.ask(testSender, "POST", "/filetransfer/"+plain+"/upload", content.from(0, size), "Content-Type", octets)
	require.Equal(t, http.StatusOK, status, string(raw))
	i.holds(plain, content.sum(t, size), size)
}

// patchUntilRefused sends everything in one request and returns the status of its answer, 0 for another end.
func (u *tusUpload) patchUntilRefused(ctx context.Context, body io.Reader) int {
	_, err := u.patch(ctx, 0, body, u.size)
	if refused := new(refusedError); errors.As(err, &refused) {
		return refused.status
	}
	return 0
}
