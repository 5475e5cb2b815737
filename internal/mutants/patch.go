package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutant is a bug to plant.
type mutant struct {
	name  string
	why   string   // what it would do to whom
	tests []string // arguments of go test: packages, then flags
	files []string // what the patch changes, from the root of the module
	patch []byte
}

var target = regexp.MustCompile(`(?m)^\+\+\+ b/(\S+)`)

// mutants reads the patches of a folder, in order of their names.
func mutants(patches fs.FS) ([]mutant, error) {
	names, err := fs.Glob(patches, "*.patch")
	if err != nil {
		return nil, err
	}
	all := make([]mutant, 0, len(names))
	for _, name := range names {
		raw, err := fs.ReadFile(patches, name)
		if err != nil {
			return nil, err
		}
		m := mutant{name: strings.TrimSuffix(name, ".patch"), patch: raw}
		for line := range strings.Lines(string(raw)) {
			if tests, found := strings.CutPrefix(line, "tests: "); found {
				m.tests = strings.Fields(tests)
			} else if why, found := strings.CutPrefix(line, "why: "); found {
				m.why = strings.TrimSpace(why)
			} else {
				break
			}
		}
		for _, file := range target.FindAllSubmatch(raw, -1) {
			m.files = append(m.files, string(file[1]))
		}
		if len(m.tests) == 0 || m.why == "" || len(m.files) == 0 {
			return nil, fmt.Errorf("read %s: it must begin with tests: and why:, and change a file", name)
		}
		all = append(all, m)
	}
	return all, nil
}

// touches says whether the mutant changes or tests a package in one of some folders.
func (m mutant) touches(dirs []string) bool {
	for _, file := range m.files {
		if slices.Contains(dirs, path.Dir(file)) {
			return true
		}
	}
	return slices.ContainsFunc(m.tests, func(arg string) bool {
		return slices.Contains(dirs, strings.TrimPrefix(arg, "./"))
	})
}

// plant writes the files with the bug into dir, and beside them the overlay that lays them over those of root; it
// returns the overlay's name.
func (m mutant) plant(root, dir string) (string, error) {
	replace := map[string]string{}
	for _, file := range m.files {
		raw, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		broken := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(broken), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(broken, raw, 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, file)] = broken
	}
	apply := exec.Command("git", "apply", "--whitespace=nowarn", "-")
	apply.Dir, apply.Stdin = dir, bytes.NewReader(m.patch)
	apply.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir)) // dir is no repository
	if out, err := apply.CombinedOutput(); err != nil {
		return "", fmt.Errorf("apply %s: write it anew for the code as it is: %s", m.name, bytes.TrimSpace(out))
	}
	overlay := filepath.Join(dir, "overlay.json")
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, raw, 0o600)
}

// quiet has property tests keep no record of what the bug broke: rapid would write it beside the tests, for the next
// run. Only a package that has such tests knows the flag.
func (m mutant) quiet(root string) []string {
	for _, arg := range m.tests {
		dir, found := strings.CutPrefix(arg, "./")
		if !found {
			continue
		}
		files, _ := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
		if !slices.ContainsFunc(files, func(file string) bool {
			raw, _ := os.ReadFile(file)
			return bytes.Contains(raw, []byte(`"pgregory.net/rapid"`))
		}) {
			return nil
		}
	}
	return []string{"-rapid.nofailfile"}
}
