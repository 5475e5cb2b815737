package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// readiness is what a program that started devstack needs to know to use it.
type readiness struct {
	// Address is where the server takes gRPC, as a client on this machine reaches it.
	Address string `json:"address"`
	// UI is the URL of the web UI, absent when there is none.
	UI string `json:"ui,omitempty"`
	// Namespace exists and has its search attributes.
	Namespace string `json:"namespace"`
}

// announce writes r to the ready file, when one is wanted, and then as one line to out. A reader
// of either finds all of it or nothing.
func announce(out io.Writer, readyFile string, r readiness) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode readiness: %w", err)
	}
	line = append(line, '\n')
	if readyFile != "" {
		if err := writeAtomically(readyFile, line); err != nil {
			return fmt.Errorf("write ready file: %w", err)
		}
	}
	if _, err := out.Write(line); err != nil {
		return fmt.Errorf("print readiness: %w", err)
	}
	return nil
}

// writeAtomically writes beside path and renames, so that path never holds a part.
func writeAtomically(path string, content []byte) error {
	unfinished := path + ".unfinished"
	if err := os.WriteFile(unfinished, content, 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

// removeReadyFile takes away the announcement of a devstack that does not run, or no longer.
func removeReadyFile(path string) error {
	if path == "" {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove ready file: %w", err)
	}
	return nil
}
