package tus_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
)

func TestTusAppend_ToBytesThatAreLostGivesTheUploadUp(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(100_000)
	id, path := b.Open(len(content))
	b.Patch(path, 0, content[:60_000]).Is(http.StatusNoContent, "")
	b.Lose(id, "*")
	b.Patch(path, 60_000, content[60_000:]).Is(http.StatusGone, "FMD-00096")
	b.TusCall(alice, "HEAD", path, nil).Is(http.StatusGone, "")
	b.Patch(path, 60_000, content[60_000:]).Is(http.StatusGone, "FMD-00063")
	b.Anew(id, content)
}

func TestTusParts_OfWhichBytesAreLostGiveTheUploadUp(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(100_000)
	id, first, second, d := b.Unhashed(content, time.Minute)
	b.Lose(id, "parts-*") // what they share
	require.NoError(t, b.Store.SaveDigest(t.Context(), d, 0))
	b.Join(id, first, second).Is(http.StatusGone, "FMD-00096")
	for _, part := range []string{first, second} {
		b.TusCall(alice, "HEAD", part, nil).Is(http.StatusGone, "")
	}
	b.Anew(id, content)
}

// A file that has come and waits to be published is given up too, by whoever finds that its bytes are not there.
func TestTusFinish_OfBytesThatAreLostGivesTheUploadUp(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) { s.FinishWait = 100 * time.Millisecond })
	release, held := b.Server.HoldAssembling()
	require.True(t, held)
	content := apitest.Noise(100_000)
	id, path := b.Open(len(content))
	b.Patch(path, 0, content).Is(http.StatusNoContent, "")
	require.Equal(t, contract.FileTransferStatusUploadProcessing, b.Overview(alice, id).FileTransferStatus)
	b.Lose(id, "*")
	release()
	require.Eventually(t, func() bool {
		return b.TusCall(alice, "HEAD", path, nil).StatusCode == http.StatusGone
	}, apitest.WaitABit, apitest.Tick)
	require.Equal(t, contract.FileTransferStatusUploadStarted, b.Overview(alice, id).FileTransferStatus)
	b.Anew(id, content)
}
