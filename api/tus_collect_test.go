package api

import (
	"database/sql"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// age makes all uploads look as if nothing had happened to them for a while.
func (b *bundle) age(by time.Duration) {
	b.t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(b.database, "sqlite:")+"?_pragma=busy_timeout(10000)")
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, db.Close()) }()
	now := time.Now().UTC()
	_, err = db.ExecContext(b.t.Context(), "UPDATE tus_uploads SET expires = ?", now.Add(models.TusLife-by))
	require.NoError(b.t, err)
	_, err = db.ExecContext(b.t.Context(), "UPDATE tus_uploads SET completed = ? WHERE completed IS NOT NULL", now.Add(-by).Truncate(time.Microsecond))
	require.NoError(b.t, err)
}

func TestTus_ExpiresAndIsCollected(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, path := b.open(10)
	part := b.part(b.initialize(), 4)
	b.patch(path, 0, []byte("01234")).is(http.StatusNoContent, "")
	b.patch(part, 0, []byte("0123")).is(http.StatusNoContent, "")
	require.NoError(t, b.server.CollectTus(t.Context()))
	require.Len(t, b.stored(), 2)
	b.age(25 * time.Hour)
	b.patch(path, 5, []byte("56789")).is(http.StatusGone, "FMD-00063")
	b.tusCall(alice, "HEAD", path, nil).is(http.StatusGone, "")
	require.NoError(t, b.server.CollectTus(t.Context()))
	require.Empty(t, b.stored(), "its bytes go")
	b.tusCall(alice, "HEAD", part, nil).is(http.StatusGone, "")
	b.openFor(id, 3)
	b.patch(path, 0, []byte("new")).is(http.StatusNoContent, "")
	b.arrives(id, []byte("new"))
}

func TestTus_ACompleteUploadThatNobodyAsksForIsPublished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(50_000)
	id, path := b.open(len(content))
	b.door.set(models.ErrUnavailable)
	b.patch(path, 0, content).is(http.StatusServiceUnavailable, "FMD-00002")
	b.door.set(nil)
	require.NoError(t, b.server.CollectTus(t.Context()))
	require.Equal(t, contract.FileTransferStatusUploadProcessing, b.overview(alice, id).FileTransferStatus, "somebody may still be at it")
	b.age(time.Minute)
	require.NoError(t, b.server.CollectTus(t.Context()))
	require.Eventually(t, func() bool {
		return b.overview(alice, id).FileTransferStatus == contract.FileTransferStatusPublished
	}, waitABit, tick)
	b.arrives(id, content)
}

// The answer does not wait for ever for the hashes of parts; the file is published when they are done.
func TestTusParts_AreProcessedBehindTheAnswerWhenThatTakesLong(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) { s.FinishWait = 100 * time.Millisecond })
	content := noise(100_000)
	id := b.initialize()
	first, second := b.part(id, 40_000), b.part(id, 60_000)
	b.patch(second, 0, content[40_000:]).is(http.StatusNoContent, "")
	b.patch(first, 0, content[:40_000]).is(http.StatusNoContent, "")
	var d models.TusDigest
	require.Eventually(t, func() bool { // another replica hashes, slowly
		var held bool
		var err error
		d, held, err = b.store.HoldDigest(t.Context(), mustUUID(t, id), time.Minute)
		return err == nil && held
	}, waitABit, tick)
	b.join(id, first, second).is(http.StatusCreated, "")
	require.Equal(t, contract.FileTransferStatusUploadProcessing, b.overview(alice, id).FileTransferStatus)
	b.upload(id, content).is(http.StatusConflict, "BRO-00004")
	b.tusCall(alice, "DELETE", tusPath+id, nil).is(http.StatusConflict, "BRO-00004")
	b.tusCall(alice, "DELETE", first, nil).is(http.StatusConflict, "BRO-00004")
	b.age(25 * time.Hour)
	require.NoError(t, b.server.CollectTus(t.Context()), "a part that is to become the content does not expire")
	require.NoError(t, b.store.SaveDigest(t.Context(), d, 0))
	require.Eventually(t, func() bool {
		return b.overview(alice, id).FileTransferStatus == contract.FileTransferStatusPublished
	}, waitABit, tick)
	b.arrives(id, content)
}
