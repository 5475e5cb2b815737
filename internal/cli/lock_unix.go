//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock opens a file that no other process can lock until it is closed, however this one ends. Its holder may
// delete the file: whoever then locks a file without a name keeps nobody away, so lock notices that and tries again.
func lock(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			_ = f.Close()
			return nil, err
		}
		own, err := f.Stat()
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		if now, err := os.Stat(path); err == nil && os.SameFile(own, now) {
			return f, nil
		}
		_ = f.Close()
	}
}
