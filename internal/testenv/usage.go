package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Memory is how many bytes of memory the process has now, and the most it had since ForgetPeak. Linux only.
func (r *Running) Memory(t testing.TB) (now, peak int64) {
	t.Helper()
	raw, err := os.ReadFile(r.proc.path("status"))
	require.NoError(t, err)
	return kibibytes(t, string(raw), "VmRSS:"), kibibytes(t, string(raw), "VmHWM:")
}

// ForgetPeak lets the peak of Memory begin anew.
func (r *Running) ForgetPeak(t testing.TB) {
	t.Helper()
	require.NoError(t, os.WriteFile(r.proc.path("clear_refs"), []byte("5"), 0))
}

// Descriptors counts what the process has open: sockets, files below a directory, and everything. Linux only.
func (r *Running) Descriptors(t testing.TB, dir string) (sockets, files, all int) {
	t.Helper()
	open, err := os.ReadDir(r.proc.path("fd"))
	require.NoError(t, err)
	for _, d := range open {
		to, err := os.Readlink(filepath.Join(r.proc.path("fd"), d.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		all++
		switch {
		case strings.HasPrefix(to, "socket:"):
			sockets++
		case strings.HasPrefix(to, dir):
			files++
		}
	}
	return sockets, files, all
}

func (p *process) path(name string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name)
}

// kibibytes finds the value of a line "name   123 kB", in bytes.
func kibibytes(t testing.TB, status, name string) int64 {
	t.Helper()
	_, after, found := strings.Cut(status, name)
	require.True(t, found, "%s in %s", name, status)
	var n int64
	_, err := fmt.Sscanf(after, "%d kB", &n)
	require.NoError(t, err)
	return n << 10
}
