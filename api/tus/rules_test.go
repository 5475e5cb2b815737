package tus_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/tus"
)

func TestTusOptions_TellWhatThereIs(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for _, path := range []string{tus.Path + b.Initialize(), tus.Path + "3fa85f64-5717-4562-b3fc-2c963f66afa6/partial/3fa85f64-5717-4562-b3fc-2c963f66afa6"} {
		r := b.Do(b.Request("", "OPTIONS", strings.TrimPrefix(path, base), nil)).Is(http.StatusNoContent, "")
		require.Equal(t, "1.0.0", r.Header.Get("Tus-Version"))
		require.Equal(t, "creation,creation-with-upload,creation-defer-length,termination,expiration,checksum,concatenation", r.Header.Get("Tus-Extension"))
		require.Equal(t, "1677721600000", r.Header.Get("Tus-Max-Size"))
		require.Equal(t, "sha256,sha1,md5,crc32c", r.Header.Get("Tus-Checksum-Algorithm"))
	}
}

func TestTus_SpeaksOneVersion(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	for _, version := range []string{"", "0.2.2", "1.0"} {
		r := b.Call(alice, "POST", strings.TrimPrefix(tus.Path, base)+id, "", "Tus-Resumable", version, "Upload-Length", "1").Is(http.StatusPreconditionFailed, "FMD-00065")
		require.Equal(t, "1.0.0", r.Header.Get("Tus-Version"))
	}
}

func TestTusOpen_RefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.OK(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
	id := b.Initialize()
	for _, headers := range [][]string{
		{},
		{"Upload-Length", "-1"},
		{"Upload-Length", "x"},
		{"Upload-Length", "99999999999999999999"},
		{"Upload-Defer-Length", "2"},
		{"Upload-Length", "1", "Upload-Defer-Length", "1"},
		{"Upload-Length", "1", "Upload-Metadata", strings.Repeat("x", 9000)},
		{"Upload-Length", "1", "Upload-Metadata", "\xff"},
	} {
		b.TusCall(alice, "POST", tus.Path+id, nil, headers...).Is(http.StatusBadRequest, "FMD-00001")
	}
	b.TusCall(alice, "POST", tus.Path+id, nil, "Upload-Length", "1001").Is(http.StatusBadRequest, "BRO-00016")
	b.TusCall(alice, "HEAD", tus.Path+id, nil).Is(http.StatusNotFound, "")
	b.Patch(tus.Path+id, 0, []byte("x")).Is(http.StatusNotFound, "FMD-00062")
	b.Patch(tus.Path+"not-a-uuid", 0, []byte("x")).Is(http.StatusBadRequest, "FMD-00001")
	require.Equal(t, contract.FileTransferStatusInitialized, b.Overview(alice, id).FileTransferStatus)
}

func TestTusOpen_AgainIsTheSameUpload(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id, path := b.Open(10, "Upload-Metadata", "filename YS56aXA=")
	b.OpenFor(id, 10, "Upload-Metadata", "filename YS56aXA=")
	b.OpenFor(id, 12) // it had no byte, so it gave way
	b.Patch(path, 0, []byte("hello, ")).Is(http.StatusNoContent, "")
	b.OpenFor(id, 12)
	require.Equal(t, "7", b.Offset(path))
	b.TusCall(alice, "POST", path, nil, "Upload-Length", "13").Is(http.StatusConflict, "FMD-00064")
	head := b.TusCall(alice, "HEAD", path, nil).Is(http.StatusOK, "")
	require.Equal(t, "12", head.Header.Get("Upload-Length"))
	require.NotEmpty(t, head.Header.Get("Upload-Expires"))
	require.Equal(t, "no-store", head.Header.Get("Cache-Control"))
	b.Patch(path, 7, []byte("world")).Is(http.StatusNoContent, "")
	b.Arrives(id, []byte("hello, world"))
	b.TusCall(alice, "POST", path, nil, "Upload-Length", "12").Is(http.StatusConflict, "BRO-00004")
	b.Upload(id, []byte("plain")).Is(http.StatusConflict, "BRO-00004")
}

