package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const cliDocument = "../../docs/cli.md"

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
