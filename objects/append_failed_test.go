package objects

import (
	"errors"
	"io"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

var errNobodyWoke = errors.New("nobody was woken")

// thenWaits gives bytes and then waits, as for a client that sends nothing, until it is woken.
func thenWaits(bytes io.Reader, woken <-chan struct{}) io.Reader {
	return io.MultiReader(bytes, readerFunc(func([]byte) (int, error) {
		select {
		case <-woken:
			return 0, os.ErrDeadlineExceeded
		case <-time.After(20 * time.Second):
			return 0, errNobodyWoke
		}
	}))
}

// A read that waits for a client ends at once when nothing that the client may still send can count.
func TestAppend_TellsAtOnceWhatCouldNotBeStored(t *testing.T) {
	t.Parallel()
	l, _ := newLocal(t, false)
	l.flush = func(f *os.File) error { return &os.PathError{Op: "sync", Path: f.Name(), Err: syscall.EIO} }
	g, emu, _ := newGCS(t)
	faultFirst(emu, 1000, isUpload, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	for name, store := range map[string]Store{"local": l, "Cloud Storage": g} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			woken := make(chan struct{})
			var failure error
			err := store.Append(t.Context(), models.TusDraft{Prefix: "ft/a/tus", CarryAll: true}, thenWaits(newPattern(localCutBytes+mib), woken), models.TusAppend{
				Limit:  noLimit,
				Claim:  func() (int64, error) { return 1, nil },
				Commit: func(models.TusProgress) error { return errOffset },
				Failed: func(err error) { failure = err; close(woken) },
			})
			require.Error(t, err)
			require.NotErrorIs(t, err, errNobodyWoke)
			require.ErrorIs(t, err, failure)
			require.NotErrorIs(t, err, errOffset, "nothing was durable")
		})
	}
}

func TestAppend_TellsAtOnceWhatCouldNotBeCommitted(t *testing.T) {
	t.Parallel()
	l, _ := newLocal(t, false)
	woken := make(chan struct{})
	err := l.Append(t.Context(), models.TusDraft{Prefix: "ft/a/tus", CarryAll: true}, thenWaits(newPattern(localCutBytes+mib), woken), models.TusAppend{
		Limit:  noLimit,
		Claim:  func() (int64, error) { return 1, nil },
		Commit: func(models.TusProgress) error { return errOffset },
		Failed: func(error) { close(woken) },
	})
	require.ErrorIs(t, err, errOffset)
}