func TestTusOpen_TakesTheFirstBytes(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	r := b.TusCall(alice, "POST", tus.Path+id, strings.NewReader("hello, "), "Upload-Length", "12").Is(http.StatusCreated, "")
	require.Equal(t, "7", r.Header.Get("Upload-Offset"))
	b.Patch(tus.Path+id, 7, []byte("world")).Is(http.StatusNoContent, "")
	b.Arrives(id, []byte("hello, world"))
	b.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "")
	require.NoError(t, b.Objects.DeleteAll(t.Context(), "ft/"+id))

	id = b.Initialize()
	b.TusCall(alice, "POST", tus.Path+id, strings.NewReader("all"), "Upload-Length", "3").Is(http.StatusCreated, "")
	b.Arrives(id, []byte("all"))
	id = b.Initialize()
	b.TusCall(alice, "POST", tus.Path+id, strings.NewReader("x"), "Upload-Length", "3", "Content-Type", "text/plain").Is(http.StatusUnsupportedMediaType, "FMD-00021")
	b.TusCall(alice, "POST", tus.Path+id, strings.NewReader("long"), "Upload-Length", "3").Is(http.StatusRequestEntityTooLarge, "FMD-00066")
}

func TestTusAppend_RefusesWrongPlaces(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id, path := b.Open(10)
	b.Patch(path, 0, []byte("01234")).Is(http.StatusNoContent, "")
	for _, offset := range []int{0, 4, 6, 10, 11, -1} { // overlaps, gaps, beyond the end
		b.Patch(path, offset, []byte("xx")).Is(http.StatusConflict, "FMD-00060")
	}
	b.Patch(path, 5, []byte("567890")).Is(http.StatusRequestEntityTooLarge, "FMD-00066")
	chunked := io.MultiReader(strings.NewReader("567"), strings.NewReader("890")) // no Content-Length
	b.TusCall(alice, "PATCH", path, chunked, "Upload-Offset", "5").Is(http.StatusRequestEntityTooLarge, "FMD-00066")
	require.Equal(t, "5", b.Offset(path), "nothing of a chunk that goes too far")
	b.TusCall(alice, "PATCH", path, strings.NewReader("5")).Is(http.StatusBadRequest, "FMD-00001") // no offset
	b.TusCall(alice, "PATCH", path, strings.NewReader("5"), "Upload-Offset", "5", "Content-Type", "application/octet-stream").Is(http.StatusUnsupportedMediaType, "FMD-00021")
	b.TusCall(alice, "PATCH", path, strings.NewReader("5"), "Upload-Offset", "5", "Upload-Length", "11").Is(http.StatusBadRequest, "FMD-00001")
	b.Patch(path, 5, nil).Is(http.StatusNoContent, "")
	b.Patch(path, 5, []byte("56789")).Is(http.StatusNoContent, "")
	b.Arrives(id, []byte("0123456789"))
	b.Patch(path, 10, nil).Is(http.StatusNoContent, "")
	b.Patch(path, 3, []byte("x")).Is(http.StatusConflict, "FMD-00060")
}

func TestTusAppend_ChecksChecksums(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(300_000)
	s256, s1, m5 := sha256.Sum256(content), sha1.Sum(content), md5.Sum(content)
	crc := binary.BigEndian.AppendUint32(nil, crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli)))
	wrong := map[string]int{"sha256": 32, "sha1": 20, "md5": 16, "crc32c": 4}
	for name, sum := range map[string][]byte{"sha256": s256[:], "sha1": s1[:], "md5": m5[:], "crc32c": crc} {
		id, path := b.Open(2 * len(content))
		bad := name + " " + base64.StdEncoding.EncodeToString(make([]byte, wrong[name]))
		require.Equal(t, "Checksum Mismatch", b.Patch(path, 0, content, "Upload-Checksum", bad).Is(460, "FMD-00061").Problem().Title)
		require.Equal(t, "0", b.Offset(path), name)
		for _, malformed := range []string{"", name, name + " !!", name + " AAAA" + "AAAA", "sha512 " + base64.StdEncoding.EncodeToString(sum), base64.StdEncoding.EncodeToString(sum)} {
			b.Patch(path, 0, content, "Upload-Checksum", malformed).Is(http.StatusBadRequest, "FMD-00001")
		}
		good := name + " " + base64.StdEncoding.EncodeToString(sum)
		b.Patch(path, 0, content, "Upload-Checksum", good).Is(http.StatusNoContent, "")
		b.Patch(path, len(content), content, "Upload-Checksum", bad).Is(460, "FMD-00061")
		b.Patch(path, len(content), content, "Upload-Checksum", good).Is(http.StatusNoContent, "")
		b.Arrives(id, append(bytes.Clone(content), content...))
		b.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "")
		require.NoError(t, b.Objects.DeleteAll(t.Context(), "ft/"+id))
	}
}

