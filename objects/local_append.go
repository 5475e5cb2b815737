package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/formidling/formidling/internal/crc32c"
	"github.com/formidling/formidling/models"
)

// How much of a draft on the local disk may be lost with the process: bytes, and what a slow client sent in a time.
const (
	localCutBytes = 64 << 20
	localCutTime  = 5 * time.Second
)

// Append implements Store. A draft is one file that grows, as long as each writer finds it unlocked: whoever writes
// to a segment's file holds its lock from before the claim until its last write. A writer that finds the lock taken
// begins a file of its own, so an old one that still writes can spoil nothing that counts.
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

// lockTail returns the end of a draft, locked; nil when it has none yet, or when somebody else may still be writing there.
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

// lockSegment opens a segment's file for writing; nil when somebody else may still be writing to it.
func (l *local) lockSegment(s models.TusSegment, lock func(*os.File) (bool, error)) (*os.File, error) {
	if err := checkKey(s.Name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(l.path(s.Name), os.O_RDWR, 0)
	if err != nil {
		return nil, l.absence(err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() < s.Offset+s.Size {
		err = fmt.Errorf("%w: a segment has lost bytes", models.ErrUnavailable)
	}
	locked := false
	if err == nil {
		locked, err = lock(f)
	}
	if err != nil || !locked {
		closeQuietly(f)
		return nil, err
	}
	return f, nil
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

// cut implements tail: the flush covers whatever was written before it, and harms nothing that comes after.
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

// close implements tail. It gives the lock up last: until then nobody else writes to the file or makes an object of it.
func (t *localTail) close(kept int64) {
	size := kept - t.at.First
	switch {
	case t.shared: // what does not count is written over, or never read
	case size == 0: // a file of this writer, of which nobody knows
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
	f, err := os.Open(l.path(s.Name))
	if err != nil {
		return nil, fmt.Errorf("open segment %s: %w", s.Name, l.absence(err))
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

// lockPatience is how long Assemble waits for a writer that was overtaken to notice and let go.
const lockPatience = 3 * time.Second

// Assemble implements Store: the file of the first segment becomes the object, after the others were copied to its
// end. When somebody may still write to that file, or other parts lie in it, all is copied to a new one instead. Parts that
// lie in one file in this order are the object already.
func (l *local) Assemble(ctx context.Context, a models.TusAssembly) (models.Content, error) {
	if err := checkKey(a.Key); err != nil {
		return models.Content{}, fmt.Errorf("assemble: %w", err)
	}
	c := contentOfSegments(a)
	if err := l.assemble(ctx, a, c.Size); err != nil {
		return models.Content{}, fmt.Errorf("assemble %s: %w", a.Key, localError(err))
	}
	return c, nil
}

// contentOfSegments is what the segments make together, but for SHA-256 and MD5.
func contentOfSegments(a models.TusAssembly) models.Content {
	c := models.Content{Key: a.Key, Generation: a.Generation}
	for _, s := range a.Segments {
		c.CRC32C = crc32c.Combine(c.CRC32C, s.CRC32C, s.Size)
		c.Size += s.Size
	}
	return c
}

func (l *local) assemble(ctx context.Context, a models.TusAssembly, size int64) error {
	path := l.path(a.Key)
	if l.assembled(path, a.Generation, size) {
		return nil
	}
	if err := l.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	whole := l.inPlace(a, size)
	f, base, err := l.lockBase(ctx, a, whole, size)
	if err != nil {
		return err
	}
	d := &draft{store: l, file: f}
	link := func() error { return os.Link(f.Name(), path) }
	rest := a.Segments
	if base {
		if d.size, rest = a.Segments[0].Size, a.Segments[1:]; whole {
			d.size, rest = size, nil
		}
		d.started = d.size
		defer closeQuietly(f)
	} else {
		if d, err = l.newDraft(filepath.Dir(path), filepath.Base(path)); err != nil {
			return err
		}
		defer d.discard()
		link = func() error { return d.link(path) }
	}
	if err := l.copySegments(ctx, d, rest); err != nil {
		return err
	}
	if err := d.file.Truncate(size); err != nil { // what writers left that were overtaken
		return err
	}
	if err := setModTime(d.file, time.Unix(0, a.Generation)); err != nil {
		return err
	}
	if err := l.flush(d.file); err != nil {
		return err
	}
	if err := link(); errors.Is(err, os.ErrExist) && l.assembled(path, a.Generation, size) {
		return nil // somebody else did the same at the same time
	} else if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// assembled tells that the object is there already.
func (l *local) assembled(path string, generation, size int64) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == size && info.ModTime().UnixNano() == generation
}

// lockBase returns the file of the first segment, if nobody writes to it any more; whole tells that it has all of them.
func (l *local) lockBase(ctx context.Context, a models.TusAssembly, whole bool, size int64) (f *os.File, base bool, err error) {
	lock := tryLock
	switch {
	case len(a.Segments) == 0, !canLinkOpenFiles:
		return nil, false, nil
	case whole:
		lock = lockWhole(size)
	case a.Segments[0].Name == a.Shared: // what lies behind it is not ours
		return nil, false, nil
	}
	for until := time.Now().Add(lockPatience); ; {
		f, err = l.lockSegment(a.Segments[0], lock)
		if f != nil || err != nil {
			return f, f != nil, err
		}
		if time.Now().After(until) {
			return nil, false, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// copySegments appends segments to d, inside the kernel where the file system can.
func (l *local) copySegments(ctx context.Context, d *draft, segments []models.TusSegment) error {
	if _, err := d.file.Seek(d.size, io.SeekStart); err != nil {
		return err
	}
	for _, s := range segments {
		in, err := os.Open(l.path(s.Name))
		if err != nil {
			return l.absence(err)
		}
		if _, err = in.Seek(s.Offset, io.SeekStart); err == nil {
			err = l.copySegment(ctx, d, in, s.Size)
		}
		closeQuietly(in)
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *local) copySegment(ctx context.Context, d *draft, in *os.File, size int64) error {
	for size > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.checkRoom(); err != nil {
			return err
		}
		n, err := io.Copy(d.file, io.LimitReader(in, min(size, windowBytes))) // copy_file_range
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: a segment has lost bytes", models.ErrUnavailable)
		}
		if err := startWriteback(d.file, d.size, n); err != nil {
			return err
		}
		d.size, size = d.size+n, size-n
	}
	return nil
}
