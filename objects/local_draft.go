package objects

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/formidling/formidling/models"
)

// windowBytes is how much is written before its write-back starts: the flush at the end then finds
// little left to do (0.5 s becomes 15 ms per GiB).
const windowBytes = 32 << 20

// errNoAnonymous says that the file system (or the platform) has no files without a name.
var errNoAnonymous = errors.New("no anonymous files here")

// draft is a file that nobody can see yet.
type draft struct {
	store   *local
	file    *os.File
	temp    string // path of the named fallback, empty for an anonymous file
	size    int64  // bytes appended
	started int64  // bytes whose write-back has been started
}

// draftsOf is the directory of the named drafts of an object. It lies beside the object, so that what a killed process left
// is found when the object is deleted. Its name is a digest because a name has at most 255 bytes.
func draftsOf(object string) string {
	dir, name := filepath.Split(object)
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(dir, ".tmp-"+hex.EncodeToString(sum[:8]))
}

// newDraft makes a draft in dir, where its object will be, so that it can be linked there under the name of object.
func (l *local) newDraft(dir, object string) (*draft, error) {
	if err := l.checkRoom(); err != nil {
		return nil, err
	}
	f, err := l.anonymous(dir)
	if err == nil {
		return &draft{store: l, file: f}, nil
	}
	if !errors.Is(err, errNoAnonymous) {
		return nil, err
	}
	if f, err = createNamed(draftsOf(filepath.Join(dir, object))); err != nil {
		return nil, err
	}
	return &draft{store: l, file: f, temp: f.Name()}, nil
}

// createNamed makes a file in dir, and dir below an existing parent. It tries again, because the last other draft in dir
// may be removing dir at the same time.
func createNamed(dir string) (f *os.File, err error) {
	for range 100 {
		if err = os.Mkdir(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // from a checked key
			return nil, err
		}
		if f, err = os.CreateTemp(dir, "*"); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, err
}

// append writes p at the end. After each window it starts the write-back of that window and waits
// for the one before: dirty pages stay bounded, and the disk works while the next window arrives.
func (d *draft) append(p []byte) error {
	n, err := d.store.write(d.file, p)
	d.size += int64(n)
	if err != nil {
		return err
	}
	for d.size-d.started >= windowBytes {
		if err := startWriteback(d.file, d.started, windowBytes); err != nil {
			return err
		}
		if d.started >= windowBytes {
			if err := awaitWriteback(d.file, d.started-windowBytes, windowBytes); err != nil {
				return err
			}
		}
		d.started += windowBytes
		if err := d.store.checkRoom(); err != nil {
			return err
		}
	}
	return nil
}

// commit makes the draft durable and visible at path, and returns its generation. An existing path
// gives models.ErrObjectExists.
func (d *draft) commit(path string) (int64, error) {
	if err := d.store.stamp(d.file, d.store.nextGeneration()); err != nil {
		return 0, err
	}
	if err := d.store.flush(d.file); err != nil {
		return 0, err
	}
	info, err := d.file.Stat() // the file system may keep fewer digits than it was given
	if err != nil {
		return 0, err
	}
	if err = d.link(path); errors.Is(err, fs.ErrExist) {
		return 0, models.ErrObjectExists
	}
	if err != nil {
		return 0, err
	}
	d.discard()
	if err := syncDir(filepath.Dir(path)); err != nil {
		// The object must not be visible after an error, and it is ours, because the link was exclusive.
		_ = os.Remove(path) //nolint:gosec // from a checked key
		return 0, err
	}
	return info.ModTime().UnixNano(), nil
}

// link gives the draft its name; an existing path is fs.ErrExist.
func (d *draft) link(path string) error {
	if d.temp == "" {
		return linkAnonymous(d.file, path)
	}
	return os.Link(d.temp, path)
}

// discard closes the draft and removes the name of the fallback. A linked object stays.
func (d *draft) discard() {
	_ = d.file.Close()
	if d.temp != "" {
		_ = os.Remove(d.temp)               //nolint:gosec // named by this store
		_ = os.Remove(filepath.Dir(d.temp)) //nolint:gosec // as long as others are in it, it stays
		d.temp = ""
	}
}

// checkRoom fails if less than the reserve is free. It does not know how many bytes will come; if they do not fit, the
// write fails with ENOSPC and the same error.
func (l *local) checkRoom() error {
	if l.reserve <= 0 {
		return nil
	}
	free, err := freeBytes(l.root)
	if err != nil {
		return err
	}
	if free < l.reserve {
		return fmt.Errorf("keep %d bytes free: %w", l.reserve, models.ErrStorageFull)
	}
	return nil
}

// nextGeneration is the current time, moved on by a microsecond if it would repeat: the clocks of file systems tick too
// slowly to give two quick files different times.
func (l *local) nextGeneration() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastGen = max(l.now().UnixMicro(), l.lastGen+1)
	return time.UnixMicro(l.lastGen)
}

// maxDurable bounds the memory for known directories; forgetting one costs one more flush.
const maxDurable = 4096

// mkdir makes dir and its parents below root, and makes their names durable. It never makes root: if root is gone,
// something is wrong that a new empty directory would hide.
func (l *local) mkdir(dir string) error {
	below, err := filepath.Rel(l.root, dir)
	if err != nil {
		return err
	}
	at := l.root
	for name := range strings.SplitSeq(below, string(filepath.Separator)) {
		parent := at
		at = filepath.Join(at, name)
		if at == parent {
			continue // the key has a single segment: dir is root
		}
		err := os.Mkdir(at, 0o750)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		// A directory that another process made may not be durable yet, so it is not enough that it exists.
		if err != nil && l.isDurable(at) {
			continue
		}
		if err := syncDir(parent); err != nil {
			return err
		}
		l.remember(at)
	}
	return nil
}

func (l *local) isDurable(dir string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable[dir]
}

func (l *local) remember(dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.durable) >= maxDurable {
		clear(l.durable)
	}
	l.durable[dir] = true
}

// forget drops dir and everything below it from memory, because they are about to be removed.
func (l *local) forget(dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for known := range l.durable {
		if known == dir || strings.HasPrefix(known, dir+string(filepath.Separator)) {
			delete(l.durable, known)
		}
	}
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	f, err := os.Open(dir) //nolint:gosec // a directory below root, from a checked key
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}
