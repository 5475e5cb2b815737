package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// readFile reads a file that the operator named.
func readFile(file string) ([]byte, error) { return os.ReadFile(file) }

// readOrMake reads a file, or makes it the first time. The new content is written next to its place and
// linked there, so that of two processes that start at once one wins and both read the same.
func readOrMake(file string, content func() ([]byte, error)) ([]byte, error) {
	found, err := readFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	made, err := content()
	if err != nil {
		return nil, err
	}
	draft, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	if _, err := draft.Write(made); err != nil {
		return nil, errors.Join(err, draft.Close())
	}
	if err := draft.Close(); err != nil {
		return nil, err
	}
	if err := os.Link(draft.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readFile(file)
}
