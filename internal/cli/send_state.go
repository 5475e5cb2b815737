package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/formidling/formidling/client"
)

// sendState remembers an unfinished send in a small file, so that the same command goes on after kill -9. Whether a send is
// the same is decided by broker, caller, all that describes the transfer, and the file's path, size and time of change. It
// is not deduced from the broker's state: only the Idempotency-Key distinguishes going on from sending the same file to
// the same organisation once more. It also keeps the file's SHA-256, which need not be computed twice.
type sendState struct {
	checkpoint *client.Checkpoint // of the run before; nil when there was none
	path       string             // empty when nothing can be remembered
	lock       *os.File
}

// sendStateLife is how long an unfinished send is remembered: longer than brokers wait for its bytes.
const sendStateLife = 31 * 24 * time.Hour

const lockSuffix = ".lock"

// openSendState finds what an earlier run left, and keeps other processes from the same send.
func (u *user) openSendState(f *os.File, t client.Transfer) (*sendState, error) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || f == os.Stdin {
		return &sendState{}, err
	}
	directory, err := u.stateDirectory("sends")
	if err != nil {
		u.show.notice("this send cannot be gone on with after an end: %v", err)
		return &sendState{}, nil
	}
	forgetOld(directory)
	path, err := filepath.Abs(f.Name())
	if err != nil {
		return nil, err
	}
	identity, err := json.Marshal([]any{u.URL, u.loginMethod(), u.Certificate, u.ClientID, u.OnBehalfOf, t, path, info.Size(), info.ModTime().UnixNano()})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(identity)
	s := &sendState{path: filepath.Join(directory, hex.EncodeToString(sum[:16])+".json")}
	if s.lock, err = lock(s.path + lockSuffix); err != nil {
		return nil, fmt.Errorf("another process sends this file to the same organisations: %w", err)
	}
	return s, s.read()
}

func (s *sendState) read() error {
	raw, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var c client.Checkpoint
	if json.Unmarshal(raw, &c) == nil && c.Key != "" { // else it is not ours, and a new send replaces it
		s.checkpoint = &c
	}
	return nil
}

// save makes a checkpoint durable, whole or not at all.
func (s *sendState) save(c client.Checkpoint) error {
	if s.path == "" {
		return nil
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	next := s.path + ".next"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	s.checkpoint = &c
	return os.Rename(next, s.path)
}

// kept tells whether another run can go on.
func (s *sendState) kept() bool { return s.path != "" && s.checkpoint != nil }

// forget lets the next run begin anew.
func (s *sendState) forget() {
	s.checkpoint = nil
	if s.path != "" {
		_ = os.Remove(s.path) // if it stays, the next run finds that its transfer has ended
	}
}

func (s *sendState) close() {
	if s.lock == nil {
		return
	}
	_ = os.Remove(s.lock.Name()) // while it is held: after that it may be somebody else's
	_ = s.lock.Close()
}

// stateDirectory is the user's directory for what is needed to go on, and only the user's.
func (c *config) stateDirectory(name string) (string, error) {
	base := c.State
	if base == "" {
		base = c.commands.environment["XDG_STATE_HOME"]
		if base == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", err
			}
			base = filepath.Join(home, ".local", "state")
		}
		base = filepath.Join(base, "formidling")
	}
	path := filepath.Join(base, name)
	return path, os.MkdirAll(path, 0o700)
}

// forgetOld removes what nobody will go on with.
func forgetOld(directory string) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > sendStateLife {
			forgetFile(filepath.Join(directory, e.Name()))
		}
	}
}

// forgetFile deletes a file, but no lock that somebody holds.
func forgetFile(path string) {
	if strings.HasSuffix(path, lockSuffix) {
		held, err := lock(path)
		if err != nil {
			return
		}
		defer func() { _ = held.Close() }()
	}
	_ = os.Remove(path)
}
