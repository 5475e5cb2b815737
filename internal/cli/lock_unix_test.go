//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLock_IsHeldByOneThoughItsFileIsDeleted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x"+lockSuffix)
	var holders, most, taken atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				held, err := lock(path)
				if err != nil {
					continue
				}
				taken.Add(1)
				holders.Add(1)
				for range 100 { // others get on meanwhile
					runtime.Gosched()
					if holders.Load() > 1 {
						most.Store(holders.Load())
					}
				}
				holders.Add(-1)
				(&sendState{lock: held}).close()
			}
		})
	}
	all.Wait()
	require.Positive(t, taken.Load())
	require.Zero(t, most.Load(), "two held the lock at once")
}

func TestForgetOld_KeepsTheLockOfARunningSend(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := time.Now().Add(-2 * sendStateLife)
	held, err := lock(filepath.Join(dir, "running"+lockSuffix))
	require.NoError(t, err)
	defer func() { require.NoError(t, held.Close()) }()
	for _, name := range []string{"ended" + lockSuffix, "ended.json"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	for _, name := range []string{"running" + lockSuffix, "ended" + lockSuffix, "ended.json"} {
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), old, old))
	}
	forgetOld(dir)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "running"+lockSuffix)}, left)
}
