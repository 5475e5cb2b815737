package layers_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Limits of the house. What is longer is two things, or is told too slowly.
const (
	maxFolder    = 25  // files written by hand, tests aside
	maxFile      = 400 // lines
	maxFunction  = 70  // lines
	mostFunction = 45  // lines, of 95 functions in a hundred
)

// maySleep are the tests that may let real time pass, each a fake of something slow or under virtual time.
var maySleep = map[string]string{
	"api/http2_test.go":                      "a wire with a delay",
	"client/patience_test.go":                "a slow sender, a silent server, a busy reader",
	"cmd/formidling/tus_faults_test.go":      "a slow sender",
	"identity/revocation_test.go":            "virtual time",
	"objects/local_test.go":                  "a slow disk",
	"store/feed/watch_test.go":               "a slow transaction",
	"webhook/sender_test.go":                 "a slow endpoint",
	"worker/sealer_test.go":                  "virtual time",
	"worker/subscription_dispatcher_test.go": "virtual time",
}

// source is a parsed file that somebody wrote.
type source struct {
	name  string
	lines int
	set   *token.FileSet
	file  *ast.File
}

// written parses every Go file of ours, those of devstack too, that is not generated.
func written(t *testing.T) (all []source) {
	t.Helper()
	devstack, err := filepath.Glob(filepath.Join(root, "devstack", "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, devstack)
	files := sources(t)
	for _, file := range devstack {
		files = append(files, path.Join("devstack", filepath.Base(file)))
	}
	for _, file := range files {
		raw, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, raw, parser.ParseComments)
		require.NoError(t, err)
		if !ast.IsGenerated(parsed) {
			all = append(all, source{file, strings.Count(string(raw), "\n"), set, parsed})
		}
	}
	return all
}

func TestHouse_FoldersAreSmall(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	for _, s := range written(t) {
		if !strings.HasSuffix(s.name, "_test.go") {
			count[path.Dir(s.name)]++
		}
	}
	delete(count, "models") // the language has many words, and one file for each
	for dir, n := range count {
		require.LessOrEqual(t, n, maxFolder, "files in %s", dir)
	}
}

func TestHouse_FilesAreShort(t *testing.T) {
	t.Parallel()
	var long []string
	for _, s := range written(t) {
		if s.lines > maxFile {
			long = append(long, fmt.Sprintf("%s has %d lines", s.name, s.lines))
		}
	}
	require.Empty(t, long)
}

func TestHouse_FunctionsAreShort(t *testing.T) {
	t.Parallel()
	var lengths []int
	var long []string
	for _, s := range written(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1
			if lengths = append(lengths, n); n > maxFunction {
				long = append(long, fmt.Sprintf("%s: %s has %d lines", s.name, f.Name.Name, n))
			}
		}
	}
	require.Empty(t, long)
	slices.Sort(lengths)
	require.LessOrEqual(t, lengths[len(lengths)*95/100], mostFunction, "lines of 95 functions in a hundred")
}

func TestHouse_EveryPackageSaysWhatItOwns(t *testing.T) {
	t.Parallel()
	described := map[string]bool{}
	for _, s := range written(t) {
		dir := path.Dir(s.name)
		described[dir] = described[dir] || s.file.Doc != nil && !strings.HasSuffix(s.name, "_test.go")
	}
	for dir, is := range described {
		require.True(t, is, "%s has no package comment; write doc.go", dir)
	}
}

func TestHouse_NoTestSleeps(t *testing.T) {
	t.Parallel()
	sleeping := map[string]bool{}
	for _, s := range written(t) {
		if !strings.HasSuffix(s.name, "_test.go") && !strings.HasPrefix(s.name, "internal/testenv/") && !strings.HasPrefix(s.name, "api/apitest/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok && call.Sel.Name == "Sleep" {
				if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "time" {
					sleeping[s.name] = true
				}
			}
			return true
		})
	}
	for file := range sleeping {
		require.Contains(t, maySleep, file, "wait for a condition; only fakes of what is slow may sleep")
	}
	for file := range maySleep {
		require.True(t, sleeping[file], "%s does not sleep any more: strike it off", file)
	}
}
