package api

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
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
)

func TestTusOptions_TellWhatThereIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{tusPath + b.initialize(), tusPath + "3fa85f64-5717-4562-b3fc-2c963f66afa6/partial/3fa85f64-5717-4562-b3fc-2c963f66afa6"} {
		r := b.do(b.request("", "OPTIONS", strings.TrimPrefix(path, base), nil)).is(http.StatusNoContent, "")
		require.Equal(t, "1.0.0", r.Header.Get("Tus-Version"))
		require.Equal(t, "creation,creation-with-upload,creation-defer-length,termination,expiration,checksum,concatenation", r.Header.Get("Tus-Extension"))
		require.Equal(t, "1677721600000", r.Header.Get("Tus-Max-Size"))
		require.Equal(t, "sha256,sha1,md5,crc32c", r.Header.Get("Tus-Checksum-Algorithm"))
	}
}

func TestTus_SpeaksOneVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	for _, version := range []string{"", "0.2.2", "1.0"} {
		r := b.call(alice, "POST", strings.TrimPrefix(tusPath, base)+id, "", "Tus-Resumable", version, "Upload-Length", "1").is(http.StatusPreconditionFailed, "FMD-00065")
		require.Equal(t, "1.0.0", r.Header.Get("Tus-Version"))
	}
}

func TestTusOpen_RefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ok(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
	id := b.initialize()
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
		b.tusCall(alice, "POST", tusPath+id, nil, headers...).is(http.StatusBadRequest, "FMD-00001")
	}
	b.tusCall(alice, "POST", tusPath+id, nil, "Upload-Length", "1001").is(http.StatusBadRequest, "BRO-00016")
	b.tusCall(alice, "HEAD", tusPath+id, nil).is(http.StatusNotFound, "")
	b.patch(tusPath+id, 0, []byte("x")).is(http.StatusNotFound, "FMD-00062")
	b.patch(tusPath+"not-a-uuid", 0, []byte("x")).is(http.StatusBadRequest, "FMD-00001")
	require.Equal(t, contract.FileTransferStatusInitialized, b.overview(alice, id).FileTransferStatus)
}

func TestTusOpen_AgainIsTheSameUpload(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, path := b.open(10, "Upload-Metadata", "filename YS56aXA=")
	b.openFor(id, 10, "Upload-Metadata", "filename YS56aXA=")
	b.openFor(id, 12) // it had no byte, so it gave way
	b.patch(path, 0, []byte("hello, ")).is(http.StatusNoContent, "")
	b.openFor(id, 12)
	require.Equal(t, "7", b.offset(path))
	b.tusCall(alice, "POST", path, nil, "Upload-Length", "13").is(http.StatusConflict, "FMD-00064")
	head := b.tusCall(alice, "HEAD", path, nil).is(http.StatusOK, "")
	require.Equal(t, "12", head.Header.Get("Upload-Length"))
	require.NotEmpty(t, head.Header.Get("Upload-Expires"))
	require.Equal(t, "no-store", head.Header.Get("Cache-Control"))
	b.patch(path, 7, []byte("world")).is(http.StatusNoContent, "")
	b.arrives(id, []byte("hello, world"))
	b.tusCall(alice, "POST", path, nil, "Upload-Length", "12").is(http.StatusConflict, "BRO-00004")
	b.upload(id, []byte("plain")).is(http.StatusConflict, "BRO-00004")
}

func TestTusOpen_TakesTheFirstBytes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	r := b.tusCall(alice, "POST", tusPath+id, strings.NewReader("hello, "), "Upload-Length", "12").is(http.StatusCreated, "")
	require.Equal(t, "7", r.Header.Get("Upload-Offset"))
	b.patch(tusPath+id, 7, []byte("world")).is(http.StatusNoContent, "")
	b.arrives(id, []byte("hello, world"))
	b.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "")
	require.NoError(t, b.objects.DeleteAll(t.Context(), "ft/"+id))

	id = b.initialize()
	b.tusCall(alice, "POST", tusPath+id, strings.NewReader("all"), "Upload-Length", "3").is(http.StatusCreated, "")
	b.arrives(id, []byte("all"))
	id = b.initialize()
	b.tusCall(alice, "POST", tusPath+id, strings.NewReader("x"), "Upload-Length", "3", "Content-Type", "text/plain").is(http.StatusUnsupportedMediaType, "FMD-00021")
	b.tusCall(alice, "POST", tusPath+id, strings.NewReader("long"), "Upload-Length", "3").is(http.StatusRequestEntityTooLarge, "FMD-00066")
}

