package objects

import (
	"errors"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// openAnonymous makes a file without a name in dir. It needs a file system with O_TMPFILE and a
// mounted /proc, through which the file gets its time and its name.
func openAnonymous(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o640)
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EISDIR), errors.Is(err, unix.EINVAL):
		return nil, errNoAnonymous // EISDIR and EINVAL come from kernels and file systems that ignore the flag
	case err != nil:
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	f := os.NewFile(uintptr(fd), dir+"/(unnamed)")
	if _, err := os.Stat(procPath(f)); err != nil { //nolint:gosec // a descriptor of this process
		_ = f.Close()
		return nil, errNoAnonymous
	}
	return f, nil
}

func procPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// linkAnonymous gives f its name; an existing path is fs.ErrExist.
func linkAnonymous(f *os.File, path string) error {
	if err := unix.Linkat(unix.AT_FDCWD, procPath(f), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &os.PathError{Op: "linkat", Path: path, Err: err}
	}
	return nil
}

func setModTime(f *os.File, t time.Time) error { return os.Chtimes(procPath(f), t, t) }

// startWriteback asks the kernel to begin writing a range to the disk.
func startWriteback(f *os.File, offset, length int64) error {
	return syncRange(f, offset, length, unix.SYNC_FILE_RANGE_WRITE)
}

// awaitWriteback waits until a range has been written.
func awaitWriteback(f *os.File, offset, length int64) error {
	return syncRange(f, offset, length,
		unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
}

// syncRange ignores that a file system cannot do this, because the flush at the end writes everything. Any other error
// counts: the kernel reports a failed write-back only once, here or at the flush.
func syncRange(f *os.File, offset, length int64, flags int) error {
	for {
		err := unix.SyncFileRange(int(f.Fd()), offset, length, flags)
		switch {
		case errors.Is(err, unix.EINTR):
		case err == nil, errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ESPIPE), errors.Is(err, unix.EPERM):
			return nil
		default:
			return &os.PathError{Op: "sync_file_range", Path: f.Name(), Err: err}
		}
	}
}

// freeBytes is what an ordinary user may still write to the file system of dir.
func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(s.Bavail) * s.Bsize, nil //nolint:gosec // bytes of a disk fit
}

// tryLockRange locks a part of an open file; length 0 means to the end, wherever that will be. It is independent of
// tryLock: the two do not exclude each other.
func tryLockRange(f *os.File, first, length int64) (bool, error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: first, Len: length}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "fcntl", Path: f.Name(), Err: err}
	}
	return true, nil
}

// canLinkOpenFiles tells that a segment's file may become an object while it is held open and locked.
const canLinkOpenFiles = true

// tryLock locks an open file. The lock ends when the file is closed, or when the process ends, however it ends.
func tryLock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "flock", Path: f.Name(), Err: err}
	}
	return true, nil
}
