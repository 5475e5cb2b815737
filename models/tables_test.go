package models

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// parsed reads the Go files below a directory, tests and generated files left out.
func parsed(t *testing.T, dir string) map[string]*ast.File {
	t.Helper()
	out := map[string]*ast.File{}
	fset := token.NewFileSet()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".git")):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".gen.go"):
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		out[path] = file
		return err
	}))
	require.NotEmpty(t, out)
	return out
}

// declaredAs are the constants of a package that are declared with a type of it, written out.
func declaredAs(files map[string]*ast.File, kind string) map[string]bool {
	out := map[string]bool{}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			named, _ := spec.Type.(*ast.Ident)
			for i, name := range spec.Names {
				converted := false
				if i < len(spec.Values) {
					call, _ := spec.Values[i].(*ast.CallExpr)
					if call != nil {
						f, _ := call.Fun.(*ast.Ident)
						converted = f != nil && f.Name == kind
					}
				}
				if converted || named != nil && named.Name == kind {
					out[name.Name] = true
				}
			}
			return true
		})
	}
	return out
}

// rowsOf are the first names in each row of a table, which is a variable of a package.
func rowsOf(t *testing.T, files map[string]*ast.File, table string) []string {
	t.Helper()
	var out []string
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || spec.Names[0].Name != table {
				return true
			}
			for _, row := range spec.Values[0].(*ast.CompositeLit).Elts {
				out = append(out, row.(*ast.CompositeLit).Elts[0].(*ast.Ident).Name)
			}
			return false
		})
	}
	require.NotEmpty(t, out, "there is no table %s", table)
	return out
}

func TestEventTable_HasOneRowForEachEventThatIsDeclared(t *testing.T) {
	t.Parallel()
	files := parsed(t, ".")
	rows := map[string]bool{}
	for _, name := range rowsOf(t, files, "eventTable") {
		require.False(t, rows[name], "%s stands in eventTable twice", name)
		rows[name] = true
	}
	declared := declaredAs(files, "EventType")
	require.Contains(t, declared, "EventPublished")
	for name := range declared {
		require.True(t, rows[name], "%s has no row in eventTable", name)
	}
	require.Len(t, rows, len(declared))
	types := map[EventType]bool{}
	for _, kind := range EventTypes() {
		require.False(t, types[kind], "%s is two events", kind)
		types[kind] = true
		require.Equal(t, strings.ToLower(string(kind)), string(kind))
	}
}

var eventRow = regexp.MustCompile("(?m)^\\| `([a-z]+)` \\|.*\\| ([^|]*) \\|$|^\\| `([a-z]+)` \\|.*\\| \\|$")

func TestEventTable_IsWhatTheDocumentLists(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "docs", "events.md"))
	require.NoError(t, err)
	listed := map[EventType]string{}
	for _, m := range eventRow.FindAllStringSubmatch(string(text), -1) {
		listed[EventType(m[1]+m[3])] = m[2]
	}
	for _, row := range eventTable {
		told, is := listed[row.Type]
		require.True(t, is, "docs/events.md does not list %s", row.Type)
		if row.Detail == "" {
			require.NotContains(t, told, "`", "docs/events.md has a detail of %s", row.Type)
		} else {
			require.Contains(t, told, "`"+row.Detail+"`", "docs/events.md has no detail of %s", row.Type)
		}
		delete(listed, row.Type)
	}
	require.Empty(t, listed, "docs/events.md lists what is no event")
}

func TestCatalogue_HasEachCodeOnce(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, e := range Catalogue() {
		require.Empty(t, seen[e.Code], "%s is two errors: %q and %q", e.Code, seen[e.Code], e.Message)
		require.NotEmpty(t, e.Message, e.Code)
		require.Regexp(t, `^(BRO|FMD)-\d{5}$`, e.Code)
		seen[e.Code] = e.Message
	}
	require.Equal(t, "BRO-00001", Catalogue()[0].Code, "in order")
}

// An error with a code of its own is made by newError, which puts it into the catalogue.
func TestCatalogue_IsTheOnlyPlaceThatGivesCodes(t *testing.T) {
	t.Parallel()
	for path, file := range parsed(t, "..") {
		inModels := filepath.Base(filepath.Dir(path)) == "models"
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && inModels && f.Name.Name == "newError" {
				continue
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				literal, ok := n.(*ast.CompositeLit)
				if !ok || !isModelsError(literal.Type, inModels) {
					return true
				}
				for _, e := range literal.Elts {
					pair, keyed := e.(*ast.KeyValueExpr)
					require.True(t, keyed, "%s makes an Error without names", path)
					if pair.Key.(*ast.Ident).Name == "Code" {
						_, borrowed := pair.Value.(*ast.SelectorExpr) // of an error of the catalogue
						require.True(t, borrowed, "%s makes an Error with a code that is not in the catalogue", path)
					}
				}
				return true
			})
		}
	}
}

