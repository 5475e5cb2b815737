package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommand_ThrowsItsStateAwayHoweverItEnds(t *testing.T) {
	t.Parallel()
	failure := errors.New("no broker")
	var directory string
	cmd := Command(func(_ context.Context, dir string, _ func(context.Context, Broker) error) error {
		directory = dir
		require.DirExists(t, dir)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "state"), nil, 0o600))
		return failure
	})
	cmd.SetArgs(nil)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	require.ErrorIs(t, cmd.ExecuteContext(t.Context()), failure)
	require.NoDirExists(t, directory)
}

func TestGenerate_WritesBytesThatDoNotRepeat(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "f")
	const block = 4096
	require.NoError(t, generate(file, 100*block))
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Len(t, content, 100*block)
	seen := map[string]bool{}
	for at := 0; at < len(content); at += block {
		seen[string(content[at:at+block])] = true
	}
	require.Len(t, seen, 100)
	require.ErrorIs(t, generate(file, 1), os.ErrExist, "nobody's file is replaced")
}

func TestTestPKICommand_RefusesWhatIsNoOrganisation(t *testing.T) {
	t.Parallel()
	cmd := TestPKICommand()
	cmd.SetArgs([]string{t.TempDir(), "--org", "310000018"})
	cmd.SetOut(&bytes.Buffer{})
	cmd.SetErr(&bytes.Buffer{})
	require.ErrorContains(t, cmd.ExecuteContext(t.Context()), "a check digit")
}
