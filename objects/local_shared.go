package objects

import (
	"os"
	"path/filepath"

	"github.com/formidling/formidling/models"
)

// Parallel parts whose place in the file is known are written there from the beginning, into one file that they share. If
// they are joined in this order, nothing has to be copied. A writer locks the place of its part in this file, as a writer
// with a file of its own locks that.

// lockPlace locks and returns the beginning of a part in the shared file; nil if the part has no place there, or if another
// writer may still be writing there.
func (l *local) lockPlace(d models.TusDraft) (*localTail, error) {
	if d.Place == nil || d.Place.Length <= 0 || !canLinkOpenFiles {
		return nil, nil
	}
	if err := checkKey(d.Place.Key); err != nil {
		return nil, err
	}
	path := l.path(d.Place.Key)
	if err := l.mkdir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640) //nolint:gosec // as objects
	if err != nil {
		return nil, err
	}
	if locked, err := lockOf(*d.Place)(f); err != nil || !locked {
		closeQuietly(f)
		return nil, nil // the part gets a file of its own instead
	}
	t := l.tail(f, models.TusSegment{Name: d.Place.Key, Offset: d.Place.First})
	t.shared = true
	return t, nil
}

// lockOf locks a place.
func lockOf(p models.TusPlace) func(*os.File) (bool, error) {
	return func(f *os.File) (bool, error) { return tryLockRange(f, p.First, p.Length) }
}

// lockWhole locks all places, if there is nothing behind the bytes wanted.
func lockWhole(size int64) func(*os.File) (bool, error) {
	return func(f *os.File) (bool, error) {
		locked, err := tryLockRange(f, 0, 0)
		if err != nil || !locked {
			return false, err
		}
		info, err := f.Stat()
		return err == nil && info.Size() == size, err
	}
}

// inPlace reports whether the segments are one file already, from its first byte to its last, without gaps.
func (l *local) inPlace(a models.TusAssembly, size int64) bool {
	at := int64(0)
	for _, s := range a.Segments {
		if s.Name != a.Shared || s.Offset != at {
			return false
		}
		at += s.Size
	}
	info, err := os.Stat(l.path(a.Shared))
	return err == nil && info.Size() == size && size > 0
}
