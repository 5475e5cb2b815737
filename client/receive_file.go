package client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
)

// FileOptions say where a received file goes.
type FileOptions struct {
	// Directory is where it goes, under the name that SafeName makes of the sender's. It is made when it is not there.
	Directory string
	// Name is taken instead of the sender's; it must be one element of a path.
	Name string
	// Overwrite replaces a file that has the name. Otherwise the same file is left as it is, and next to another one the
	// transfer's id is put into the name.
	Overwrite bool
	// Confirm tells the sender, when the file is whole, on the disk and has its name.
	Confirm bool
	// Proof, when set, is the caller's enterprise certificate, with which it signs for what it confirms.
	Proof *tls.Certificate
	// Progress, when set, is called with how far it has come: often, and one call at a time.
	Progress func(Progress)
}

// Received is a file that is on the disk.
type Received struct {
	ID        FileTransferID
	Path      string
	FileName  string // as the sender chose it
	Size      int64  // bytes
	SHA256    string
	Confirmed bool
	Kept      bool // it was there before; nothing was downloaded
}

// ErrExists says that the name of a received file is taken by another one, with and without the transfer's id.
var ErrExists = errors.New("there is another file of that name")

// ReceiveFile downloads a transfer's file into a directory. Until every byte is there, right and durable, it has the
// name PartName gives; a later call goes on behind what is there of it. When the bytes are wrong it is deleted, and
// errors.Is(err, ErrChecksum) holds.
func (b *Broker) ReceiveFile(ctx context.Context, id FileTransferID, o FileOptions) (Received, error) {
	got, err := b.receiveFile(ctx, id, o)
	if err != nil {
		return got, fmt.Errorf("receive transfer %s: %w", id, err)
	}
	if o.Confirm {
		confirm, err := b.confirming(ctx, got, o)
		if err != nil {
			return got, fmt.Errorf("confirm transfer %s: %w", id, err)
		}
		err = confirm()
		var refused *Error
		if got.Kept && errors.As(err, &refused) && refused.Code == codeNotDownloaded {
			// the file came another way; only who has begun to download it may confirm
			if err = b.touch(ctx, id); err == nil {
				err = confirm()
			}
		}
		if err != nil {
			return got, fmt.Errorf("confirm transfer %s: %w", id, err)
		}
		got.Confirmed = true
	}
	return got, nil
}

// confirming is how a received file is confirmed: with one proof, however often it is tried.
func (b *Broker) confirming(ctx context.Context, got Received, o FileOptions) (func() error, error) {
	if o.Proof == nil {
		return func() error { return b.Confirm(ctx, got.ID) }, nil
	}
	proof, err := SignProof(o.Proof, ContentProof(got.ID, got.SHA256))
	return func() error {
		return b.confirm(ctx, got.ID, DownloadConfirmation{Sha256: &got.SHA256, Proof: &proof})
	}, err
}

const codeNotDownloaded = "BRO-00019"

// touch begins a download, and ends it at once.
func (b *Broker) touch(ctx context.Context, id FileTransferID) error {
	response, err := b.API.DownloadFile(ctx, id, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return refusal(operation(response.Request), response)
	}
	return response.Body.Close()
}

// PartName is what an unfinished download of a transfer is called.
func PartName(id FileTransferID) string { return ".formidling-" + id.String() + ".part" }

func (b *Broker) receiveFile(ctx context.Context, id FileTransferID, o FileOptions) (Received, error) {
	in := &Incoming{ID: id, b: b, ctx: ctx, hash: sha256.New(), row: b.retry.begin()}
	if err := in.describe(nil); err != nil {
		return Received{}, err
	}
	defer func() { _ = in.Close() }()
	in.meter = newMeter(o.Progress, PhaseDownload, id, in.Size)
	got := Received{ID: id, FileName: in.FileName, Size: in.Size, SHA256: in.SHA256}
	if o.Name == "" {
		o.Name = SafeName(in.FileName)
	} else if o.Name != filepath.Base(o.Name) {
		return got, fmt.Errorf("the name %q is not one element of a path", o.Name)
	}
	if err := os.MkdirAll(o.Directory, 0o777); err != nil { //nolint:gosec // G301: the user's own umask decides
		return got, err
	}
	var err error
	if got.Path, got.Kept, err = place(ctx, in, o); err != nil || got.Kept {
		return got, err
	}
	part, err := openPart(filepath.Join(o.Directory, PartName(id)))
	if err != nil {
		return got, err
	}
	defer func() { _ = part.Close() }()
	got.Path, got.Kept, err = place(ctx, in, o) // who had the lock before may have finished meanwhile
	switch {
	case err != nil:
		return got, err
	case got.Kept:
		return got, os.Remove(part.Name())
	}
	if err := in.fill(part, o.Progress); err != nil {
		return got, err
	}
	if !renamesOpenFiles {
		_ = part.Close() // it is synced
	}
	return got, give(part.Name(), got.Path, o.Overwrite)
}

