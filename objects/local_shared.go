package objects

import (
	"os"
	"path/filepath"

	"github.com/formidling/formidling/models"
)

// Parallel parts of which it is known where they lie in the file are written there from the beginning, into one file that
// they share: joined in this order, they need not be copied. A writer holds the lock of its part's place in it, as
// another one holds that of a file of its own.

// lockPlace returns the beginning of a part in the file that it shares; nil where that cannot be, or when somebody may
// still be writing there.
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
		return nil, nil // a file of its own does as well
	}
	t := l.tail(f, models.TusSegment{Name: d.Place.Key, Offset: d.Place.First})
	t.shared = true
	return t, nil
}

// lockOf takes the lock of a place.
func lockOf(p models.TusPlace) func(*os.File) (bool, error) {
	return func(f *os.File) (bool, error) { return tryLockRange(f, p.First, p.Length) }
}

// lockWhole takes the lock of all places, if nothing else has come to lie behind the bytes wanted.
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

// inPlace tells that segments are one file already, from its first byte to its last and without gaps.
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
