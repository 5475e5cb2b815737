package cli

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write rendered documents")

const document = "../../docs/cli.md"

// TestCommandLine_IsRenderedInDocument keeps the tables of docs/cli.md equal to what the commands do.
func TestCommandLine_IsRenderedInDocument(t *testing.T) {
	t.Parallel()
	var set, codes strings.Builder
	set.WriteString("| setting | flag | meaning |\n|---|---|---|\n")
	for _, s := range table {
		flag := "-"
		if s.Flag != "" {
			flag = "`--" + s.Flag + "`"
		}
		fmt.Fprintf(&set, "| `%s` | %s | %s |\n", s.Name, flag, s.Meaning)
	}
	codes.WriteString("| exit code | meaning |\n|---|---|\n")
	for _, e := range exitMeanings {
		fmt.Fprintf(&codes, "| %d | %s |\n", e.code, e.meaning)
	}
	raw, err := os.ReadFile(document)
	require.NoError(t, err)
	want := string(raw)
	for end, table := range map[string]string{"settings": set.String(), "exit codes": codes.String()} {
		at := regexp.MustCompile(`(<!-- rendered by TestCommandLine_IsRenderedInDocument[^>]*-->\n)(?:\|[^\n]*\n)*(<!-- end of ` + end + ` -->)`)
		require.Regexp(t, at, want)
		want = at.ReplaceAllString(want, "${1}"+table+"${2}")
	}
	if *update {
		require.NoError(t, os.WriteFile(document, []byte(want), 0o644))
	}
	raw, err = os.ReadFile(document)
	require.NoError(t, err)
	require.Equal(t, want, string(raw), "run `make generate`")
}
