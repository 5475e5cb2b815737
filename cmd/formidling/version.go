package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the linker, as in -X main.version=v0.1.0; empty in a build that did not say which version it is.
var version string

// build is what this program was made from.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`     // empty in a build without the repository
	Time     string `json:"commitTime,omitempty"` // RFC 3339
	Modified bool   `json:"modified"`             // files differed from the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// newBuild takes the version that the linker set and, for the rest, what the compiler wrote down.
func newBuild(linked string, info *debug.BuildInfo) build {
	b := build{Version: linked, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info != nil {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.time":
				b.Time = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
		if info.Main.Version != "(devel)" {
			b.Version = cmp.Or(b.Version, info.Main.Version)
		}
	}
	b.Version = cmp.Or(b.Version, "unknown")
	return b
}

// String is a build for people, in one line.
func (b build) String() string {
	from := []string{b.Go, b.Platform}
	if b.Commit != "" {
		commit := "commit " + b.Commit
		if b.Time != "" {
			commit += " of " + b.Time
		}
		if b.Modified {
			commit += ", changed since"
		}
		from = append([]string{commit}, from...)
	}
	return fmt.Sprintf("formidling %s (%s)", b.Version, strings.Join(from, ", "))
}

// addVersion gives the program `version` and --version, which read no settings and so work anywhere.
func addVersion(root *cobra.Command) {
	info, _ := debug.ReadBuildInfo()
	b := newBuild(version, info)
	root.Version = b.String()
	root.SetVersionTemplate("{{.Version}}\n")
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print which version this is, and what it was built from", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(b)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), b)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	root.AddCommand(cmd)
}