func TestTusAppend_RefusesWrongPlaces(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, path := b.open(10)
	b.patch(path, 0, []byte("01234")).is(http.StatusNoContent, "")
	for _, offset := range []int{0, 4, 6, 10, 11, -1} { // overlaps, gaps, beyond the end
		b.patch(path, offset, []byte("xx")).is(http.StatusConflict, "FMD-00060")
	}
	b.patch(path, 5, []byte("567890")).is(http.StatusRequestEntityTooLarge, "FMD-00066")
	chunked := io.MultiReader(strings.NewReader("567"), strings.NewReader("890")) // no Content-Length
	b.tusCall(alice, "PATCH", path, chunked, "Upload-Offset", "5").is(http.StatusRequestEntityTooLarge, "FMD-00066")
	require.Equal(t, "5", b.offset(path), "nothing of a chunk that goes too far")
	b.tusCall(alice, "PATCH", path, strings.NewReader("5")).is(http.StatusBadRequest, "FMD-00001") // no offset
	b.tusCall(alice, "PATCH", path, strings.NewReader("5"), "Upload-Offset", "5", "Content-Type", "application/octet-stream").is(http.StatusUnsupportedMediaType, "FMD-00021")
	b.tusCall(alice, "PATCH", path, strings.NewReader("5"), "Upload-Offset", "5", "Upload-Length", "11").is(http.StatusBadRequest, "FMD-00001")
	b.patch(path, 5, nil).is(http.StatusNoContent, "")
	b.patch(path, 5, []byte("56789")).is(http.StatusNoContent, "")
	b.arrives(id, []byte("0123456789"))
	b.patch(path, 10, nil).is(http.StatusNoContent, "")
	b.patch(path, 3, []byte("x")).is(http.StatusConflict, "FMD-00060")
}

func TestTusAppend_ChecksChecksums(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(300_000)
	s256, s1, m5 := sha256.Sum256(content), sha1.Sum(content), md5.Sum(content)
	crc := binary.BigEndian.AppendUint32(nil, crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli)))
	wrong := map[string]int{"sha256": 32, "sha1": 20, "md5": 16, "crc32c": 4}
	for name, sum := range map[string][]byte{"sha256": s256[:], "sha1": s1[:], "md5": m5[:], "crc32c": crc} {
		id, path := b.open(2 * len(content))
		bad := name + " " + base64.StdEncoding.EncodeToString(make([]byte, wrong[name]))
		require.Equal(t, "Checksum Mismatch", b.patch(path, 0, content, "Upload-Checksum", bad).is(460, "FMD-00061").problem().Title)
		require.Equal(t, "0", b.offset(path), name)
		for _, malformed := range []string{"", name, name + " !!", name + " AAAA" + "AAAA", "sha512 " + base64.StdEncoding.EncodeToString(sum), base64.StdEncoding.EncodeToString(sum)} {
			b.patch(path, 0, content, "Upload-Checksum", malformed).is(http.StatusBadRequest, "FMD-00001")
		}
		good := name + " " + base64.StdEncoding.EncodeToString(sum)
		b.patch(path, 0, content, "Upload-Checksum", good).is(http.StatusNoContent, "")
		b.patch(path, len(content), content, "Upload-Checksum", bad).is(460, "FMD-00061")
		b.patch(path, len(content), content, "Upload-Checksum", good).is(http.StatusNoContent, "")
		b.arrives(id, append(bytes.Clone(content), content...))
		b.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "")
		require.NoError(t, b.objects.DeleteAll(t.Context(), "ft/"+id))
	}
}

