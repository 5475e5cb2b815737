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

// lockPatience is how long Assemble waits for a writer that was overtaken to notice and let go.
const lockPatience = 3 * time.Second

// Assemble implements Store: the file of the first segment becomes the object, after the others were copied to its
// end. If somebody may still write to that file, or it has other parts too, everything is copied to a new file instead.
// If the parts are in one file in this order, that file is the object already.
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

// contentOfSegments is the Content of all segments together, without SHA-256 and MD5.
func contentOfSegments(a models.TusAssembly) models.Content {
	c := models.Content{Key: a.Key, Generation: a.Generation}
	for _, s := range a.Segments {
		c.CRC32C = crc32c.Combine(c.CRC32C, s.CRC32C, s.Size)
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
	whole := l.inPlace(a, size)
	f, base, err := l.lockBase(ctx, a, whole, size) // before any directory is made, because a missing one means something
	if err != nil {
		return 0, err
	}
	d := &draft{store: l, file: f}
	link := func() error { return os.Link(f.Name(), object) }
	rest := a.Segments
	if base {
		defer closeQuietly(f)
		if generation, there := l.assembled(object, a.Generation, size); there { // made by the process that had the lock
			return generation, nil
		}
		if d.size, rest = a.Segments[0].Size, a.Segments[1:]; whole {
			d.size, rest = size, nil
		}
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
		if generation, there := l.assembled(object, a.Generation, size); there { // another process did the same meanwhile
			return generation, nil
		}
		return 0, err
	} else if err != nil {
		return 0, err
	}
	return generation, syncDir(filepath.Dir(object))
}

// seal gives a draft its length and its generation, makes it durable, and returns the generation as the file system keeps it.
func (l *local) seal(d *draft, size, generation int64) (int64, error) {
	if err := d.file.Truncate(size); err != nil { // cut off what overtaken writers left
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

// assembled reports whether the object exists already, and its generation. Only Assemble makes an object of this key, and
// always with the same generation, of which the file system may keep fewer digits.
func (l *local) assembled(path string, generation, size int64) (kept int64, there bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != size {
		return 0, false
	}
	kept = info.ModTime().UnixNano()
	return kept, kept <= generation && generation-kept < int64(coarsest)
}

// lockBase returns the file of the first segment, if nobody writes to it any more; whole means that it has all segments.
func (l *local) lockBase(ctx context.Context, a models.TusAssembly, whole bool, size int64) (f *os.File, base bool, err error) {
	lock := tryLock
	switch {
	case len(a.Segments) == 0, !canLinkOpenFiles:
		return nil, false, nil
	case whole:
		lock = lockWhole(size)
	case a.Segments[0].Name == a.Shared: // the bytes behind it are not ours
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
		in, err := l.openSegment(s, os.O_RDONLY)
		if err != nil {
			return err
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
