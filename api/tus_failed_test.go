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

// alter changes the database behind the server's back.
func (b *bundle) alter(statement string, values ...any) {
	b.t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(b.database, "sqlite:")+"?_pragma=busy_timeout(10000)")
	require.NoError(b.t, err)
	defer func() { require.NoError(b.t, db.Close()) }()
	_, err = db.ExecContext(b.t.Context(), statement, values...)
	require.NoError(b.t, err)
}

// unhashed makes two complete parts of a transfer, whose hashes somebody else holds for as long as said.
func (b *bundle) unhashed(content []byte, lease time.Duration) (id, first, second string, d models.TusDigest) {
	b.t.Helper()
	id = b.initialize()
	d, held, err := b.store.HoldDigest(b.t.Context(), mustUUID(b.t, id), lease)
	require.NoError(b.t, err)
	require.True(b.t, held)
	half := len(content) / 2
	first, second = b.part(id, half), b.part(id, len(content)-half)
	b.patch(first, 0, content[:half]).is(http.StatusNoContent, "")
	b.patch(second, 0, content[half:]).is(http.StatusNoContent, "")
	return id, first, second, d
}

// A right that is lost after the parts were joined ends the parts with their file, and the sender may begin anew.
func TestTusParts_ARejectedFileLetsAnotherUploadBegin(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) { s.FinishWait = 100 * time.Millisecond })
	content := noise(100_000)
	id, first, second, d := b.unhashed(content, time.Minute)
	b.join(id, first, second).is(http.StatusCreated, "")
	b.revoke(alice)
	require.NoError(t, b.store.SaveDigest(t.Context(), d, 0))
	require.Eventually(t, func() bool { return len(b.stored()) == 0 }, waitABit, tick)
	b.ok(owner, "PUT", grants+"/"+alice.Number(), `{"send":true}`)
	for _, part := range []string{first, second} {
		b.tusCall(alice, "HEAD", part, nil).is(http.StatusGone, "")
	}
	b.join(id, first, second).is(http.StatusGone, "FMD-00063")
	require.Equal(t, contract.FileTransferStatusUploadStarted, b.overview(alice, id).FileTransferStatus)
	b.upload(id, content).is(http.StatusOK, "")
	b.arrives(id, content)
}

// Bytes that are gone end the hashing with an error, not with another try at once; after a day the file is given up.
func TestTusParts_WhoseBytesAreMissingAreGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(100_000)
	id, first, second, d := b.unhashed(content, time.Minute)
	b.alter("DELETE FROM tus_segments WHERE upload_id = ?", second[strings.LastIndex(second, "/")+1:])
	require.NoError(t, b.store.SaveDigest(t.Context(), d, 0))
	b.join(id, first, second).is(http.StatusInternalServerError, "FMD-00014")
	b.age(time.Hour)
	require.NoError(t, b.server.CollectTus(t.Context()))
	b.join(id, first, second).is(http.StatusInternalServerError, "FMD-00014")
	require.Equal(t, contract.FileTransferStatusUploadProcessing, b.overview(alice, id).FileTransferStatus)
	b.age(25 * time.Hour)
	require.Eventually(t, func() bool {
		require.NoError(t, b.server.CollectTus(t.Context()))
		return b.tusCall(alice, "HEAD", tusPath+id, nil).StatusCode == http.StatusGone
	}, waitABit, 100*time.Millisecond)
	b.openFor(id, len(content))
	b.patch(tusPath+id, 0, content).is(http.StatusNoContent, "")
	b.arrives(id, content)
}

// A part that was opened twice, because the first answer was lost, stands in nobody's way.
func TestTusParts_OneThatWasOpenedTwiceIsPassedOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ok(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
	id, content := b.initialize(), noise(1000)
	b.part(id, 600)
	limited := b.tusCall(alice, "POST", tusPath+id, nil, "Upload-Concat", "partial", "Upload-Length", "600")
	limited.is(http.StatusBadRequest, "BRO-00016")
	b.alter("UPDATE tus_uploads SET opened = ?", time.Now().UTC().Add(-models.EmptyTusPart).Truncate(time.Microsecond))
	first, second := b.part(id, 600), b.part(id, 400)
	b.patch(first, 0, content[:600]).is(http.StatusNoContent, "")
	b.patch(second, 0, content[600:]).is(http.StatusNoContent, "")
	var d models.TusDigest
	require.Eventually(t, func() bool { // hashed before the file is asked for
		var held bool
		var err error
		d, held, err = b.store.HoldDigest(t.Context(), mustUUID(t, id), time.Minute)
		if held && d.Hashed < 1000 {
			require.NoError(t, b.store.SaveDigest(t.Context(), d, 0))
			b.server.hashAhead(t.Context(), mustUUID(t, id))
		}
		return err == nil && held && d.Hashed == 1000
	}, waitABit, tick)
	require.NoError(t, b.store.SaveDigest(t.Context(), d, 0))
	b.join(id, first, second).is(http.StatusCreated, "")
	b.arrives(id, content)
}

func TestTusParts_WaitForTheirTurnToBeHashed(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) { s.FinishWait = 100 * time.Millisecond })
	require.True(t, b.server.tusHashing.TryAcquire(hashAtOnce))
	content := noise(100_000)
	id := b.initialize()
	first, second := b.part(id, 40_000), b.part(id, 60_000)
	b.patch(first, 0, content[:40_000]).is(http.StatusNoContent, "")
	b.patch(second, 0, content[40_000:]).is(http.StatusNoContent, "")
	b.join(id, first, second).is(http.StatusCreated, "")
	require.Equal(t, contract.FileTransferStatusUploadProcessing, b.overview(alice, id).FileTransferStatus)
	other, path := b.open(len(content))
	b.patch(path, 0, content).is(http.StatusNoContent, "")
	require.Equal(t, contract.FileTransferStatusPublished, b.overview(alice, other).FileTransferStatus, "one that has its hashes does not wait")
	b.server.tusHashing.Release(hashAtOnce)
	require.Eventually(t, func() bool {
		return b.overview(alice, id).FileTransferStatus == contract.FileTransferStatusPublished
	}, waitABit, tick)
}

func TestTusAppend_AChunkThatDoesNotCountTakesNoRoom(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(1 << 20)
	_, path := b.open(len(content))
	for range 3 {
		b.patch(path, 0, content, "Upload-Checksum", "md5 AAAAAAAAAAAAAAAAAAAAAA==").is(460, "FMD-00061")
	}
	require.Empty(t, b.stored())
	require.Equal(t, "0", b.offset(path))
}
