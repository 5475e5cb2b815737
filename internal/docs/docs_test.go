package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"

	"github.com/stretchr/testify/require"
)

// root is the repository.
var root = os.DirFS("../..")

func TestLinks_LeadSomewhere(t *testing.T) {
	t.Parallel()
	files := named(t, root, ".md")
	require.Contains(t, files, "README.md")
	require.Contains(t, files, ".github/pull_request_template.md")
	require.Empty(t, brokenLinks(t, root))
}

// The check itself finds what it is for.
func TestLinks_ThatLeadNowhereAreNamed(t *testing.T) {
	t.Parallel()
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	tree := fstest.MapFS{
		"README.md": text("[right](docs/a.md#the-way-of-a-file) [elsewhere](https://example.com/x.md) [folder](docs/)\n" +
			"[no file](docs/b.md) [no heading](docs/a.md#here) [no heading here](#nowhere)\n" +
			"`[code](nowhere.md)`\n```\n[code](nowhere.md)\n# not-a-heading\n```\n[above](#not-a-heading)\n[by name]\n\n[by name]: docs/c.md\n"),
		"docs/a.md": text("# A\n## The *way* of a `file`\n## Twice\n## Twice\n[up](../README.md) [second](#twice-1) [third](#twice-2)\n"),
	}
	require.ElementsMatch(t, []string{
		"README.md: docs/b.md", "README.md: docs/a.md#here", "README.md: #nowhere", "README.md: #not-a-heading", "README.md: docs/c.md",
		"docs/a.md: #twice-2",
	}, brokenLinks(t, tree))
}

func TestCitations_LeadToSections(t *testing.T) {
	t.Parallel()
	reference := regexp.MustCompile(`\b(docs/reference/[\w-]+\.md) (\d+(?:\.\d+)?)`)
	document := regexp.MustCompile(`\bdocs/[\w/-]+\.md\b`)
	decision := regexp.MustCompile(`\bdocs/adr/\d{4}`)
	cited := 0
	for _, file := range named(t, root, ".go", ".sql", ".yaml", ".md") {
		text := read(t, root, file)
		for _, c := range reference.FindAllStringSubmatch(text, -1) {
			cited++
			section := regexp.MustCompile(`(?m)^#+ ` + regexp.QuoteMeta(c[2]) + `\.? `)
			require.Regexp(t, section, read(t, root, c[1]), "%s cites %s", file, c[0])
		}
		if strings.HasPrefix(file, "internal/docs/") || strings.HasSuffix(file, ".md") {
			continue // documents have links
		}
		for _, c := range document.FindAllString(text, -1) {
			_, err := fs.Stat(root, c)
			require.NoError(t, err, "%s cites %s", file, c)
		}
		for _, c := range decision.FindAllString(text, -1) {
			found, err := fs.Glob(root, c+"-*.md")
			require.NoError(t, err)
			require.Len(t, found, 1, "%s cites %s", file, c)
		}
	}
	require.NotZero(t, cited)
}

func TestDecisions_CarryTheirNumber(t *testing.T) {
	t.Parallel()
	decisions, err := fs.Glob(root, "docs/adr/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, decisions)
	for _, file := range decisions {
		var number int
		_, err := fmt.Sscanf(path.Base(file), "%04d-", &number)
		require.NoError(t, err, file)
		text := read(t, root, file)
		require.True(t, strings.HasPrefix(text, fmt.Sprintf("# %d. ", number)), "%s begins with another number", file)
		for _, part := range []string{"**Context.**", "**Decision.**"} {
			require.Contains(t, text, part, file)
		}
	}
}

// named lists the files of the tree with one of the endings, without what was built or installed.
func named(t *testing.T, tree fs.FS, endings ...string) (files []string) {
	t.Helper()
	require.NoError(t, fs.WalkDir(tree, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch name := entry.Name(); {
		case entry.IsDir() && (file == "bin" || file == "var" || name == ".git" || name == "node_modules"):
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		for _, ending := range endings {
			if strings.HasSuffix(file, ending) {
				files = append(files, file)
			}
		}
		return nil
	}))
	return files
}

var (
	fenced    = regexp.MustCompile("(?ms)^```.*?^```$")
	inline    = regexp.MustCompile("`[^`\n]*`")
	links     = regexp.MustCompile(`(?m)\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)`)
	elsewhere = regexp.MustCompile(`^[a-z]+:`)
	headings  = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// brokenLinks names each relative link that leads to no file, or to no heading of it.
func brokenLinks(t *testing.T, tree fs.FS) (broken []string) {
	t.Helper()
	for _, file := range named(t, tree, ".md") {
		text := inline.ReplaceAllString(fenced.ReplaceAllString(read(t, tree, file), ""), "")
		for _, found := range links.FindAllStringSubmatch(text, -1) {
			link := found[1] + found[2]
			if elsewhere.MatchString(link) {
				continue
			}
			name, anchor, _ := strings.Cut(link, "#")
			target := file
			if name != "" {
				target = path.Join(path.Dir(file), name)
			}
			if _, err := fs.Stat(tree, target); err != nil || anchor != "" && !anchors(read(t, tree, target))[anchor] {
				broken = append(broken, file+": "+link)
			}
		}
	}
	return broken
}

// anchors are the names that GitHub gives to the headings of a document.
func anchors(text string) map[string]bool {
	names, times := map[string]bool{}, map[string]int{}
	for _, heading := range headings.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
				return unicode.ToLower(r)
			}
			return -1
		}, heading[1])
		if times[name]++; times[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, times[name]-1)
		}
		names[name] = true
	}
	return names
}

func read(t *testing.T, tree fs.FS, file string) string {
	t.Helper()
	raw, err := fs.ReadFile(tree, file)
	require.NoError(t, err)
	return string(raw)
}
