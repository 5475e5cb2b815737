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
	var grows models.TusSegment
	var f *os.File
	if n := len(d.Segments); n > 0 {
		var err error
		if f, err = l.lockSegment(d.Segments[n-1]); err != nil {
			return err
		}
		if f != nil {
			grows = d.Segments[n-1]
		}
	}
	epoch, err := a.Claim()
	if err != nil {
		closeQuietly(f)
		return err
	}
	if f == nil {
		grows = models.TusSegment{}
		name := segmentName(d, epoch)
		if f, err = l.newSegment(name); err != nil {
			return err
		}
		return appendTo(ctx, l.tail(f, name, d.Received, 0), grows, d, a, body)
	}
	if _, err := f.Seek(grows.Size, io.SeekStart); err != nil {
		closeQuietly(f)
		return err
	}
	return appendTo(ctx, l.tail(f, grows.Name, d.Received-grows.Size, grows.Size), grows, d, a, body)
}

// segmentName is unique: no two writers of an upload have the same epoch.
func segmentName(d models.TusDraft, epoch int64) string {
	return fmt.Sprintf("%s/%016x-%d", d.Prefix, d.Received, epoch)
}

// lockSegment opens a segment's file for writing; nil when somebody else may still be writing to it.
func (l *local) lockSegment(s models.TusSegment) (*os.File, error) {
	if err := checkKey(s.Name); err != nil {
		return nil, err
	}
	f, err := l.openSegment(s, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	locked, err := tryLock(f)
	if err != nil || !locked {
		closeQuietly(f)
		return nil, err
	}
	return f, nil
}

// openSegment opens a segment's file. models.ErrUploadLost when not all of its bytes are there; they were, durable, or
// the segment would not be known.
func (l *local) openSegment(s models.TusSegment, flags int) (*os.File, error) {
	f, err := os.OpenFile(l.path(s.Name), flags, 0)
	if err != nil {
		return nil, l.lost(s.Name, err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() < s.Size {
		err = fmt.Errorf("%w: %s has %d bytes", models.ErrUploadLost, s.Name, info.Size())
	}
	if err != nil {
		closeQuietly(f)
		return nil, err
	}
	return f, nil
}

// lost is models.ErrUploadLost for a segment that is not there though its transfer's directory is. When that is missing
// too, all may be: a disk that is not mounted leaves an empty directory.
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
	draft draft // for its writing and early write-back
	name  string
	first int64 // place of its first byte in the upload
	fresh bool  // its name has not reached the disk
}

func (l *local) tail(f *os.File, name string, first, size int64) *localTail {
	return &localTail{draft: draft{store: l, file: f, size: size, started: size}, name: name, first: first, fresh: size == 0}
}

func (t *localTail) write(p []byte) error { return localError(t.draft.append(p)) }

func (t *localTail) due(pending int64, waited time.Duration) bool {
	return pending >= localCutBytes || waited >= localCutTime
}

// cut implements tail: the flush covers whatever was written before it, and harms nothing that comes after.
func (t *localTail) cut() (models.TusSegment, func() error) {
	fresh := t.fresh
	t.fresh = false
	return models.TusSegment{Name: t.name}, func() error {
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
	switch size := kept - t.first; {
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
	f, err := l.openSegment(s, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
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
// end. When somebody may still write to that file, all is copied to a new one instead.
func (l *local) Assemble(ctx context.Context, a models.TusAssembly) (models.Content, error) {
	if err := checkKey(a.Key); err != nil {
		return models.Content{}, fmt.Errorf("assemble: %w", err)
	}
	c := contentOfSegments(a)
	var err error
	if c.Generation, err = l.assemble(ctx, a, c.Size); err != nil {
		return models.Content{}, fmt.Errorf("assemble %s: %w", a.Key, localError(err))
	}
	return c, nil
}

// contentOfSegments is what the segments make together, but for SHA-256 and MD5.
func contentOfSegments(a models.TusAssembly) models.Content {
	c := models.Content{Key: a.Key, Generation: a.Generation}
	for _, s := range a.Segments {
		c.CRC32C = combineCRC32C(c.CRC32C, s.CRC32C, s.Size)
		c.Size += s.Size
	}
	return c
}

// assemble returns the object's generation as the file system keeps it.
func (l *local) assemble(ctx context.Context, a models.TusAssembly, size int64) (generation int64, err error) {
	object := l.path(a.Key)
	if generation, there := l.assembled(object, a.Generation, size); there {
		return generation, nil
	}
	f, base, err := l.lockBase(ctx, a) // before any directory is made, whose absence says something
	if err != nil {
		return 0, err
	}
	d := &draft{store: l, file: f}
	link := func() error { return os.Link(f.Name(), object) }
	rest := a.Segments
	if base {
		defer closeQuietly(f)
		if generation, there := l.assembled(object, a.Generation, size); there { // by who had the lock: this is the object's file
			return generation, nil
		}
		d.size, rest = a.Segments[0].Size, a.Segments[1:]
		d.started = d.size
	} else {
		if err := l.mkdir(filepath.Dir(object)); err != nil {
			return 0, err
		}
		if d, err = l.newDraft(filepath.Dir(object), filepath.Base(object)); err != nil {
			return 0, err
		}
		defer d.discard()
		link = func() error { return d.link(object) }
	}
	if err := l.copySegments(ctx, d, rest); err != nil {
		return 0, err
	}
	if generation, err = l.seal(d, size, a.Generation); err != nil {
		return 0, err
	}
	if err := link(); errors.Is(err, os.ErrExist) {
		if generation, there := l.assembled(object, a.Generation, size); there { // somebody else did the same at the same time
			return generation, nil
		}
		return 0, err
	} else if err != nil {
		return 0, err
	}
	return generation, syncDir(filepath.Dir(object))
}

// seal gives a draft its length and its generation, makes it durable, and returns the generation that is kept of it.
func (l *local) seal(d *draft, size, generation int64) (int64, error) {
	if err := d.file.Truncate(size); err != nil { // what writers left that were overtaken
		return 0, err
	}
	if err := l.stamp(d.file, time.Unix(0, generation)); err != nil {
		return 0, err
	}
	if err := l.flush(d.file); err != nil {
		return 0, err
	}
	info, err := d.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.ModTime().UnixNano(), nil
}

// coarsest is the least exact time that a file system keeps; all round down.
const coarsest = 2 * time.Second

// assembled tells that the object is there already, and its generation. Nothing but Assemble makes an object of this key,
// always with the same generation, of which the file system may keep fewer digits.
func (l *local) assembled(path string, generation, size int64) (kept int64, there bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != size {
		return 0, false
	}
	kept = info.ModTime().UnixNano()
	return kept, kept <= generation && generation-kept < int64(coarsest)
}

// lockBase returns the file of the first segment, if nobody writes to it any more.
func (l *local) lockBase(ctx context.Context, a models.TusAssembly) (f *os.File, base bool, err error) {
	if len(a.Segments) == 0 || !canLinkOpenFiles {
		return nil, false, nil
	}
	for until := time.Now().Add(lockPatience); ; {
		f, err = l.lockSegment(a.Segments[0])
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
		in, err := l.openSegment(s, os.O_RDONLY)
		if err != nil {
			return err
		}
		err = l.copySegment(ctx, d, in, s.Size)
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
