package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// A change that moves the code under a patch is noticed at once, and not when somebody hunts next time.
func TestPatches_ApplyToTheTreeAsItIs(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	all, err := mutants(os.DirFS("patches"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(all), fewest)
	for _, m := range all {
		_, err := m.plant(root, t.TempDir())
		require.NoError(t, err, m.name)
		for _, arg := range m.tests {
			if dir, found := strings.CutPrefix(arg, "./"); found {
				require.DirExists(t, filepath.Join(root, dir), m.name)
			}
		}
	}
}

func TestPatches_AreInEachRoomWhereADecisionFalls(t *testing.T) {
	t.Parallel()
	all, err := mutants(os.DirFS("patches"))
	require.NoError(t, err)
	for _, room := range []string{"models", "store", "workflows", "activities", "identity", "api"} {
		found := false
		for _, m := range all {
			found = found || strings.HasPrefix(m.files[0], room+"/")
		}
		require.True(t, found, room)
	}
}

func TestMutants_SayWhichTestsMustKillThemAndWhy(t *testing.T) {
	t.Parallel()
	file := func(text string) fstest.MapFS { return fstest.MapFS{"a.patch": {Data: []byte(text)}} }
	const diff = "--- a/models/x.go\n+++ b/models/x.go\n@@ -1 +1 @@\n-a\n+b\n"
	for _, bad := range []string{diff, "why: x\n" + diff, "tests: ./models\n" + diff, "tests: ./models\nwhy: x\n"} {
		_, err := mutants(file(bad))
		require.Error(t, err, bad)
	}
	all, err := mutants(file("tests: ./models -run TestX\nwhy: x says y.\n" + diff))
	require.NoError(t, err)
	require.Equal(t, []string{"./models", "-run", "TestX"}, all[0].tests)
	require.Equal(t, []string{"models/x.go"}, all[0].files)
	require.Equal(t, "x says y.", all[0].why)
}

func TestChoose_TakesWhatAChangeTouchesAndOthersUntilThereAreEnough(t *testing.T) {
	t.Parallel()
	var all []mutant
	for _, dir := range []string{"models", "store/tus", "store/reads", "api", "workflows", "identity"} {
		for _, n := range []string{"-1", "-2"} {
			all = append(all, mutant{name: dir + n, files: []string{dir + "/x.go"}, tests: []string{"./" + dir, "-run", "TestX"}})
		}
	}
	names := func(chosen []mutant) (out []string) {
		for _, m := range chosen {
			out = append(out, m.name)
		}
		return out
	}
	few := names(choose(all, []string{"models"}, 6, "one"))
	require.Len(t, few, 6)
	require.ElementsMatch(t, []string{"models-1", "models-2"}, few[:2])
	require.Equal(t, few, names(choose(all, []string{"models"}, 6, "one")))
	require.NotEqual(t, few[2:], names(choose(all, []string{"models"}, 6, "two"))[2:])
	require.Len(t, choose(all, []string{"models", "store/tus", "api", "identity"}, 6, "one"), 8)
	require.Len(t, choose(all[:3], nil, 6, "one"), 3)
}

// What looks like a killed bug and is none would let every bug live.
func TestVerdict_CountsAFailedTestAndNothingElse(t *testing.T) {
	t.Parallel()
	exit := exec.Command("false").Run()
	by, err := verdict("--- FAIL: TestX (0.00s)\n    --- FAIL: TestX/y\nFAIL\n", exit)
	require.NoError(t, err)
	require.Equal(t, "TestX", by)
	by, err = verdict("panic: boom\n", exit)
	require.NoError(t, err)
	require.Equal(t, "a panic", by)
	by, err = verdict("ok  \tx\t0.1s\n", nil)
	require.NoError(t, err)
	require.Empty(t, by)
	for out, failure := range map[string]error{
		"ok  \tx\t0.1s [no tests to run]\n": nil,
		"FAIL\tx [build failed]\n":          exit,
		"FAIL\tx [setup failed]\n":          exit,
		"signal: killed\n":                  exit,
		"":                                  errors.New("go is not there"),
	} {
		_, err := verdict(out, failure)
		require.Error(t, err, out)
	}
}
