package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/formidling/formidling/models"
)

// How much of a draft on the local disk may be lost with the process: so many bytes, or what came from a slow client in
// so much time.
const (
	localCutBytes = 64 << 20
	localCutTime  = 5 * time.Second
)

// Append implements Store. A draft is one file that grows, as long as each writer finds it unlocked. A writer holds the
// lock of its segment's file from before the claim until its last write. A writer that finds the lock taken begins a
// file of its own, so an overtaken one that still writes cannot spoil bytes that count.
func (l *local) Append(ctx context.Context, d models.TusDraft, body io.Reader, a models.TusAppend) error {
	if err := checkKey(d.Prefix); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if err := l.append(ctx, d, body, a); err != nil {
		return fmt.Errorf("append to %s: %w", d.Prefix, localError(err))
	}
	return nil
}

func (l *local) append(ctx context.Context, d models.TusDraft, body io.Reader, a models.TusAppend) error {
	if err := l.checkRoom(); err != nil {
		return err
	}
	t, err := l.lockTail(d)
	if err != nil {
		return err
	}
	epoch, err := a.Claim()
	if err == nil && t == nil {
		t, err = l.newTail(d, segmentName(d, epoch))
	}
	if err == nil {
		_, err = t.draft.file.Seek(t.draft.size, io.SeekStart)
	}
	if err != nil {
		if t != nil {
			closeQuietly(t.draft.file)
		}
		return err
	}
	return appendTo(ctx, t, t.grows, d, a, body)
}

// lockTail locks and returns the end of a draft; nil if it has none yet, or if another writer may still be writing there.
func (l *local) lockTail(d models.TusDraft) (*localTail, error) {
	if len(d.Segments) == 0 {
		return l.lockPlace(d)
	}
	last := d.Segments[len(d.Segments)-1]
	lock, shared := tryLock, d.Place != nil && last.Name == d.Place.Key
	if shared {
		lock = lockOf(*d.Place)
	}
	f, err := l.lockSegment(last, lock)
	if f == nil || err != nil {
		return nil, err
	}
	t := l.tail(f, last)
	t.grows, t.shared, t.fresh = last, shared, false
	return t, nil
}

// newTail begins a file.
func (l *local) newTail(d models.TusDraft, name string) (*localTail, error) {
	f, err := l.newSegment(name)
	if err != nil {
		return nil, err
	}
	return l.tail(f, models.TusSegment{Name: name, First: d.Received}), nil
}

// segmentName is unique: no two writers of an upload have the same epoch.
func segmentName(d models.TusDraft, epoch int64) string {
	return fmt.Sprintf("%s/%016x-%d", d.Prefix, d.Received, epoch)
}

// lockSegment opens a segment's file for writing; nil if another writer may still be writing to it.
func (l *local) lockSegment(s models.TusSegment, lock func(*os.File) (bool, error)) (*os.File, error) {
	if err := checkKey(s.Name); err != nil {
		return nil, err
	}
	f, err := l.openSegment(s, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	locked, err := lock(f)
	if err != nil || !locked {
		closeQuietly(f)
		return nil, err
	}
	return f, nil
}

// openSegment opens a segment's file. It returns models.ErrUploadLost if bytes are missing: they were durable once, or
// the segment would not be known.
func (l *local) openSegment(s models.TusSegment, flags int) (*os.File, error) {
	f, err := os.OpenFile(l.path(s.Name), flags, 0)
	if err != nil {
		return nil, l.lost(s.Name, err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() < s.Offset+s.Size {
		err = fmt.Errorf("%w: %s has %d bytes", models.ErrUploadLost, s.Name, info.Size())
	}
	if err != nil {
		closeQuietly(f)
		return nil, err
	}
	return f, nil
}

// lost is models.ErrUploadLost if a segment is missing and its transfer's directory is there. If the directory is missing
// too, the disk may just not be mounted, which leaves an empty directory.
func (l *local) lost(name string, err error) error {
	if err = l.absence(err); !errors.Is(err, models.ErrObjectNotFound) {
		return err
	}
	if _, err := os.Stat(l.path(path.Dir(path.Dir(name)))); err != nil {
		return fmt.Errorf("%w: %w", models.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %s", models.ErrUploadLost, name)
}

func (l *local) newSegment(name string) (*os.File, error) {
	path := l.path(name)
	if err := l.mkdir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640) //nolint:gosec // as objects
	if err != nil {
		return nil, err
	}
	if _, err = tryLock(f); err != nil {
		closeQuietly(f)
		return nil, err
	}
	return f, nil
}

// localTail is a segment's file, open at its end.
type localTail struct {
	draft  draft             // for its writing and early write-back
	at     models.TusSegment // its Name, Offset and First
	grows  models.TusSegment // the same as it was; nothing when it begins
	shared bool              // other parts lie in the same file
	fresh  bool              // its name may not have reached the disk
}

func (l *local) tail(f *os.File, s models.TusSegment) *localTail {
	end := s.Offset + s.Size
	return &localTail{draft: draft{store: l, file: f, size: end, started: end}, at: s, fresh: true}
}

func (t *localTail) write(p []byte) error { return localError(t.draft.append(p)) }

func (t *localTail) due(pending int64, waited time.Duration) bool {
	return pending >= localCutBytes || waited >= localCutTime
}

// cut implements tail: the flush covers everything that was written before, and does not disturb later writes.
func (t *localTail) cut() (models.TusSegment, func() error) {
	fresh := t.fresh
	t.fresh = false
	return models.TusSegment{Name: t.at.Name, Offset: t.at.Offset}, func() error {
		if err := t.draft.store.flush(t.draft.file); err != nil {
			return localError(err)
		}
		if fresh {
			return localError(syncDir(filepath.Dir(t.draft.file.Name())))
		}
		return nil
	}
}

// close implements tail. It gives the lock up last, so that until then nobody else writes to the file or makes it an object.
func (t *localTail) close(kept int64) {
	size := kept - t.at.First
	switch {
	case t.shared: // bytes that do not count are overwritten, or never read
	case size == 0: // a file of this writer that nobody else knows of
		_ = os.Remove(t.draft.file.Name())
	case size < t.draft.size:
		_ = t.draft.file.Truncate(size)
	}
	closeQuietly(t.draft.file)
}

func closeQuietly(f *os.File) {
	if f != nil {
		_ = f.Close()
	}
}

// OpenSegment implements Store.
func (l *local) OpenSegment(_ context.Context, s models.TusSegment, offset int64) (io.ReadCloser, error) {
	if err := checkKey(s.Name); err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	f, err := l.openSegment(s, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	if _, err := f.Seek(s.Offset+offset, io.SeekStart); err != nil {
		closeQuietly(f)
		return nil, fmt.Errorf("open segment %s: %w", s.Name, localError(err))
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, s.Size-offset), f}, nil
}
