//go:build unix

package client

import (
	"os"

	"golang.org/x/sys/unix"
)

const (
	noFollow         = unix.O_NOFOLLOW // opening a symbolic link fails
	renamesOpenFiles = true
)

// lockFile keeps other processes from the same file, until it is closed.
func lockFile(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}