func TestTusAppend_MaySayTheLengthLater(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.OK(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
	id := b.Initialize()
	open := func() string {
		return b.TusCall(alice, "POST", tus.Path+id, nil, "Upload-Defer-Length", "1").Is(http.StatusCreated, "").Header.Get("Location")
	}
	path := open()
	head := b.TusCall(alice, "HEAD", path, nil).Is(http.StatusOK, "")
	require.Equal(t, "1", head.Header.Get("Upload-Defer-Length"))
	require.Empty(t, head.Header.Get("Upload-Length"))
	b.Patch(path, 0, apitest.Noise(600)).Is(http.StatusNoContent, "")
	b.Patch(path, 600, apitest.Noise(401)).Is(http.StatusBadRequest, "BRO-00016")
	b.TusCall(alice, "PATCH", path, io.LimitReader(apitest.Zeros{}, 401), "Upload-Offset", "600").Is(http.StatusBadRequest, "BRO-00016")
	b.Patch(path, 600, apitest.Noise(1), "Upload-Length", "1001").Is(http.StatusBadRequest, "BRO-00016")
	b.Patch(path, 600, nil, "Upload-Length", "599").Is(http.StatusBadRequest, "FMD-00001")
	b.Patch(path, 600, []byte("end"), "Upload-Length", "605").Is(http.StatusNoContent, "")
	require.Equal(t, "605", b.TusCall(alice, "HEAD", path, nil).Header.Get("Upload-Length"))
	b.Patch(path, 603, []byte("!!")).Is(http.StatusNoContent, "")
	b.Arrives(id, append(apitest.Noise(600), "end!!"...))

	require.NoError(t, b.Objects.DeleteAll(t.Context(), "ft/"+id))
	id = b.Initialize()
	path = open()
	b.Patch(path, 0, []byte("all")).Is(http.StatusNoContent, "")
	b.Patch(path, 3, nil, "Upload-Length", "3").Is(http.StatusNoContent, "") // that was all
	b.Arrives(id, []byte("all"))
}

func TestTusAppend_OfTwoClientsOneWins(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for round := range 5 {
		id, path := b.Open(200_000)
		bodies := [][]byte{bytes.Repeat([]byte{1}, 200_000), bytes.Repeat([]byte{2}, 200_000)}
		statuses := make([]int, 2)
		var all sync.WaitGroup
		for i, body := range bodies {
			all.Go(func() { statuses[i] = b.Patch(path, 0, body).StatusCode })
		}
		all.Wait()
		won := 0
		if statuses[1] == http.StatusNoContent {
			won = 1
		}
		require.ElementsMatch(t, []int{http.StatusNoContent, http.StatusConflict}, statuses, round)
		b.Arrives(id, bodies[won])
		require.NoError(t, b.Objects.DeleteAll(t.Context(), "ft/"+id))
	}
}

func TestTusAppend_KeepsWhatCameBeforeTheConnectionBroke(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(900_000)
	id, path := b.Open(len(content))
	for at := 0; at < 600_000; at += 200_001 {
		conn := b.Half(path, at, len(content)-at, content[at:at+200_001])
		require.NoError(t, conn.Close())
		require.Eventually(t, func() bool { return b.Offset(path) == fmt.Sprint(at+200_001) }, apitest.WaitABit, apitest.Tick)
	}
	b.Patch(path, 600_003, content[600_003:]).Is(http.StatusNoContent, "")
	b.Arrives(id, content)
}

// A client that lost its connection without the server knowing goes on at once; what the old request still brings
// counts for nothing.
func TestTusAppend_IsTakenOverFromAClientThatStalls(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(500_000)
	id, path := b.Open(len(content))
	stalled := b.Half(path, 0, len(content), bytes.Repeat([]byte{0xee}, 100_000))
	defer func() { _ = stalled.Close() }()
	require.Eventually(t, func() bool { return len(b.Stored()) == 1 }, apitest.WaitABit, apitest.Tick, "it writes")
	b.Patch(path, 0, content[:300_000]).Is(http.StatusNoContent, "")
	_, err := stalled.Write(bytes.Repeat([]byte{0xee}, 400_000))
	_ = err // it may be told before it has sent all
	answer, err := io.ReadAll(stalled)
	if err == nil && len(answer) > 0 {
		require.Contains(t, string(answer), "409 Conflict")
	}
	b.Patch(path, 300_000, content[300_000:]).Is(http.StatusNoContent, "")
	b.Arrives(id, content)
}

func TestTusTerminate_GivesAnUploadUp(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id, path := b.Open(10)
	b.Patch(path, 0, []byte("01234")).Is(http.StatusNoContent, "")
	b.TusCall(alice, "DELETE", path, nil).Is(http.StatusNoContent, "")
	require.Empty(t, b.Stored())
	b.TusCall(alice, "DELETE", path, nil).Is(http.StatusGone, "FMD-00063")
	b.TusCall(alice, "HEAD", path, nil).Is(http.StatusGone, "")
	b.Patch(path, 5, []byte("5")).Is(http.StatusGone, "FMD-00063")
	require.Equal(t, contract.FileTransferStatusUploadStarted, b.Overview(alice, id).FileTransferStatus)
	b.OpenFor(id, 3)
	b.Patch(path, 0, []byte("new")).Is(http.StatusNoContent, "")
	b.Arrives(id, []byte("new"))
	b.TusCall(alice, "DELETE", path, nil).Is(http.StatusConflict, "BRO-00004")
	b.Arrives(id, []byte("new"))
}

func TestTus_OtherFormsOfTheRequests(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id, path := b.Open(5)
	overridden := func(r *http.Request) {
		answer, err := http.DefaultClient.Do(r) // openapi.yaml knows the other form
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusNoContent, answer.StatusCode)
	}
	overridden(b.Request(alice, "POST", strings.TrimPrefix(path, base)+"/", strings.NewReader("01234"),
		"Tus-Resumable", "1.0.0", "Content-Type", "application/offset+octet-stream", "X-HTTP-Method-Override", "PATCH", "Upload-Offset", "0"))
	b.Arrives(id, []byte("01234"))
	id = b.Initialize()
	part := b.Part(id, 2)
	old := strings.Replace(part, "/partial/", "/", 1)
	overridden(b.Request(alice, "POST", strings.TrimPrefix(old, base), nil, "Tus-Resumable", "1.0.0", "X-HTTP-Method-Override", "DELETE"))
	b.TusCall(alice, "HEAD", part, nil).Is(http.StatusGone, "")
	b.Call(alice, "DELETE", "/filetransfer/"+id, "", "X-HTTP-Method-Override", "PATCH").Is(http.StatusMethodNotAllowed, "")
}

