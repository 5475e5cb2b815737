//go:build !unix

package cli

import "os"

// lock opens a file; other processes are not kept from it.
func lock(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) }