func TestTusAppend_MaySayTheLengthLater(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ok(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
	id := b.initialize()
	open := func() string {
		return b.tusCall(alice, "POST", tusPath+id, nil, "Upload-Defer-Length", "1").is(http.StatusCreated, "").Header.Get("Location")
	}
	path := open()
	head := b.tusCall(alice, "HEAD", path, nil).is(http.StatusOK, "")
	require.Equal(t, "1", head.Header.Get("Upload-Defer-Length"))
	require.Empty(t, head.Header.Get("Upload-Length"))
	b.patch(path, 0, noise(600)).is(http.StatusNoContent, "")
	b.patch(path, 600, noise(401)).is(http.StatusBadRequest, "BRO-00016")
	b.tusCall(alice, "PATCH", path, io.LimitReader(zeros{}, 401), "Upload-Offset", "600").is(http.StatusBadRequest, "BRO-00016")
	b.patch(path, 600, noise(1), "Upload-Length", "1001").is(http.StatusBadRequest, "BRO-00016")
	b.patch(path, 600, nil, "Upload-Length", "599").is(http.StatusBadRequest, "FMD-00001")
	b.patch(path, 600, []byte("end"), "Upload-Length", "605").is(http.StatusNoContent, "")
	require.Equal(t, "605", b.tusCall(alice, "HEAD", path, nil).Header.Get("Upload-Length"))
	b.patch(path, 603, []byte("!!")).is(http.StatusNoContent, "")
	b.arrives(id, append(noise(600), "end!!"...))

	require.NoError(t, b.objects.DeleteAll(t.Context(), "ft/"+id))
	id = b.initialize()
	path = open()
	b.patch(path, 0, []byte("all")).is(http.StatusNoContent, "")
	b.patch(path, 3, nil, "Upload-Length", "3").is(http.StatusNoContent, "") // that was all
	b.arrives(id, []byte("all"))
}

func TestTusAppend_OfTwoClientsOneWins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for round := range 5 {
		id, path := b.open(200_000)
		bodies := [][]byte{bytes.Repeat([]byte{1}, 200_000), bytes.Repeat([]byte{2}, 200_000)}
		statuses := make([]int, 2)
		var all sync.WaitGroup
		for i, body := range bodies {
			all.Go(func() { statuses[i] = b.patch(path, 0, body).StatusCode })
		}
		all.Wait()
		won := 0
		if statuses[1] == http.StatusNoContent {
			won = 1
		}
		require.ElementsMatch(t, []int{http.StatusNoContent, http.StatusConflict}, statuses, round)
		b.arrives(id, bodies[won])
		require.NoError(t, b.objects.DeleteAll(t.Context(), "ft/"+id))
	}
}

// half opens a connection, sends the head of a PATCH and some of its bytes, and leaves it open.
func (b *bundle) half(path string, offset, announced int, sent []byte) net.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	require.NoError(b.t, err)
	_, err = fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: %d\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		path, b.token(alice), offset, tusMediaType, announced, sent)
	require.NoError(b.t, err)
	return conn
}

func TestTusAppend_KeepsWhatCameBeforeTheConnectionBroke(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(900_000)
	id, path := b.open(len(content))
	for at := 0; at < 600_000; at += 200_001 {
		conn := b.half(path, at, len(content)-at, content[at:at+200_001])
		require.NoError(t, conn.Close())
		require.Eventually(t, func() bool { return b.offset(path) == fmt.Sprint(at+200_001) }, waitABit, tick)
	}
	b.patch(path, 600_003, content[600_003:]).is(http.StatusNoContent, "")
	b.arrives(id, content)
}

