package settings

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Prefix begins the names that are ours alone.
const Prefix = "FORMIDLING_"

// CheckNames refuses every name in an environment that begins with Prefix and is not known, and says which known one
// was meant, if one is near.
func CheckNames(environ, known []string) error {
	var errs []error
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, Prefix) && !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("%s is not a setting;%s `formidling config` lists all", name, meant(name, known)))
		}
	}
	return errors.Join(errs...)
}

// farthest is how many letters a name may be off to be taken for another.
const farthest = 3

// meant asks whether the nearest known name was meant, if one is near.
func meant(name string, known []string) string {
	if n := nearest(name, known); edits(name, n) <= farthest {
		return " did you mean " + n + "?"
	}
	return ""
}

// nearest is the known name with the fewest edits from a misspelt one.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return cmp.Compare(edits(name, a), edits(name, b)) })
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
