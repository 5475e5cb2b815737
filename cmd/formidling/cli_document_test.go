package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const cliDocument = "../../docs/cli.md"

// TestCommandLine_IsRenderedInDocument keeps the tables of docs/cli.md equal to what the commands do.
func TestCommandLine_IsRenderedInDocument(t *testing.T) {
	t.Parallel()
	var set, codes strings.Builder
	set.WriteString("| setting | flag | meaning |\n|---|---|---|\n")
	for _, s := range clientSettings {
		flag := "-"
		if s.flag != "" {
			flag = "`--" + s.flag + "`"
		}
		fmt.Fprintf(&set, "| `%s` | %s | %s |\n", s.name, flag, s.meaning)
	}
	codes.WriteString("| exit code | meaning |\n|---|---|\n")
	for _, e := range exitMeanings {
		fmt.Fprintf(&codes, "| %d | %s |\n", e.code, e.meaning)
	}
	raw, err := os.ReadFile(cliDocument)
	require.NoError(t, err)
	want := string(raw)
	for end, table := range map[string]string{"settings": set.String(), "exit codes": codes.String()} {
		at := regexp.MustCompile(`(<!-- rendered by TestCommandLine_IsRenderedInDocument[^>]*-->\n)(?:\|[^\n]*\n)*(<!-- end of ` + end + ` -->)`)
		require.Regexp(t, at, want)
		want = at.ReplaceAllString(want, "${1}"+table+"${2}")
	}
	if *update {
		require.NoError(t, os.WriteFile(cliDocument, []byte(want), 0o644))
	}
	raw, err = os.ReadFile(cliDocument)
	require.NoError(t, err)
	require.Equal(t, want, string(raw), "run `make generate`")
}

// TestCommandLine_AsDocumented runs what docs/cli.md tells its readers to type.
func TestCommandLine_AsDocumented(t *testing.T) {
	t.Parallel()
	out := runSnippets(t, cliDocument, "TestCommandLine_AsDocumented")
	for _, seen := range []string{"hello, world", `"fileName":"docs.tar"`, "large.bin", "AllConfirmedDownloaded"} {
		require.Contains(t, out, seen)
	}
}

// TestReadme_CommandLine runs the commands of README.md, after what it tells a newcomer to type first.
func TestReadme_CommandLine(t *testing.T) {
	t.Parallel()
	out := runSnippets(t, readme, "TestReadme_(?:FirstFileWithCurl|CommandLine)")
	require.Contains(t, out, "README.md")
	require.Contains(t, out, "DownloadConfirmed")
}
