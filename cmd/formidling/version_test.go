package main

import (
	"encoding/json"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/testenv"
)

func TestVersion_IsPrintedByTheBuiltProgram(t *testing.T) {
	t.Parallel()
	printed := func(args ...string) string {
		r := testenv.Run(t, "formidling", []string{"FORMIDLING_NO_SETTING=x"}, args...) // it reads no settings
		require.Zero(t, r.Wait(), r.Out)
		return strings.TrimSpace(r.Out.String())
	}
	var b build
	require.NoError(t, json.Unmarshal([]byte(printed("version", "--json")), &b))
	require.NotContains(t, []string{"", "unknown"}, b.Version)
	require.Equal(t, runtime.Version(), b.Go)
	require.Equal(t, runtime.GOOS+"/"+runtime.GOARCH, b.Platform)
	if _, err := os.Stat("../../.git"); err == nil {
		require.Regexp(t, "^[0-9a-f]{40}$", b.Commit)
		require.NotEmpty(t, b.Time)
	}
	line := printed("version")
	require.Equal(t, b.String(), line)
	require.Equal(t, line, printed("--version"))
}

func TestVersion_IsWhatTheLinkerSaysOrElseTheCompiler(t *testing.T) {
	t.Parallel()
	info := func(module string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: module}, Settings: settings}
	}
	committed := []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"}}
	for name, tc := range map[string]struct {
		linked string
		info   *debug.BuildInfo
		says   string
	}{
		"a release":              {"v1.2.3", info("v0.0.0-1", committed...), "formidling v1.2.3 (commit abc of 2026-01-02T03:04:05Z, changed since, "},
		"installed by go":        {"", info("v1.2.4"), "formidling v1.2.4 (go"},
		"built beside a commit":  {"", info("(devel)", committed[0]), "formidling unknown (commit abc, go"},
		"nothing is known of it": {"", nil, "formidling unknown (go"},
	} {
		require.True(t, strings.HasPrefix(newBuild(tc.linked, tc.info).String(), tc.says), name)
	}
}
