package main

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// zeros is a sparse file: it has a length and no content that anybody had to store.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestLongUpload_NeedsNoMoreMemoryThanAShortOne uploads long sparse files to a process that has seen short ones.
// It is not parallel, so that the time that it takes stays small. `make bench-large` does the same with 100 GB.
func TestLongUpload_NeedsNoMoreMemoryThanAShortOne(t *testing.T) {
	const short, long, bound = 64 << 20, 1 << 30, 64 << 20 // bytes
	i := installWith(t, "OBJECTS="+t.TempDir())
	i.makeService()
	for name, upload := range map[string]func(size int64){
		"plain": func(size int64) {
			id := i.initialize()
			status, raw := i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", io.LimitReader(zeros{}, size), "Content-Type", octets)
			require.Equal(t, http.StatusOK, status, string(raw))
			i.discard(id)
		},
		"tus": func(size int64) {
			id := i.initialize()
			u := i.tus(i.url, id, size)
			at, err := u.patch(t.Context(), 0, io.LimitReader(zeros{}, size), size)
			require.NoError(t, err)
			require.Equal(t, size, at)
			require.Equal(t, "Published", i.status(id))
			i.discard(id)
		},
	} {
		upload(short)
		idle, _ := i.api.Memory(t)
		i.api.ForgetPeak(t)
		upload(long)
		_, peak := i.api.Memory(t)
		t.Logf("%s upload of %d MiB: %.1f MiB of memory before, %.1f at most", name, long>>20, float64(idle)/(1<<20), float64(peak)/(1<<20))
		require.Less(t, peak-idle, int64(bound), name)
	}
}

// discard takes a transfer back, so that its bytes leave the disk.
func (i *installation) discard(id string) {
	i.t.Helper()
	status, raw := i.ask(testSender, "POST", "/filetransfer/"+id+"/cancel", nil)
	require.Equal(i.t, http.StatusNoContent, status, string(raw))
}
