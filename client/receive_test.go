package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestReceive_GoesOnOverBrokenConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(10<<20 + 3)
	id := b.publish(content)
	l := b.link()
	l.down.Store(3 << 20)
	in, err := b.as(bob, func(o *Options) { o.URL = l.url }).Receive(t.Context(), id, ReceiveOptions{})
	require.NoError(t, err)
	got, err := io.ReadAll(in)
	require.NoError(t, err)
	require.NoError(t, in.Close())
	require.Positive(t, l.broken.Load())
	require.True(t, bytes.Equal(content, got))
	require.Equal(t, sum(content), in.SHA256)
	require.EqualValues(t, len(content), in.Size)
}

// tamper flips a byte of each download.
func tamper(r *http.Response) error {
	if strings.HasSuffix(r.Request.URL.Path, "/download") && r.Request.Method == http.MethodGet {
		r.Body = &tampered{r.Body}
	}
	return nil
}

type tampered struct{ io.ReadCloser }

func (t *tampered) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if n > 0 {
		p[0] ^= 1
	}
	return n, err
}

func TestReceive_RefusesOtherBytesAndKeepsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish(noise(100_000))
	p := b.proxy()
	p.changes(tamper)
	c := b.through(bob, p)
	in, err := c.Receive(t.Context(), id, ReceiveOptions{})
	require.NoError(t, err)
	_, err = io.ReadAll(in)
	require.ErrorIs(t, err, ErrChecksum)
	_, err = in.Read(make([]byte, 1))
	require.ErrorIs(t, err, ErrChecksum, "it stays so")
	require.NoError(t, in.Close())

	dir := t.TempDir()
	_, err = c.ReceiveFile(t.Context(), id, FileOptions{Directory: dir, Confirm: true})
	require.ErrorIs(t, err, ErrChecksum)
	require.Empty(t, files(t, dir))
	state, err := b.as(bob).Overview(t.Context(), id)
	require.NoError(t, err)
	require.NotEqual(t, RecipientFileTransferStatusDownloadConfirmed, state.Recipients[0].CurrentRecipientFileTransferStatusCode)
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestReceiveFile_GoesOnWhereAnEarlierRunStopped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(12<<20 + 3)
	id := b.publish(content)
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := b.as(bob).ReceiveFile(ctx, id, FileOptions{Directory: dir, Progress: func(p Progress) {
		if p.Done > 6<<20 {
			cancel(errOurs)
		}
	}})
	require.ErrorIs(t, err, errOurs)
	require.Equal(t, []string{PartName(id)}, files(t, dir))

	var resumed int64
	got, err := b.as(bob).ReceiveFile(t.Context(), id, FileOptions{Directory: dir, Confirm: true, Progress: func(p Progress) { resumed = max(resumed, p.Resumed) }})
	require.NoError(t, err)
	require.Greater(t, resumed, int64(5<<20))
	require.True(t, got.Confirmed)
	require.Equal(t, []string{"a.zip"}, files(t, dir))
	stored, err := os.ReadFile(got.Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, stored))

	got, err = b.as(bob).ReceiveFile(t.Context(), id, FileOptions{Directory: dir, Confirm: true})
	require.NoError(t, err)
	require.True(t, got.Kept, "the file is there")
}

func TestReceiveFile_FetchesAnewWhatAnEarlierRunLeftWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(100_000)
	id := b.publish(content)
	for name, left := range map[string][]byte{
		"other bytes": make([]byte, 50_000), "too many bytes": append(noise(100_000), "more"...), "all bytes": content, "none": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, PartName(id)), left, 0o600))
			got, err := b.as(bob).ReceiveFile(t.Context(), id, FileOptions{Directory: dir})
			require.NoError(t, err)
			stored, err := os.ReadFile(got.Path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, stored))
			require.Len(t, files(t, dir), 1)
		})
	}
}

func TestReceiveFile_LosesNoOtherFile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish([]byte("content"))
	dir := t.TempDir()
	mine := filepath.Join(dir, "a.zip")
	require.NoError(t, os.WriteFile(mine, []byte("my own"), 0o600))
	got, err := b.as(bob).ReceiveFile(t.Context(), id, FileOptions{Directory: dir})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "a."+id.String()+".zip"), got.Path)
	kept, err := os.ReadFile(mine)
	require.NoError(t, err)
	require.Equal(t, "my own", string(kept))

	require.NoError(t, os.WriteFile(got.Path, []byte("changed"), 0o600))
	require.NoError(t, os.WriteFile(got.Path, []byte("changed!"), 0o600))
	_, err = b.as(bob).ReceiveFile(t.Context(), id, FileOptions{Directory: dir})
	require.ErrorIs(t, err, ErrExists)

	got, err = b.as(bob).ReceiveFile(t.Context(), id, FileOptions{Directory: dir, Overwrite: true})
	require.NoError(t, err)
	require.Equal(t, mine, got.Path)
	now, err := os.ReadFile(mine)
	require.NoError(t, err)
	require.Equal(t, "content", string(now))

	_, err = b.as(bob).ReceiveFile(t.Context(), id, FileOptions{Directory: dir, Name: "../x"})
	require.ErrorContains(t, err, "one element")
}

func TestReceiveFile_IsOneProcessAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish([]byte("content"))
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, PartName(id)))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	require.NoError(t, lockFile(f))
	_, err = b.as(bob).ReceiveFile(t.Context(), id, FileOptions{Directory: dir})
	require.ErrorContains(t, err, "another process")
}

func TestReceiveFile_ConfirmsAFileThatWasThereAlready(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish([]byte("content"))
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.zip"), []byte("content"), 0o600))
	got, err := b.as(bob).ReceiveFile(t.Context(), id, FileOptions{Directory: dir, Confirm: true})
	require.NoError(t, err)
	require.True(t, got.Kept)
	require.True(t, got.Confirmed)
}

func TestReceive_SaysWhyThereIsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.as(bob).Receive(t.Context(), uuid.New(), ReceiveOptions{})
	require.ErrorIs(t, err, ErrNotFound)
	var refused *Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "BRO-00001", refused.Code, "although HEAD has no body to say so")

	made, err := Decode[FileTransferInitialized](b.as(alice).API.InitializeFileTransfer(t.Context(), nil, FileTransferInitialize{
		FileName: "f", ResourceID: b.service, SendersFileTransferReference: "r", Sender: "0192:" + alice, Recipients: []string{"0192:" + bob},
	}))
	require.NoError(t, err)
	_, err = b.as(bob).ReceiveFile(t.Context(), made.FileTransferID, FileOptions{Directory: t.TempDir()})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "BRO-00007", refused.Code)
}
