package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/formidling/formidling/internal/layers"
)

// Names of the planted files.
const (
	plantedCode = "zz_planted.go"
	plantedTest = "zz_planted_test.go"
)

// emptyModule is where the copy finds what it imports under our name.
const emptyModule = "zz_empty"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: plant GOLANGCI-LINT")
		os.Exit(2)
	}
	planted, err := run(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "layers:", err)
		os.Exit(1)
	}
	fmt.Printf("layers: %d forbidden imports were planted in %d rooms, and the linter named each of them and no other\n", planted, len(layers.Rooms))
}

// run plants, lints and compares; it returns how many imports it planted.
func run(linter string) (int, error) {
	linter, err := filepath.Abs(linter)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "formidling-layers-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := copyTree(dir); err != nil {
		return 0, err
	}
	if err := writeEmpty(dir); err != nil {
		return 0, err
	}
	planted, err := plant(dir)
	if err != nil {
		return 0, err
	}
	complaints, err := lint(linter, dir)
	if err != nil {
		return 0, err
	}
	return len(planted), compare(planted, complaints)
}

// place is a line of a file, which is how the linter names an import.
type place struct {
	file string
	line int
}

// copyTree copies what the linter reads: the sources of the module as they lie here, committed or not.
func copyTree(dir string) error {
	files, err := tree()
	if err != nil {
		return err
	}
	for _, file := range append(files, "go.mod", "go.sum", ".golangci.yml") {
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if file == "go.mod" {
			raw = bytes.Replace(raw, []byte("module "+layers.Module+"\n"), []byte("module "+layers.Module+"/zzplanted\n"), 1)
			raw = fmt.Appendf(raw, "\nrequire %[1]s v0.0.0\n\nreplace %[1]s => ./%[2]s\n", layers.Module, emptyModule)
		}
		if err := write(filepath.Join(dir, file), raw); err != nil {
			return err
		}
	}
	return nil
}

// writeEmpty writes a module of our name with a package for each room, and nothing in it.
func writeEmpty(dir string) error {
	dir = filepath.Join(dir, emptyModule)
	if err := write(filepath.Join(dir, "go.mod"), []byte("module "+layers.Module+"\n")); err != nil {
		return err
	}
	for _, room := range layers.Rooms {
		if err := write(filepath.Join(dir, room.Dir, "empty.go"), []byte("package empty\n")); err != nil {
			return err
		}
	}
	return nil
}

// tree lists the Go files of the module.
func tree() (files []string, err error) {
	list, err := exec.Command("git", "ls-files", "-co", "--exclude-standard", "*.go", ":!devstack").Output()
	if err != nil {
		return nil, fmt.Errorf("list the tree: %w", err)
	}
	for file := range strings.FieldsSeq(string(list)) {
		if _, err := os.Stat(file); err == nil { // others are deleted, and not yet committed
			files = append(files, file)
		}
	}
	return files, nil
}

// foreign lists the packages of others that the tree imports.
func foreign() ([]string, error) {
	files, err := tree()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return nil, err
		}
		for _, spec := range parsed.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if host, _, _ := strings.Cut(path, "/"); strings.Contains(host, ".") && !strings.HasPrefix(path, layers.Module+"/") {
				all = append(all, path)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func write(file string, raw []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o600)
}

// plant writes two files into each room, one of them a test, with a line for each import that is forbidden there.
func plant(dir string) (map[place]string, error) {
	others, err := foreign()
	if err != nil {
		return nil, err
	}
	planted := map[place]string{}
	for _, room := range layers.Rooms {
		name, err := packageName(room.Dir)
		if err != nil {
			return nil, err
		}
		for file, tests := range map[string]bool{plantedCode: false, plantedTest: true} {
			file = filepath.Join(room.Dir, file)
			var source bytes.Buffer
			fmt.Fprintf(&source, "package %s\n\nimport (\n", name)
			for i, path := range room.Forbidden(others, tests) {
				fmt.Fprintf(&source, "\t_ %q\n", path)
				planted[place{file, i + 4}] = path
			}
			source.WriteString(")\n")
			if err := write(filepath.Join(dir, file), source.Bytes()); err != nil {
				return nil, err
			}
		}
	}
	return planted, nil
}

// packageName reads what a room's package is called, from its first file.
func packageName(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(string(raw)) {
			if name, found := strings.CutPrefix(line, "package "); found && !strings.HasSuffix(file, "_test.go") {
				return strings.TrimSpace(name), nil
			}
		}
	}
	return "", fmt.Errorf("find a package in %s", dir)
}

// lint runs depguard over the copy and returns what it complained of.
func lint(linter, dir string) (map[place]string, error) {
	cmd := exec.Command(linter, "run", "--enable-only", "depguard", "--issues-exit-code", "0",
		"--output.json.path", "stdout", "--show-stats=false", "--allow-parallel-runners", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run the linter: %w\n%s", err, stderr.Bytes())
	}
	var report struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct {
				Filename string
				Line     int
			}
		}
	}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&report); err != nil {
		return nil, fmt.Errorf("read what the linter says: %w", err)
	}
	complaints := map[place]string{}
	for _, issue := range report.Issues {
		if issue.FromLinter == "depguard" {
			complaints[place{issue.Pos.Filename, issue.Pos.Line}] = issue.Text
		}
	}
	return complaints, nil
}

// compare names each import that was planted and passed, and each complaint about a line that is ours.
func compare(planted, complaints map[place]string) error {
	var wrong []string
	for at, path := range planted {
		if _, found := complaints[at]; !found {
			wrong = append(wrong, fmt.Sprintf("%s imports %s, and the linter is silent", at.file, path))
		}
	}
	for at, text := range complaints {
		if _, found := planted[at]; !found {
			wrong = append(wrong, fmt.Sprintf("%s:%d: %s", at.file, at.line, text))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("the linter and internal/layers/table.go disagree:\n%s", strings.Join(wrong, "\n"))
}
