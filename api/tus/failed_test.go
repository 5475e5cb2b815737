package tus_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/tus"
	"github.com/formidling/formidling/models"
)

// A right that is lost after the parts were joined ends the parts with their file, and the sender may begin anew.
func TestTusParts_ARejectedFileLetsAnotherUploadBegin(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) { s.FinishWait = 100 * time.Millisecond })
	content := apitest.Noise(100_000)
	id, first, second, d := b.Unhashed(content, time.Minute)
	b.Join(id, first, second).Is(http.StatusCreated, "")
	b.Revoke(alice)
	require.NoError(t, b.Store.SaveDigest(t.Context(), d, 0))
	require.Eventually(t, func() bool { return len(b.Stored()) == 0 }, apitest.WaitABit, apitest.Tick)
	b.OK(owner, "PUT", apitest.Grants+"/"+alice.Number(), `{"send":true}`)
	for _, part := range []string{first, second} {
		b.TusCall(alice, "HEAD", part, nil).Is(http.StatusGone, "")
	}
	b.Join(id, first, second).Is(http.StatusGone, "FMD-00063")
	require.Equal(t, contract.FileTransferStatusUploadStarted, b.Overview(alice, id).FileTransferStatus)
	b.Upload(id, content).Is(http.StatusOK, "")
	b.Arrives(id, content)
}

// Bytes that are gone end the hashing with an error, not with another try at once; after a day the file is given up.
func TestTusParts_WhoseBytesAreMissingAreGivenUp(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(100_000)
	id, first, second, d := b.Unhashed(content, time.Minute)
	b.Alter("DELETE FROM tus_segments WHERE upload_id = ?", second[strings.LastIndex(second, "/")+1:])
	require.NoError(t, b.Store.SaveDigest(t.Context(), d, 0))
	b.Join(id, first, second).Is(http.StatusInternalServerError, "FMD-00014")
	b.Age(time.Hour)
	require.NoError(t, b.Server.CollectTus(t.Context()))
	b.Join(id, first, second).Is(http.StatusInternalServerError, "FMD-00014")
	require.Equal(t, contract.FileTransferStatusUploadProcessing, b.Overview(alice, id).FileTransferStatus)
	b.Age(25 * time.Hour)
	require.Eventually(t, func() bool {
		require.NoError(t, b.Server.CollectTus(t.Context()))
		return b.TusCall(alice, "HEAD", tus.Path+id, nil).StatusCode == http.StatusGone
	}, apitest.WaitABit, 100*time.Millisecond)
	b.OpenFor(id, len(content))
	b.Patch(tus.Path+id, 0, content).Is(http.StatusNoContent, "")
	b.Arrives(id, content)
}

// A part that was opened twice, because the first answer was lost, stands in nobody's way.
func TestTusParts_OneThatWasOpenedTwiceIsPassedOver(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.OK(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
	id, content := b.Initialize(), apitest.Noise(1000)
	b.Part(id, 600)
	limited := b.TusCall(alice, "POST", tus.Path+id, nil, "Upload-Concat", "partial", "Upload-Length", "600")
	limited.Is(http.StatusBadRequest, "BRO-00016")
	b.Alter("UPDATE tus_uploads SET opened = ?", time.Now().UTC().Add(-models.EmptyTusPart).Truncate(time.Microsecond))
	first, second := b.Part(id, 600), b.Part(id, 400)
	b.Patch(first, 0, content[:600]).Is(http.StatusNoContent, "")
	b.Patch(second, 0, content[600:]).Is(http.StatusNoContent, "")
	var d models.TusDigest
	require.Eventually(t, func() bool { // hashed before the file is asked for
		var held bool
		var err error
		d, held, err = b.Store.HoldDigest(t.Context(), apitest.MustUUID(t, id), time.Minute)
		if held && d.Hashed < 1000 {
			require.NoError(t, b.Store.SaveDigest(t.Context(), d, 0))
			b.Server.HashAhead(t.Context(), apitest.MustUUID(t, id))
		}
		return err == nil && held && d.Hashed == 1000
	}, apitest.WaitABit, apitest.Tick)
	require.NoError(t, b.Store.SaveDigest(t.Context(), d, 0))
	b.Join(id, first, second).Is(http.StatusCreated, "")
	b.Arrives(id, content)
}

func TestTusParts_WaitForTheirTurnToBeHashed(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) { s.FinishWait = 100 * time.Millisecond })
	release, held := b.Server.HoldHashing()
	require.True(t, held)
	content := apitest.Noise(100_000)
	id := b.Initialize()
	first, second := b.Part(id, 40_000), b.Part(id, 60_000)
	b.Patch(first, 0, content[:40_000]).Is(http.StatusNoContent, "")
	b.Patch(second, 0, content[40_000:]).Is(http.StatusNoContent, "")
	b.Join(id, first, second).Is(http.StatusCreated, "")
	require.Equal(t, contract.FileTransferStatusUploadProcessing, b.Overview(alice, id).FileTransferStatus)
	other, path := b.Open(len(content))
	b.Patch(path, 0, content).Is(http.StatusNoContent, "")
	require.Equal(t, contract.FileTransferStatusPublished, b.Overview(alice, other).FileTransferStatus, "one that has its hashes does not wait")
	release()
	require.Eventually(t, func() bool {
		return b.Overview(alice, id).FileTransferStatus == contract.FileTransferStatusPublished
	}, apitest.WaitABit, apitest.Tick)
}

func TestTusAppend_AChunkThatDoesNotCountTakesNoRoom(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(1 << 20)
	_, path := b.Open(len(content))
	for range 3 {
		b.Patch(path, 0, content, "Upload-Checksum", "md5 AAAAAAAAAAAAAAAAAAAAAA==").Is(460, "FMD-00061")
	}
	require.Empty(t, b.Stored())
	require.Equal(t, "0", b.Offset(path))
}
