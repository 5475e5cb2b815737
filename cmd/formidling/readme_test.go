package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/settings"
	"github.com/formidling/formidling/internal/testenv"
)

var update = flag.Bool("update", false, "write rendered documents")

const readme = "../../README.md"

// TestConfig_IsRenderedInReadme keeps the table of settings in README.md equal to the settings.
func TestConfig_IsRenderedInReadme(t *testing.T) {
	t.Parallel()
	var rendered strings.Builder
	rendered.WriteString("| setting | default | meaning |\n|---|---|---|\n")
	for _, s := range table {
		fmt.Fprintf(&rendered, "| %s | %s | %s |\n", name(s), orDash(s.Default), s.Meaning)
	}
	raw, err := os.ReadFile(readme)
	require.NoError(t, err)
	place := regexp.MustCompile(`(?s)(<!-- rendered by TestConfig_IsRenderedInReadme[^>]*-->\n).*?(<!-- end -->)`)
	want := place.ReplaceAllString(string(raw), "${1}"+strings.ReplaceAll(rendered.String(), "$", "$$")+"${2}")
	if *update {
		require.NoError(t, os.WriteFile(readme, []byte(want), 0o644))
	}
	raw, err = os.ReadFile(readme)
	require.NoError(t, err)
	require.Equal(t, want, string(raw), "run `make generate`")
	require.LessOrEqual(t, strings.Count(place.ReplaceAllString(want, ""), "\n"), 150, "README stays short")
}

// TestReadme_FirstFileWithCurl runs what README.md tells a newcomer to type.
func TestReadme_FirstFileWithCurl(t *testing.T) {
	t.Parallel()
	out := runSnippets(t, readme, "TestReadme_FirstFileWithCurl")
	require.Contains(t, out, "hello, world")
	require.Contains(t, out, `"fileTransferStatus":"AllConfirmedDownloaded"`)
}

// TestGettingStarted_WithCurl runs what docs/getting-started.md tells owners, senders and recipients to type.
func TestGettingStarted_WithCurl(t *testing.T) {
	t.Parallel()
	out := runSnippets(t, "../../docs/getting-started.md", "TestGettingStarted_WithCurl")
	for _, seen := range []string{
		`"organization":"0192:310000019"`, `"applied":2`, `"decision":"deny"`, "The grant of 0192:310000051 blocks sending.",
		"hello, world", `"fileTransferStatus":"Published"`, `"state":"approved"`,
	} {
		require.Contains(t, out, seen)
	}
}

// TestReceipts_WithCurl runs what docs/receipts.md tells parties to type.
func TestReceipts_WithCurl(t *testing.T) {
	t.Parallel()
	out := runSnippets(t, "../../docs/receipts.md", "TestReceipts_WithCurl")
	for _, seen := range []string{
		`"event":"ContentAccessTracking"`, `"kind":"confirmation"`, "0192:310000035 itself signed for the content",
		"Every signature is by a key that you brought.", "All of it is valid.",
	} {
		require.Contains(t, out, seen)
	}
}

// runSnippets runs the marked snippets of a document, one after the other, against a `formidling run` of their own.
func runSnippets(t *testing.T, document, mark string) string {
	t.Helper()
	raw, err := os.ReadFile(document)
	require.NoError(t, err)
	var typed strings.Builder
	for _, snippet := range regexp.MustCompile("(?s)<!-- run by "+mark+" -->\n```sh\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		typed.WriteString(snippet[1])
	}
	require.NotEmpty(t, typed.String())
	var listen [2]string
	for i := range listen {
		port, err := testenv.FreePort()
		require.NoError(t, err)
		listen[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	data := t.TempDir()
	env := []string{"FORMIDLING_DATA=" + data, "FORMIDLING_LISTEN=" + listen[0], "FORMIDLING_MTLS_LISTEN=" + listen[1]}
	testenv.Run(t, "formidling", env, "run", "--temporal-port", "0", "--temporal-ui-port", "0")
	testenv.Answers(t, "http://"+listen[0]+"/readyz")
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	here := strings.NewReplacer("127.0.0.1:8080", listen[0], "127.0.0.1:8443", listen[1], "var/", data+"/")
	script := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", here.Replace(typed.String()))
	script.Dir, script.Env = root, append(append(os.Environ(), env...), "XDG_STATE_HOME="+data)
	out, err := script.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// TestReadme_LinksLeadSomewhere checks every relative link of the documents.
func TestReadme_LinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	for _, file := range append(files, readme, "../../deploy/README.md") {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(raw), -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(file), link[1]))
			require.NoError(t, err, "%s links to %s", file, link[1])
		}
	}
}

// TestInvariants_NameTestsThatExist keeps docs/invariants.md true.
func TestInvariants_NameTestsThatExist(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/invariants.md")
	require.NoError(t, err)
	files, err := filepath.Glob("../../*/*_test.go")
	require.NoError(t, err)
	deeper, err := filepath.Glob("../../*/*/*_test.go")
	require.NoError(t, err)
	var code strings.Builder
	for _, f := range append(files, deeper...) {
		source, err := os.ReadFile(f)
		require.NoError(t, err)
		code.Write(source)
	}
	for _, name := range regexp.MustCompile("`(Test[A-Za-z0-9_]+)(…?)`").FindAllStringSubmatch(string(raw), -1) {
		require.Contains(t, code.String(), "func "+name[1], "docs/invariants.md names %s", name[0])
	}
}

// name is how the table of README.md calls a setting.
func name(s settings.Setting[config]) string {
	if s.Alias == "" {
		return "`" + s.Name + "`"
	}
	return "`" + s.Name + "`, or `" + s.Alias + "`"
}
