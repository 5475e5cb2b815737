package workflows_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository is a clean one that holds testdata of a version in the making.
func repository(t *testing.T) (testdata string, git func(args ...string)) {
	t.Helper()
	root := t.TempDir()
	testdata = filepath.Join(root, "testdata")
	git = func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	require.NoError(t, os.Mkdir(testdata, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(testdata, "RELEASED"), []byte("0.9.0\n0.9.1\n"), 0o600))
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "begin")
	return testdata, git
}

func TestRecording_IsAllowedForTheVersionInTheMaking(t *testing.T) {
	t.Parallel()
	testdata, git := repository(t)
	git("tag", "v0.9.9")
	require.NoError(t, mayRecord(t.Context(), testdata, "1.0.0"))
}

func TestRecording_RefusesATreeThatIsDirty(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"changed": "testdata/RELEASED", "new": "new.go", "staged": "staged.go"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdata, git := repository(t)
			require.NoError(t, os.WriteFile(filepath.Join(testdata, "..", file), []byte("0.9.0\n"), 0o600))
			if name == "staged" {
				git("add", ".")
			}
			require.ErrorContains(t, mayRecord(t.Context(), testdata, "1.0.0"), file)
		})
	}
}

func TestRecording_NeverOverwritesAReleasedVersion(t *testing.T) {
	t.Parallel()
	testdata, git := repository(t)
	for _, released := range []string{"0.9.0", "0.9.1"} {
		require.ErrorContains(t, mayRecord(t.Context(), testdata, released), "RELEASED lists "+released)
	}
	git("tag", "v1.0.0")
	require.ErrorContains(t, mayRecord(t.Context(), testdata, "1.0.0"), "v1.0.0")
	require.NoError(t, mayRecord(t.Context(), testdata, "1.0.1"))
}

func TestRecording_TakesOnlyTheNameOfAFolder(t *testing.T) {
	t.Parallel()
	testdata, _ := repository(t)
	for _, bad := range []string{"", "../0.9.0", "0.9.0/", "a/b"} {
		require.ErrorContains(t, mayRecord(t.Context(), testdata, bad), "no version")
	}
}

// Without RELEASED nothing says which histories may be replaced.
func TestRecording_NeedsTheListOfReleasedVersions(t *testing.T) {
	t.Parallel()
	testdata, git := repository(t)
	git("rm", "-q", "testdata/RELEASED")
	git("commit", "-q", "-m", "lose it")
	require.NoError(t, os.MkdirAll(testdata, 0o755))
	require.ErrorIs(t, mayRecord(t.Context(), testdata, "1.0.0"), os.ErrNotExist)
}