// A client that lost its connection without the server knowing goes on at once; what the old request still brings
// counts for nothing.
func TestTusAppend_IsTakenOverFromAClientThatStalls(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(500_000)
	id, path := b.open(len(content))
	stalled := b.half(path, 0, len(content), bytes.Repeat([]byte{0xee}, 100_000))
	defer func() { _ = stalled.Close() }()
	require.Eventually(t, func() bool { return len(b.stored()) == 1 }, waitABit, tick, "it writes")
	b.patch(path, 0, content[:300_000]).is(http.StatusNoContent, "")
	_, err := stalled.Write(bytes.Repeat([]byte{0xee}, 400_000))
	_ = err // it may be told before it has sent all
	answer, err := io.ReadAll(stalled)
	if err == nil && len(answer) > 0 {
		require.Contains(t, string(answer), "409 Conflict")
	}
	b.patch(path, 300_000, content[300_000:]).is(http.StatusNoContent, "")
	b.arrives(id, content)
}

func TestTusTerminate_GivesAnUploadUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, path := b.open(10)
	b.patch(path, 0, []byte("01234")).is(http.StatusNoContent, "")
	b.tusCall(alice, "DELETE", path, nil).is(http.StatusNoContent, "")
	require.Empty(t, b.stored())
	b.tusCall(alice, "DELETE", path, nil).is(http.StatusGone, "FMD-00063")
	b.tusCall(alice, "HEAD", path, nil).is(http.StatusGone, "")
	b.patch(path, 5, []byte("5")).is(http.StatusGone, "FMD-00063")
	require.Equal(t, contract.FileTransferStatusUploadStarted, b.overview(alice, id).FileTransferStatus)
	b.openFor(id, 3)
	b.patch(path, 0, []byte("new")).is(http.StatusNoContent, "")
	b.arrives(id, []byte("new"))
	b.tusCall(alice, "DELETE", path, nil).is(http.StatusConflict, "BRO-00004")
	b.arrives(id, []byte("new"))
}

func TestTus_OtherFormsOfTheRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, path := b.open(5)
	overridden := func(r *http.Request) {
		answer, err := http.DefaultClient.Do(r) // openapi.yaml knows the other form
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusNoContent, answer.StatusCode)
	}
	overridden(b.request(alice, "POST", strings.TrimPrefix(path, base)+"/", strings.NewReader("01234"),
		"Tus-Resumable", "1.0.0", "Content-Type", tusMediaType, "X-HTTP-Method-Override", "PATCH", "Upload-Offset", "0"))
	b.arrives(id, []byte("01234"))
	id = b.initialize()
	part := b.part(id, 2)
	old := strings.Replace(part, "/partial/", "/", 1)
	overridden(b.request(alice, "POST", strings.TrimPrefix(old, base), nil, "Tus-Resumable", "1.0.0", "X-HTTP-Method-Override", "DELETE"))
	b.tusCall(alice, "HEAD", part, nil).is(http.StatusGone, "")
	b.call(alice, "DELETE", "/filetransfer/"+id, "", "X-HTTP-Method-Override", "PATCH").is(http.StatusMethodNotAllowed, "")
}

// Both ways to upload one file exclude each other as two plain uploads do.
func TestTus_OfAPlainUploadBesideItTheFirstWholeOneWins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, path := b.open(10)
	b.patch(path, 0, []byte("01234")).is(http.StatusNoContent, "")
	b.upload(id, []byte("plain")).is(http.StatusOK, "")
	b.patch(path, 5, []byte("56789")).is(http.StatusConflict, "BRO-00004")
	b.tusCall(alice, "HEAD", path, nil).is(http.StatusConflict, "")
	b.tusCall(alice, "POST", path, nil, "Upload-Length", "10").is(http.StatusConflict, "BRO-00004")
	require.Equal(t, "plain", string(b.call(bob, "GET", "/filetransfer/"+id+"/download", "").body))
}

func TestTus_OfOtherContentThanDeclaredFailsTheTransfer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize(func(d map[string]any) { d["checksum"] = md5Hex([]byte("other")) })
	path := b.openFor(id, 4)
	b.patch(path, 0, []byte("this")).is(http.StatusBadRequest, "BRO-00009")
	require.Equal(t, contract.FileTransferStatusFailed, b.overview(alice, id).FileTransferStatus)
	b.tusCall(alice, "HEAD", path, nil).is(http.StatusBadRequest, "")
	require.Empty(t, b.stored())
}
