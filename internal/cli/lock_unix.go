//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock opens a file that no other process can lock until it is closed, however this one ends. Who holds the lock may
// delete the file: what is locked after that has no name, keeps nobody away, and is not taken for the lock.
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
