//go:build unix

package client

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestOpenPart_GivesNobodyAFileThatIsFinished(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	part := filepath.Join(dir, PartName(uuid.New()))
	var finished, others atomic.Int64
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for round := range 300 {
				f, err := openPart(part)
				if err != nil {
					continue
				}
				if info, err := f.Stat(); err != nil || info.Size() > 0 { // whoever had it before gave it its name, or left it
					others.Add(1)
				}
				_, err = fmt.Fprintf(f, "%d-%d", n, round)
				if err == nil && give(f.Name(), filepath.Join(dir, fmt.Sprintf("%d-%d", n, round)), round%2 == 0) == nil {
					finished.Add(1)
				}
				_ = f.Close()
			}
		})
	}
	all.Wait()
	require.Positive(t, finished.Load())
	require.Zero(t, others.Load(), "somebody was given a finished file")
	for _, name := range files(t, dir) {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, name, string(got))
	}
}

func TestReceiveFile_WritesIntoNoOtherFileThatIsPlanted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish([]byte("content"))
	for name, plant := range map[string]func(victim, part string) error{
		"a symbolic link": os.Symlink,
		"a pipe":          func(_, part string) error { return unix.Mkfifo(part, 0o600) },
		"a directory":     func(_, part string) error { return os.Mkdir(part, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			victim, dir := filepath.Join(t.TempDir(), "victim"), t.TempDir()
			require.NoError(t, os.WriteFile(victim, []byte("precious, and longer than the content"), 0o600))
			require.NoError(t, plant(victim, filepath.Join(dir, PartName(id))))
			_, err := b.as(bob).ReceiveFile(t.Context(), id, FileOptions{Directory: dir})
			require.Error(t, err)
			got, err := os.ReadFile(victim)
			require.NoError(t, err)
			require.Equal(t, "precious, and longer than the content", string(got))
			require.Equal(t, []string{PartName(id)}, files(t, dir))
		})
	}
}

func TestReceiveFile_ManyAtOnceMakeOneFile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(300_000)
	id := b.publish(content)
	dir := t.TempDir()
	const many, often = 6, 5
	results := make(chan error, many*often)
	for range many {
		go func() {
			for range often {
				_, err := b.as(bob).ReceiveFile(t.Context(), id, FileOptions{Directory: dir})
				results <- err
			}
		}()
	}
	for range many * often {
		if err := <-results; err != nil {
			require.ErrorContains(t, err, "another process")
		}
	}
	require.Equal(t, []string{"a.zip"}, files(t, dir))
	f, err := os.Open(filepath.Join(dir, "a.zip"))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	got, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, sum(content), sum(got))
}
