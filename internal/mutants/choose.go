package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// choose returns the mutants that touch some folders first, then others until there are enough. The order among
// equals follows from the seed, so that one commit always asks the same and the next one asks something else.
func choose(all []mutant, dirs []string, least int, seed string) []mutant {
	mix := func(m mutant) []byte {
		sum := sha256.Sum256([]byte(seed + m.name))
		return sum[:]
	}
	touched := 0
	chosen := slices.Clone(all)
	slices.SortFunc(chosen, func(a, b mutant) int {
		return cmp.Or(rank(a, dirs)-rank(b, dirs), bytes.Compare(mix(a), mix(b)))
	})
	for _, m := range chosen {
		touched += 1 - rank(m, dirs)
	}
	return chosen[:min(len(chosen), max(touched, least))]
}

// rank is 0 for what touches some folders, and 1 for others.
func rank(m mutant, dirs []string) int {
	if m.touches(dirs) {
		return 0
	}
	return 1
}

// changed lists the folders that a change touches, and its commit: what lies on top of the main branch of the origin,
// or when nothing does, the last commit; and what is not committed.
func changed() (dirs []string, head string) {
	head = git("rev-parse", "HEAD")
	base := git("merge-base", "HEAD", "origin/main")
	if base == "" || base == head {
		base = git("rev-parse", "HEAD~1")
	}
	if base == "" { // a shallow clone knows of no change
		return nil, head
	}
	for file := range strings.FieldsSeq(git("diff", "--name-only", base)) {
		dirs = append(dirs, path.Dir(file))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs), head
}

// git returns what a question says, and nothing when it has no answer.
func git(args ...string) string {
	out, err := exec.Command("git", args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
