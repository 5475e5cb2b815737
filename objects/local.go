package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/formidling/formidling/models"
)

// local keeps objects as files under root, named by their keys.
type local struct {
	root    string
	reserve int64 // bytes that stay free

	mu      sync.Mutex
	probing *probing // nil: none runs
	lastGen int64
	durable map[string]bool // directories known to survive a power cut

	// Tests replace these: they break the disk, allow no anonymous files or keep coarse times.
	write     func(f *os.File, p []byte) (int, error)
	flush     func(f *os.File) error
	anonymous func(dir string) (*os.File, error)
	stamp     func(f *os.File, t time.Time) error
	now       func() time.Time
}

// connectLocal returns the store in dir and creates dir if it is absent.
func connectLocal(dir string, opts Options) (*local, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", dir, err)
	}
	if err := os.MkdirAll(root, 0o750); err != nil { //nolint:gosec // the operator's choice
		return nil, fmt.Errorf("connect to %s: %w", dir, localError(err))
	}
	if err := syncDir(filepath.Dir(root)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("connect to %s: %w", dir, localError(err))
	}
	return &local{
		root:      root,
		reserve:   opts.ReserveBytes,
		durable:   map[string]bool{},
		write:     (*os.File).Write,
		flush:     (*os.File).Sync,
		anonymous: openAnonymous,
		stamp:     setModTime,
		now:       time.Now,
	}, nil
}

// Put implements Store.
func (l *local) Put(ctx context.Context, key string, body io.Reader, limit int64, without ...models.Hash) (models.Content, error) {
	if err := checkKey(key); err != nil {
		return models.Content{}, fmt.Errorf("put: %w", err)
	}
	c, err := l.put(ctx, key, body, limit, newDigest(without...))
	if err != nil {
		return models.Content{}, fmt.Errorf("put %s: %w", key, err)
	}
	return c, nil
}

func (l *local) put(ctx context.Context, key string, body io.Reader, limit int64, sum *digest) (models.Content, error) {
	path := l.path(key)
	if _, err := os.Lstat(path); err == nil { //nolint:gosec // checked key; spares reading the body, the link decides
		return models.Content{}, models.ErrObjectExists
	}
	if err := ctx.Err(); err != nil {
		return models.Content{}, err
	}
	if err := l.mkdir(filepath.Dir(path)); err != nil {
		return models.Content{}, localError(err)
	}
	d, err := l.newDraft(filepath.Split(path))
	if err != nil {
		return models.Content{}, localError(err)
	}
	defer d.discard()
	if err := stream(ctx, body, limit, sum, func(p []byte) error { return localError(d.append(p)) }); err != nil {
		return models.Content{}, err
	}
	generation, err := d.commit(path)
	if err != nil {
		return models.Content{}, localError(err)
	}
	return sum.content(key, generation), nil
}

// Open implements Store. The reader is an *os.File.
func (l *local) Open(ctx context.Context, c models.Content, offset, length int64) (io.ReadCloser, error) {
	if err := checkKey(c.Key); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if _, err := checkRange(c, offset, length); err != nil {
		return nil, fmt.Errorf("open %s: %w", c.Key, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open %s: %w", c.Key, err)
	}
	f, err := os.Open(l.path(c.Key))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c.Key, l.absence(err))
	}
	if err := position(f, c, offset); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("open %s: %w", c.Key, err)
	}
	return f, nil
}

// position checks that f is the generation in c and moves it to offset.
func position(f *os.File, c models.Content, offset int64) error {
	info, err := f.Stat()
	if err != nil {
		return localError(err)
	}
	if !info.Mode().IsRegular() || info.ModTime().UnixNano() != c.Generation || info.Size() != c.Size {
		return models.ErrObjectNotFound
	}
	_, err = f.Seek(offset, io.SeekStart)
	return localError(err)
}