// Both ways to upload one file exclude each other as two plain uploads do.
func TestTus_OfAPlainUploadBesideItTheFirstWholeOneWins(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id, path := b.Open(10)
	b.Patch(path, 0, []byte("01234")).Is(http.StatusNoContent, "")
	b.Upload(id, []byte("plain")).Is(http.StatusOK, "")
	b.Patch(path, 5, []byte("56789")).Is(http.StatusConflict, "BRO-00004")
	b.TusCall(alice, "HEAD", path, nil).Is(http.StatusConflict, "")
	b.TusCall(alice, "POST", path, nil, "Upload-Length", "10").Is(http.StatusConflict, "BRO-00004")
	require.Equal(t, "plain", string(b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Raw))
}

func TestTus_OfOtherContentThanDeclaredFailsTheTransfer(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize(func(d map[string]any) { d["checksum"] = apitest.MD5Hex([]byte("other")) })
	path := b.OpenFor(id, 4)
	b.Patch(path, 0, []byte("this")).Is(http.StatusBadRequest, "BRO-00009")
	require.Equal(t, contract.FileTransferStatusFailed, b.Overview(alice, id).FileTransferStatus)
	b.TusCall(alice, "HEAD", path, nil).Is(http.StatusBadRequest, "")
	require.Empty(t, b.Stored())
}