// place finds the name of the file, and whether it is there already.
func place(ctx context.Context, in *Incoming, o FileOptions) (path string, kept bool, err error) {
	for _, name := range []string{o.Name, withID(o.Name, in.ID)} {
		path = filepath.Join(o.Directory, name)
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return path, false, nil
		case err != nil:
			return path, false, err
		case info.Mode().IsRegular() && info.Size() == in.Size:
			if same, err := holds(ctx, path, in, o.Progress); err != nil || same {
				return path, same, err
			}
		}
		if o.Overwrite && !info.IsDir() {
			return path, false, nil
		}
	}
	return path, false, fmt.Errorf("%w: %s", ErrExists, path)
}

// holds tells whether a file is the one that comes in: an earlier run may have ended before it confirmed.
func holds(ctx context.Context, path string, in *Incoming, tell func(Progress)) (bool, error) {
	f, err := os.Open(path) //nolint:gosec // G304: the path is the user's directory and a safe name
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	_, err = checksum(ctx, sum, f, newMeter(tell, PhaseChecksum, in.ID, in.Size))
	return hex.EncodeToString(sum.Sum(nil)) == in.SHA256, err
}

// openPart opens an unfinished file for this process alone, until it is closed; that is only after the file has its
// name, because whoever got the lock before that would write into a finished file. What stands there and is no file of
// its own, such as a link to another one, is refused.
func openPart(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o666) //nolint:gosec // G302, G304: the user's own directory and umask
		if err != nil {
			return nil, err
		}
		current, err := lockPart(f)
		if err == nil && current {
			return f, nil
		}
		_ = f.Close()
		if err != nil {
			return nil, err
		}
	}
}

// lockPart takes the lock, and tells whether the file still has its name: who held the lock may have taken it away.
func lockPart(f *os.File) (current bool, err error) {
	if err := lockFile(f); err != nil {
		return false, fmt.Errorf("another process receives this transfer here: %w", err)
	}
	own, err := f.Stat()
	if err != nil {
		return false, err
	}
	now, err := os.Lstat(f.Name())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !own.Mode().IsRegular() || !now.Mode().IsRegular():
		return false, fmt.Errorf("%s is not a file of its own", f.Name())
	}
	return os.SameFile(own, now), nil
}

// fill makes the unfinished file whole. One that an earlier run left and that turns out to be wrong is not the
// broker's fault: it is fetched anew, once.
func (in *Incoming) fill(part *os.File, tell func(Progress)) error {
	if err := in.resume(part, tell); err != nil {
		return err
	}
	resumed := in.at > 0
	err := in.copyTo(part)
	if resumed && errors.Is(err, ErrChecksum) {
		in.meter.resumed(-in.at)
		in.at, in.failed, in.hash = 0, nil, sha256.New()
		err = in.copyTo(part)
	}
	if errors.Is(err, ErrChecksum) {
		return errors.Join(err, os.Remove(part.Name()))
	}
	return err
}

// copyTo writes what is missing and makes it durable.
func (in *Incoming) copyTo(f *os.File) error {
	if err := f.Truncate(in.at); err != nil {
		return err
	}
	if _, err := f.Seek(in.at, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, in, make([]byte, copyBuffer)); err != nil {
		return err
	}
	return f.Sync()
}

// give lets the finished file have its name, in one step: nobody sees half of it, and no other file is lost.
func give(part, path string, overwrite bool) error {
	var err error
	if overwrite {
		err = os.Rename(part, path)
	} else if err = os.Link(part, path); err == nil {
		err = os.Remove(part)
	} else if !errors.Is(err, fs.ErrExist) { // a file system without links
		if _, missing := os.Lstat(path); errors.Is(missing, fs.ErrNotExist) {
			err = os.Rename(part, path)
		}
	}
	if err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// syncDirectory makes a name durable, where that can be asked for.
func syncDirectory(path string) error {
	d, err := os.Open(path) //nolint:gosec // G304: the user's directory
	if err != nil {
		return err
	}
	_ = d.Sync() // not every system can sync a directory
	return d.Close()
}