func isModelsError(kind ast.Expr, inModels bool) bool {
	if inModels {
		name, ok := kind.(*ast.Ident)
		return ok && name.Name == "Error"
	}
	from, ok := kind.(*ast.SelectorExpr)
	if !ok || from.Sel.Name != "Error" {
		return false
	}
	pkg, ok := from.X.(*ast.Ident)
	return ok && pkg.Name == "models"
}

// unusedCodes are numbers that no error has, and why. A number that was given up is never given to another error.
var unusedCodes = map[string][]int{
	"retired: too many recipients, which FMD-00001 says of the field": {13},
	"free: of the registry":                        {37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49},
	"free: of receipts and proofs":                 {56, 58},
	"free: of the feed":                            {72, 73, 74, 75, 76, 77, 78, 79},
	"free: of subscriptions":                       {83, 84, 85, 86, 87, 88, 89},
	"free: of what an organisation may do at once": {92, 93, 94, 95},
}

func TestCatalogue_HasNoHolesButThoseWithAReason(t *testing.T) {
	t.Parallel()
	unused := map[string]string{}
	for why, numbers := range unusedCodes {
		for _, n := range numbers {
			unused[fmt.Sprintf("FMD-%05d", n)] = why
		}
	}
	used, newest := map[string]bool{}, ""
	for _, e := range Catalogue() {
		if strings.HasPrefix(e.Code, "FMD-") {
			used[e.Code], newest = true, e.Code
			require.Empty(t, unused[e.Code], "%s is used and listed as unused", e.Code)
		}
	}
	for n, code := 1, ""; code != newest; n++ {
		code = fmt.Sprintf("FMD-%05d", n)
		require.True(t, used[code] || unused[code] != "", "%s is neither used nor listed as unused with a reason", code)
		delete(unused, code)
	}
	require.Empty(t, unused, "listed beyond the newest number, %s", newest)
}

// notOurs are codes of the Altinn 3 Broker that we never answer with (docs/altinn-compatibility.md), and why.
var notOurs = map[string]string{
	"BRO-00002": "a service exists only with its owner",
	"BRO-00005": "an unknown service is 401 BRO-00006, as seen in Altinn's production",
	"BRO-00013": "there is one size limit, BRO-00022",
	"BRO-00020": "nobody must approve that a service does without scans",
	"BRO-00021": "storage is always there",
	"BRO-00030": "of a webhook that its scanner calls",
	"BRO-06001": "of reports, which Altinn has for its operators",
	"BRO-06002": "likewise", "BRO-06003": "likewise", "BRO-06004": "likewise", "BRO-06005": "likewise",
	"BRO-07001": "a caller always is an organisation",
	"BRO-07003": "nothing has to be set up for a service owner",
}

func TestCatalogue_AccountsForEachCodeOfTheReference(t *testing.T) {
	t.Parallel()
	ours := map[string]bool{}
	for _, e := range Catalogue() {
		ours[e.Code] = true
	}
	for _, span := range [][2]int{{1, 30}, {6001, 6005}, {7001, 7004}} {
		for n := span[0]; n <= span[1]; n++ {
			code := fmt.Sprintf("BRO-%05d", n)
			require.NotEqual(t, ours[code], notOurs[code] != "", "%s is either ours or listed as not ours with a reason", code)
			delete(ours, code)
		}
	}
	for code := range ours {
		require.True(t, strings.HasPrefix(code, "FMD-"), "%s is no code of Altinn", code)
	}
}

var anyCode = regexp.MustCompile(`\b(?:BRO|FMD)-\d{5}\b`)

// inside are errors that never leave the broker as they are: each becomes another one, or none.
var inside = map[string]string{
	"FMD-00011": "of objects: who makes an object again finds it",
	"FMD-00012": "of objects: a download tells what became of the transfer",
	"FMD-00017": "of workflows: the API then asks the store",
	"FMD-00022": "of identity: the token endpoint says invalid_grant",
}

func TestContract_NamesTheCodesThatThereAre(t *testing.T) {
	t.Parallel()
	contract, err := os.ReadFile(filepath.Join("..", "api", "openapi.yaml"))
	require.NoError(t, err)
	named := map[string]bool{}
	for _, code := range anyCode.FindAllString(string(contract), -1) {
		named[code] = true
	}
	for _, e := range Catalogue() {
		require.NotEqual(t, inside[e.Code] != "", named[e.Code], "%s (%s) is either named by openapi.yaml or listed as one that never leaves", e.Code, e.Message)
		delete(named, e.Code)
	}
	require.Empty(t, named, "openapi.yaml names codes that nothing answers with")
}

// The client and its commands import nothing of ours, and so repeat codes.
func TestPrograms_NameNoCodeThatThereIsNot(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, e := range Catalogue() {
		known[e.Code] = true
	}
	for path, file := range parsed(t, "..") {
		ast.Inspect(file, func(n ast.Node) bool {
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
				for _, code := range anyCode.FindAllString(text.Value, -1) {
					require.True(t, known[code], "%s names %s, which is no error", path, code)
				}
			}
			return true
		})
	}
}
