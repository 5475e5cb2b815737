package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// tusCall makes a request of the protocol to an upload; headers come in pairs.
func (b *bundle) tusCall(by models.Party, method, path string, body io.Reader, headers ...string) reply {
	b.t.Helper()
	h := []string{"Tus-Resumable", "1.0.0"}
	if body != nil {
		h = append(h, "Content-Type", tusMediaType)
	}
	return b.do(b.request(by, method, strings.TrimPrefix(path, base), body, append(h, headers...)...))
}

// open opens an upload for a fresh transfer and returns its path.
func (b *bundle) open(length int, headers ...string) (id, path string) {
	b.t.Helper()
	id = b.initialize()
	return id, b.openFor(id, length, headers...)
}

func (b *bundle) openFor(id string, length int, headers ...string) string {
	b.t.Helper()
	headers = append([]string{"Upload-Length", fmt.Sprint(length)}, headers...)
	r := b.tusCall(alice, "POST", tusPath+id, nil, headers...).is(http.StatusCreated, "")
	require.Equal(b.t, "1.0.0", r.Header.Get("Tus-Resumable"))
	return r.Header.Get("Location")
}

func (b *bundle) patch(path string, offset int, content []byte, headers ...string) reply {
	b.t.Helper()
	return b.tusCall(alice, "PATCH", path, bytes.NewReader(content), append([]string{"Upload-Offset", fmt.Sprint(offset)}, headers...)...)
}

func (b *bundle) offset(path string) string {
	b.t.Helper()
	return b.tusCall(alice, "HEAD", path, nil).is(http.StatusOK, "").Header.Get("Upload-Offset")
}

// arrives requires that the recipients get these bytes.
func (b *bundle) arrives(id string, content []byte) {
	b.t.Helper()
	o := b.overview(alice, id)
	require.Equal(b.t, contract.FileTransferStatusPublished, o.FileTransferStatus)
	require.Equal(b.t, int64(len(content)), o.FileTransferSize)
	require.Equal(b.t, sha256Hex(content), *o.Sha256)
	require.Equal(b.t, md5Hex(content), *o.Checksum)
	got := b.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusOK, "")
	require.True(b.t, bytes.Equal(content, got.body), "the same bytes")
	require.Eventually(b.t, func() bool { return len(b.stored()) == 1 }, waitABit, tick, "nothing but the object: %v", b.stored())
}

func noise(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i*7 + i>>8*13 + i>>16*31)
	}
	return out
}

func TestTus_PublishesWhatCameInSeveralRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, size := range []int{0, 1, 100, 300_000, 5<<20 + 17} {
		content := noise(size)
		id, path := b.open(size)
		require.Equal(t, tusPath+id, path)
		for at := 0; at < size; {
			require.Equal(t, contract.FileTransferStatusUploadStarted, b.overview(alice, id).FileTransferStatus)
			require.Equal(t, fmt.Sprint(at), b.offset(path))
			end := min(size, at+size/3+1)
			r := b.patch(path, at, content[at:end]).is(http.StatusNoContent, "")
			require.Equal(t, fmt.Sprint(end), r.Header.Get("Upload-Offset"))
			at = end
		}
		require.Equal(t, fmt.Sprint(size), b.offset(path))
		b.arrives(id, content)
		b.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "").is(http.StatusNoContent, "")
		require.NoError(t, b.objects.DeleteAll(t.Context(), models.TransferPrefix(mustUUID(t, id))))
	}
}

const (
	waitABit = 10 * time.Second
	tick     = 10 * time.Millisecond
)
