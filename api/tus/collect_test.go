package tus_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/tus"
	"github.com/formidling/formidling/models"
)

func TestTus_ExpiresAndIsCollected(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id, path := b.Open(10)
	part := b.Part(b.Initialize(), 4)
	b.Patch(path, 0, []byte("01234")).Is(http.StatusNoContent, "")
	b.Patch(part, 0, []byte("0123")).Is(http.StatusNoContent, "")
	require.NoError(t, b.Server.CollectTus(t.Context()))
	require.Len(t, b.Stored(), 2)
	b.Age(25 * time.Hour)
	b.Patch(path, 5, []byte("56789")).Is(http.StatusGone, "FMD-00063")
	b.TusCall(alice, "HEAD", path, nil).Is(http.StatusGone, "")
	require.NoError(t, b.Server.CollectTus(t.Context()))
	require.Empty(t, b.Stored(), "its bytes go")
	b.TusCall(alice, "HEAD", part, nil).Is(http.StatusGone, "")
	b.OpenFor(id, 3)
	b.Patch(path, 0, []byte("new")).Is(http.StatusNoContent, "")
	b.Arrives(id, []byte("new"))
}

func TestTus_ACompleteUploadThatNobodyAsksForIsPublished(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(50_000)
	id, path := b.Open(len(content))
	b.Workflows.SetDown(models.ErrUnavailable)
	b.Patch(path, 0, content).Is(http.StatusServiceUnavailable, "FMD-00002")
	b.Workflows.SetDown(nil)
	require.NoError(t, b.Server.CollectTus(t.Context()))
	require.Equal(t, contract.FileTransferStatusUploadProcessing, b.Overview(alice, id).FileTransferStatus, "somebody may still be at it")
	b.Age(time.Minute)
	require.NoError(t, b.Server.CollectTus(t.Context()))
	require.Eventually(t, func() bool {
		return b.Overview(alice, id).FileTransferStatus == contract.FileTransferStatusPublished
	}, apitest.WaitABit, apitest.Tick)
	b.Arrives(id, content)
}

// The answer does not wait for ever for the hashes of parts; the file is published when they are done.
func TestTusParts_AreProcessedBehindTheAnswerWhenThatTakesLong(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) { s.FinishWait = 100 * time.Millisecond })
	content := apitest.Noise(100_000)
	id := b.Initialize()
	first, second := b.Part(id, 40_000), b.Part(id, 60_000)
	b.Patch(second, 0, content[40_000:]).Is(http.StatusNoContent, "")
	b.Patch(first, 0, content[:40_000]).Is(http.StatusNoContent, "")
	var d models.TusDigest
	require.Eventually(t, func() bool { // another replica hashes, slowly
		var held bool
		var err error
		d, held, err = b.Store.HoldDigest(t.Context(), apitest.MustUUID(t, id), time.Minute)
		return err == nil && held
	}, apitest.WaitABit, apitest.Tick)
	b.Join(id, first, second).Is(http.StatusCreated, "")
	require.Equal(t, contract.FileTransferStatusUploadProcessing, b.Overview(alice, id).FileTransferStatus)
	b.Upload(id, content).Is(http.StatusConflict, "BRO-00004")
	b.TusCall(alice, "DELETE", tus.Path+id, nil).Is(http.StatusConflict, "BRO-00004")
	b.TusCall(alice, "DELETE", first, nil).Is(http.StatusConflict, "BRO-00004")
	b.Age(25 * time.Hour)
	require.NoError(t, b.Server.CollectTus(t.Context()), "a part that is to become the content does not expire")
	require.NoError(t, b.Store.SaveDigest(t.Context(), d, 0))
	require.Eventually(t, func() bool {
		return b.Overview(alice, id).FileTransferStatus == contract.FileTransferStatusPublished
	}, apitest.WaitABit, apitest.Tick)
	b.Arrives(id, content)
}