// Stat implements Store. The local disk keeps no checksum.
func (l *local) Stat(ctx context.Context, key string) (models.StoredObject, error) {
	if err := checkKey(key); err != nil {
		return models.StoredObject{}, fmt.Errorf("stat: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return models.StoredObject{}, fmt.Errorf("stat %s: %w", key, err)
	}
	info, err := os.Lstat(l.path(key))
	if err != nil {
		return models.StoredObject{}, fmt.Errorf("stat %s: %w", key, l.absence(err))
	}
	if !info.Mode().IsRegular() {
		return models.StoredObject{}, fmt.Errorf("stat %s: %w", key, models.ErrObjectNotFound)
	}
	return models.StoredObject{Generation: info.ModTime().UnixNano(), Size: info.Size()}, nil
}

// DeleteAll implements Store. Named leftovers of an object lie beside it.
func (l *local) DeleteAll(ctx context.Context, prefix string) error {
	if err := checkKey(prefix); err != nil {
		return fmt.Errorf("delete all: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete all of %s: %w", prefix, err)
	}
	if err := l.deleteAll(l.path(prefix)); err != nil {
		return fmt.Errorf("delete all of %s: %w", prefix, err)
	}
	return nil
}

func (l *local) deleteAll(dir string) error {
	if err := os.RemoveAll(draftsOf(dir)); err != nil {
		return localError(err)
	}
	if _, err := os.Lstat(dir); err != nil {
		// If root is gone, the objects need not be: the disk may not be mounted.
		if err = l.absence(err); errors.Is(err, models.ErrObjectNotFound) {
			return nil
		}
		return err
	}
	l.forget(dir)
	if err := os.RemoveAll(dir); err != nil {
		return localError(err)
	}
	return localError(syncDir(filepath.Dir(dir)))
}

// probeWait is how long a probe may run before the callers who did not start it take it for hanging.
const probeWait = time.Second

// probing is one look at the disk, for all callers that ask meanwhile.
type probing struct {
	done chan struct{}
	err  error // valid once done is closed
}

// Ready implements Store: it makes a file without a name and looks at the free space. Callers share one probe, because
// on a stuck disk a probe for each would only pile up threads.
func (l *local) Ready(ctx context.Context) error {
	p, mine := l.join()
	patience := time.NewTimer(probeWait)
	defer patience.Stop()
	if mine {
		patience.Stop() // ctx bounds it
	}
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("probe %s: %w", l.root, p.err)
		}
		return nil
	case <-patience.C:
		return fmt.Errorf("probe %s: %w: an earlier probe has not returned", l.root, models.ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("probe %s: %w: %w", l.root, models.ErrUnavailable, ctx.Err())
	}
}

// join returns the probe under way, or starts one.
func (l *local) join() (p *probing, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.probing != nil {
		return l.probing, false
	}
	p = &probing{done: make(chan struct{})}
	l.probing = p
	go func() {
		p.err = l.probe()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.probing = nil
		close(p.done)
	}()
	return p, true
}

func (l *local) probe() error {
	d, err := l.newDraft(l.root, "ready")
	if err != nil {
		return localError(err)
	}
	d.discard()
	return nil
}

func (l *local) path(key string) string { return filepath.Join(l.root, filepath.FromSlash(key)) }

// absence distinguishes an absent object from an absent store.
func (l *local) absence(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		if info, rootErr := os.Stat(l.root); rootErr == nil && info.IsDir() {
			return models.ErrObjectNotFound
		}
	}
	return localError(err)
}

// localError gives failures of the disk the code that a caller may see. Errors that have a code keep it.
func localError(err error) error {
	var errno syscall.Errno
	if _, known := models.AsError(err); known || !errors.As(err, &errno) {
		return err
	}
	if errno == syscall.ENOSPC || errno == syscall.EDQUOT {
		return fmt.Errorf("%w: %w", models.ErrStorageFull, err)
	}
	return fmt.Errorf("%w: %w", models.ErrUnavailable, err)
}
