package layers

import (
	"fmt"
	"slices"
	"strings"
)

// Module is the name of ours.
const Module = "github.com/formidling/formidling"

// Path is what others write to import the room.
func (r Room) Path() string { return Module + "/" + r.Dir }

// Allowed lists what files of the room may import besides the standard library, tests among them or not: rooms by
// their folder, foreign modules by their name.
func (r Room) Allowed(tests bool) (ours, foreign []string) {
	ours, foreign = slices.Clone(r.Ours), slices.Clone(r.Foreign)
	if tests {
		ours = append(append(ours, r.TestsOurs...), r.Dir)
		foreign = append(append(foreign, r.TestsForeign...), testLibraries...)
	}
	return tidy(ours), tidy(foreign)
}

// Forbidden lists the imports, each by its path, that the linter must complain of in files of the room: other rooms,
// those of the packages of others that it may not use, and what it may not use of the standard library.
func (r Room) Forbidden(others []string, tests bool) (paths []string) {
	ours, foreign := r.Allowed(tests)
	for _, other := range Rooms {
		if other.Dir != r.Dir && !slices.Contains(ours, other.Dir) {
			paths = append(paths, other.Path())
		}
	}
	for _, other := range others {
		if !slices.ContainsFunc(foreign, func(module string) bool { return strings.HasPrefix(other, module) }) {
			paths = append(paths, other)
		}
	}
	if !tests {
		paths = append(paths, r.NotStd...)
	}
	return paths
}

// Depguard renders the table as rules of depguard, two for each room: its files, and its test files.
func Depguard() string {
	var out strings.Builder
	for _, r := range Rooms {
		name := strings.ReplaceAll(r.Dir, "/", "-")
		fmt.Fprintf(&out, "        %s:\n          list-mode: strict\n          files: [\"${base-path}/%s/*.go\", \"!$test\"]\n", name, r.Dir)
		fmt.Fprintf(&out, "          allow: [%s]\n", r.allowList(false))
		if len(r.NotStd) > 0 {
			out.WriteString("          deny:\n")
			for _, std := range r.NotStd {
				fmt.Fprintf(&out, "            - {pkg: %q, desc: \"%s does nothing outside\"}\n", std+"$", r.Dir)
			}
		}
		fmt.Fprintf(&out, "        %s-tests:\n          list-mode: strict\n          files: [\"${base-path}/%s/*_test.go\"]\n", name, r.Dir)
		fmt.Fprintf(&out, "          allow: [%s]\n", r.allowList(true))
	}
	return out.String()
}

// allowList renders what is allowed. Rooms end with $, which lets depguard take the path as a whole: who may import
// a room may not import what lies below it.
func (r Room) allowList(tests bool) string {
	ours, foreign := r.Allowed(tests)
	list := []string{"$gostd"}
	if slices.ContainsFunc(foreign, func(module string) bool { return strings.HasPrefix(module, "go.") }) {
		list = append(list, `"go/"`) // depguard looks at the one entry that sorts before an import, and go. lies between go and go/ast
	}
	for _, module := range foreign {
		list = append(list, fmt.Sprintf("%q", module))
	}
	for _, dir := range ours {
		list = append(list, fmt.Sprintf("%q", Module+"/"+dir+"$"))
	}
	return strings.Join(list, ", ")
}

// Table renders the table for people.
func Table() string {
	var out strings.Builder
	out.WriteString("| package | may import of ours | of others | its tests also |\n|---|---|---|---|\n")
	for _, r := range Rooms {
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", r.Dir, orNothing(words(r.Ours)), short(r.Foreign), join(words(r.TestsOurs), short(r.TestsForeign)))
	}
	return out.String()
}

func words(list []string) string { return strings.Join(list, ", ") }

// orNothing says in a word that a room imports none of ours.
func orNothing(list string) string {
	if list == "" {
		return "nothing"
	}
	return list
}

// short leaves out where a module is kept: people know them by their names.
func short(modules []string) string {
	names := make([]string, 0, len(modules))
	for _, m := range modules {
		names = append(names, strings.TrimPrefix(strings.TrimPrefix(m, "github.com/"), "golang.org/"))
	}
	return words(names)
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), ", ")
}

func tidy(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
