package api

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
)

// lose deletes the bytes of an upload behind the server's back.
func (b *bundle) lose(id, upload string) {
	b.t.Helper()
	found, err := filepath.Glob(filepath.Join(b.files, "ft", id, "tus-"+upload[strings.LastIndex(upload, "/")+1:], "*"))
	require.NoError(b.t, err)
	require.NotEmpty(b.t, found)
	for _, f := range found {
		require.NoError(b.t, os.Remove(f))
	}
}

// anew requires that another upload may begin, and sends it.
func (b *bundle) anew(id string, content []byte) {
	b.t.Helper()
	b.patch(b.openFor(id, len(content)), 0, content).is(http.StatusNoContent, "")
	require.Eventually(b.t, func() bool {
		return b.overview(alice, id).FileTransferStatus == contract.FileTransferStatusPublished
	}, waitABit, tick)
	b.arrives(id, content)
}

func TestTusAppend_ToBytesThatAreLostGivesTheUploadUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(100_000)
	id, path := b.open(len(content))
	b.patch(path, 0, content[:60_000]).is(http.StatusNoContent, "")
	b.lose(id, "*")
	b.patch(path, 60_000, content[60_000:]).is(http.StatusGone, "FMD-00096")
	b.tusCall(alice, "HEAD", path, nil).is(http.StatusGone, "")
	b.patch(path, 60_000, content[60_000:]).is(http.StatusGone, "FMD-00063")
	b.anew(id, content)
}

func TestTusParts_OfWhichBytesAreLostGiveTheUploadUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(100_000)
	id, first, second, d := b.unhashed(content, time.Minute)
	b.lose(id, "parts-*") // what they share
	require.NoError(t, b.store.SaveDigest(t.Context(), d, 0))
	b.join(id, first, second).is(http.StatusGone, "FMD-00096")
	for _, part := range []string{first, second} {
		b.tusCall(alice, "HEAD", part, nil).is(http.StatusGone, "")
	}
	b.anew(id, content)
}

// A file that has come and waits to be published is given up too, by whoever finds that its bytes are not there.
func TestTusFinish_OfBytesThatAreLostGivesTheUploadUp(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) { s.FinishWait = 100 * time.Millisecond })
	require.True(t, b.server.tusAssembling.TryAcquire(assembleAtOnce))
	content := noise(100_000)
	id, path := b.open(len(content))
	b.patch(path, 0, content).is(http.StatusNoContent, "")
	require.Equal(t, contract.FileTransferStatusUploadProcessing, b.overview(alice, id).FileTransferStatus)
	b.lose(id, "*")
	b.server.tusAssembling.Release(assembleAtOnce)
	require.Eventually(t, func() bool {
		return b.tusCall(alice, "HEAD", path, nil).StatusCode == http.StatusGone
	}, waitABit, tick)
	require.Equal(t, contract.FileTransferStatusUploadStarted, b.overview(alice, id).FileTransferStatus)
	b.anew(id, content)
}
