package layers_test

import (
	"flag"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/layers"
)

// root is where the module lies, seen from this package.
const root = "../.."

var update = flag.Bool("update", false, "write rendered documents")

// TestRules_AreRenderedForTheLinter keeps depguard's rules in .golangci.yml equal to the table.
func TestRules_AreRenderedForTheLinter(t *testing.T) {
	t.Parallel()
	rendered(t, ".golangci.yml", `(?s)(# rendered by TestRules_AreRenderedForTheLinter[^\n]*\n).*?( *# end of the rendered rules)`, layers.Depguard())
}

// TestTable_IsRenderedInArchitecture keeps the table of docs/architecture.md equal to ours.
func TestTable_IsRenderedInArchitecture(t *testing.T) {
	t.Parallel()
	rendered(t, "docs/architecture.md", `(?s)(<!-- rendered by TestTable_IsRenderedInArchitecture[^\n]*-->\n).*?(<!-- end -->)`, layers.Table())
}

// rendered compares what lies between two marks of a file with text, and writes it when asked to.
func rendered(t *testing.T, file, marks, text string) {
	t.Helper()
	file = filepath.Join(root, file)
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	place := regexp.MustCompile(marks)
	require.Len(t, place.FindAll(raw, -1), 1, "the marks of %s", file)
	want := place.ReplaceAllString(string(raw), "${1}"+strings.ReplaceAll(text, "$", "$$")+"${2}")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(raw), "run `make generate`")
}

// A room that imports only rooms above it cannot be part of a circle.
func TestRooms_ImportOnlyRoomsAboveThem(t *testing.T) {
	t.Parallel()
	var above []string
	for _, r := range layers.Rooms {
		require.NotContains(t, above, r.Dir, "two rooms of one name")
		for _, ours := range r.Ours {
			require.Contains(t, above, ours, "%s may import a room that stands below it, or none", r.Dir)
		}
		above = append(above, r.Dir)
	}
	for _, r := range layers.Rooms {
		for _, ours := range r.TestsOurs {
			require.Contains(t, above, ours, "tests of %s may import a room that does not exist", r.Dir)
		}
	}
}

func TestRooms_AreThePackagesOfTheModule(t *testing.T) {
	t.Parallel()
	var dirs []string
	for _, r := range layers.Rooms {
		dirs = append(dirs, r.Dir)
	}
	for _, dir := range packages(t) {
		require.Contains(t, dirs, dir, "give the package a room in internal/layers/table.go")
	}
	for _, dir := range dirs {
		require.Contains(t, packages(t), dir, "internal/layers/table.go has a room that is no package")
	}
}

func TestRooms_NameNoModuleThatTheyDoNotNeed(t *testing.T) {
	t.Parallel()
	for _, r := range layers.Rooms {
		imported := imports(t, r.Dir)
		for _, module := range r.Foreign {
			require.True(t, slices.ContainsFunc(imported, func(i string) bool {
				return strings.HasPrefix(i, module)
			}), "%s may import %s and does not", r.Dir, module)
		}
	}
}

// These ten passed, for a long time, while a document said that they could not.
func TestForbidden_NamesWhatOncePassed(t *testing.T) {
	t.Parallel()
	for room, others := range map[string][]string{
		"store":      {"identity", "objects", "webhook"},
		"identity":   {"objects"},
		"webhook":    {"receipts"},
		"api":        {"receipts", "webhook"},
		"activities": {"receipts"},
		"worker":     {"identity"},
		"workflows":  {"webhook"},
	} {
		at := slices.IndexFunc(layers.Rooms, func(r layers.Room) bool { return r.Dir == room })
		for _, other := range others {
			require.Contains(t, layers.Rooms[at].Forbidden(nil, false), layers.Module+"/"+other, "in %s", room)
		}
	}
}

// packages lists the folders of the module that hold Go files.
func packages(t *testing.T) (dirs []string) {
	t.Helper()
	for _, file := range sources(t) {
		if dir := filepath.ToSlash(filepath.Dir(file)); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// sources lists the Go files of the module, from its root; other modules below it are not of it.
func sources(t *testing.T) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			other := err == nil && path != root
			if name := entry.Name(); other || name == "testdata" || name == "node_modules" || path != root && strings.HasPrefix(name, ".") {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") {
			file, err := filepath.Rel(root, path)
			files = append(files, filepath.ToSlash(file))
			return err
		}
		return nil
	}))
	require.NotEmpty(t, files)
	return files
}

// imports lists what the files of a folder import, its tests aside.
func imports(t *testing.T, dir string) (paths []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			paths = append(paths, path)
		}
	}
	return paths
}
