package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/cli"
	"github.com/formidling/formidling/internal/settings"
	"github.com/formidling/formidling/models"
)

// Whoever adds a field and forgets its row reads here which one; the same for a row that changes nothing.
func TestSettings_HaveOneRowForEachFieldAndOneFieldForEachRow(t *testing.T) {
	t.Parallel()
	rows := map[string][]string{} // of each field
	for _, s := range table {
		changed := fieldsChangedBy(t, s)
		require.Len(t, changed, 1, "the row of %s changes one field", s.Name)
		rows[changed[0]] = append(rows[changed[0]], s.Name)
		require.NotEmpty(t, s.Meaning, s.Name)
	}
	kind := reflect.TypeFor[config]()
	for i := range kind.NumField() {
		if f := kind.Field(i); f.IsExported() {
			require.Len(t, rows[f.Name], 1, "config.%s has one row in the table of settings", f.Name)
		}
	}
}

// fieldsChangedBy sets a setting to a value that it takes, and tells which fields that changed.
func fieldsChangedBy(t *testing.T, s settings.Setting[config]) (fields []string) {
	t.Helper()
	for _, value := range []string{"7", "P7D", "on", "debug", "json", "services=7"} {
		c := config{Quotas: models.DefaultQuotas()}
		before := c
		if s.Set(&c, value) != nil {
			continue
		}
		was, is := reflect.ValueOf(before), reflect.ValueOf(c)
		for i := range was.NumField() {
			if f := was.Type().Field(i); f.IsExported() && !reflect.DeepEqual(was.Field(i).Interface(), is.Field(i).Interface()) {
				fields = append(fields, f.Name)
			}
		}
		return fields
	}
	require.Fail(t, "no value is taken", "%s takes none of the values that this test tries", s.Name)
	return nil
}

func TestSettings_HaveEachNameOnce(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	names := table.Names()
	for _, s := range cli.Settings() {
		names = append(names, s.Name)
	}
	for _, name := range names {
		require.False(t, seen[name], "%s stands twice", name)
		seen[name] = true
	}
}

// What code, documents and deployment name is a setting, and no name lives on in them that the table has lost.
func TestSettings_AreAllThatIsNamedAnywhere(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"FORMIDLING_DATABASE_PASSWORD": true} // of the containers in deploy/, not of the program
	for _, name := range table.Names() {
		known[name] = true
	}
	for _, s := range cli.Settings() {
		known[s.Name] = true
	}
	root := os.DirFS("../..")
	named := regexp.MustCompile(`FORMIDLING_[A-Z0-9_]*[A-Z0-9]`)
	files := 0
	require.NoError(t, fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "bin" || d.Name() == "var" || d.Name() == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		kind := filepath.Ext(path)
		if strings.HasSuffix(path, "_test.go") || kind != ".go" && kind != ".md" && kind != ".yaml" && kind != ".example" && d.Name() != "Dockerfile" {
			return nil
		}
		raw, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		files++
		for _, name := range named.FindAllString(string(raw), -1) {
			require.True(t, known[name], "%s names %s, which is no setting", path, name)
		}
		return nil
	}))
	require.Greater(t, files, 100)
}

func TestConfig_FallbacksAreValid(t *testing.T) {
	t.Parallel()
	c, err := readConfig(nil)
	require.NoError(t, err)
	require.Equal(t, "sqlite:var/formidling.db", c.DatabaseURL)
	require.Equal(t, "http://127.0.0.1:8080", c.PublicURL)
	require.Equal(t, 24*time.Hour, c.UploadDeadline)
}

func TestConfig_TakesBothNamesOfDatabaseAndObjects(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "FORMIDLING_"} {
		c, err := readConfig([]string{prefix + "DATABASE_URL=postgres://x", prefix + "OBJECTS=gs://x"})
		require.NoError(t, err)
		require.Equal(t, "postgres://x", c.DatabaseURL)
		require.Equal(t, "gs://x", c.Objects)
		require.NoError(t, c.requireShared())
	}
	_, err := readConfig([]string{"DATABASE_URL=postgres://user:password@x", "FORMIDLING_DATABASE_URL=postgres://y"})
	require.ErrorContains(t, err, "FORMIDLING_DATABASE_URL and DATABASE_URL differ")
	require.NotContains(t, err.Error(), "password")
	c, err := readConfig(nil)
	require.NoError(t, err)
	require.EqualError(t, c.requireShared(), "FORMIDLING_DATABASE_URL, FORMIDLING_OBJECTS: must be set; only run and demo keep state in FORMIDLING_DATA by themselves")
}
