package api

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// Whoever is not the sender cannot tell, or not use, what there is.
func TestTus_IsForTheSenderAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, path := b.open(10)
	part := b.part(b.initialize(), 10)
	unknown := tusPath + "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	requests := []func(by models.Party, path string) reply{
		func(by models.Party, path string) reply {
			return b.tusCall(by, "POST", path, nil, "Upload-Length", "10")
		},
		func(by models.Party, path string) reply {
			return b.tusCall(by, "PATCH", path, strings.NewReader("x"), "Upload-Offset", "0")
		},
		func(by models.Party, path string) reply { return b.tusCall(by, "DELETE", path, nil) },
		func(by models.Party, path string) reply { return b.tusCall(by, "HEAD", path, nil) },
	}
	for n, request := range requests {
		theirs, none := request(mallory, path), request(mallory, unknown)
		require.Equal(t, http.StatusNotFound, theirs.StatusCode)
		require.Equal(t, none.StatusCode, theirs.StatusCode)
		if n < 3 {
			theirs.is(http.StatusNotFound, "BRO-00001")
			a, z := theirs.problem(), none.problem()
			a.TraceID, z.TraceID = "", ""
			require.Equal(t, z, a, "byte for byte like an unknown one")
			require.Equal(t, http.StatusNotFound, request(alice, unknown).StatusCode)
		}
		require.Equal(t, http.StatusUnauthorized, request(bob, path).StatusCode, "a recipient knows of it")
	}
	b.tusCall(mallory, "PATCH", part, strings.NewReader("x"), "Upload-Offset", "0").is(http.StatusNotFound, "BRO-00001")
	other := b.initialize()
	b.tusCall(alice, "HEAD", strings.Replace(part, strings.Split(part, "/")[7], other, 1), nil).is(http.StatusNotFound, "")
	for _, scope := range []string{models.ScopeRead, models.ScopeServiceOwner} {
		r := b.request("", "HEAD", strings.TrimPrefix(path, base), nil, "Tus-Resumable", "1.0.0", "Authorization", "Bearer "+b.token(alice, scope))
		b.do(r).is(http.StatusForbidden, "")
	}
	b.do(b.request("", "HEAD", strings.TrimPrefix(path, base), nil, "Tus-Resumable", "1.0.0")).is(http.StatusUnauthorized, "")
	require.Equal(t, "0", b.offset(path))
	require.Equal(t, contract.FileTransferStatusUploadStarted, b.overview(alice, id).FileTransferStatus)
}

// A right that was taken away holds for no byte more, and for no file: whenever it was lost.
func TestTus_ARevokedRightFinishesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(100_000)
	early, path := b.open(len(content))
	b.patch(path, 0, content[:50_000]).is(http.StatusNoContent, "")
	during, path2 := b.open(len(content))
	id := b.initialize()
	first, second := b.part(id, 50_000), b.part(id, 50_000)
	b.patch(first, 0, content[:50_000]).is(http.StatusNoContent, "")
	b.patch(second, 0, content[50_000:]).is(http.StatusNoContent, "")

	written := len(b.stored())
	conn := b.half(path2, 0, len(content), content[:50_000])
	require.Eventually(t, func() bool { return len(b.stored()) > written }, waitABit, tick, "its first bytes are being taken")
	b.revoke(alice)
	_, err := conn.Write(content[50_000:])
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusUnauthorized, answer.StatusCode)
	require.NoError(t, conn.Close())
	b.tusCall(alice, "HEAD", path2, nil).is(http.StatusGone, "")
	b.patch(path, 50_000, content[50_000:]).is(http.StatusUnauthorized, "BRO-00006")
	b.join(id, first, second).is(http.StatusUnauthorized, "BRO-00006")
	b.tusCall(alice, "POST", tusPath+during, nil, "Upload-Length", "1").is(http.StatusUnauthorized, "BRO-00006")
	for _, transfer := range []string{early, during, id} {
		require.Equal(t, contract.FileTransferStatusUploadStarted, b.overview(alice, transfer).FileTransferStatus)
	}
	b.ok(owner, "PUT", grants+"/"+alice.Number(), `{"send":true}`)
	b.patch(path, 50_000, content[50_000:]).is(http.StatusNoContent, "")
	require.Equal(t, contract.FileTransferStatusPublished, b.overview(alice, early).FileTransferStatus)
}

// expiring is a token that expires soon, and a function that waits until it has.
func (b *bundle) expiring(p models.Party, scopes ...string) (token string, wait func()) {
	b.t.Helper()
	token, err := b.issuer.Token(p, append(scopes, models.ScopeWrite), 2*time.Second)
	require.NoError(b.t, err)
	return token, func() {
		require.Eventually(b.t, func() bool {
			r := b.request("", "GET", "/filetransfer?resourceId="+svc, nil, "Authorization", "Bearer "+token)
			return b.do(r).StatusCode == http.StatusUnauthorized
		}, waitABit, 50*time.Millisecond)
	}
}

func (b *bundle) with(token, method, path string, body io.Reader, headers ...string) reply {
	b.t.Helper()
	return b.tusCall("", method, path, body, append(headers, "Authorization", "Bearer "+token)...)
}

func TestTus_ATokenThatExpiredFinishesWhatItsOrganisationOpened(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(60_000)
	id, joined, waiting := b.initialize(), b.initialize(), b.initialize()
	tokenA, expired := b.expiring(alice, models.ScopeRead)
	tokenM, _ := b.expiring(mallory)
	tokenR, err := b.issuer.Token(alice, []string{models.ScopeRead}, 2*time.Second)
	require.NoError(t, err)
	path := b.with(tokenA, "POST", tusPath+id, nil, "Upload-Length", "60000").is(http.StatusCreated, "").Header.Get("Location")
	part := b.with(tokenA, "POST", tusPath+joined, nil, "Upload-Length", "60000", "Upload-Concat", "partial").is(http.StatusCreated, "").Header.Get("Location")
	expired()
	later := b.openFor(waiting, 10)

	b.with(tokenR, "PATCH", path, bytes.NewReader(content), "Upload-Offset", "0").is(http.StatusForbidden, "FMD-00009")
	for _, token := range []string{tokenM, tokenA[:len(tokenA)-4] + "AAAA", "x"} { // of others, forged, none
		b.with(token, "PATCH", path, bytes.NewReader(content), "Upload-Offset", "0").is(http.StatusUnauthorized, "FMD-00008")
		b.with(token, "HEAD", path, nil).is(http.StatusUnauthorized, "")
	}
	b.with(tokenA, "POST", tusPath+waiting, nil, "Upload-Length", "1").is(http.StatusUnauthorized, "FMD-00008")
	b.with(tokenA, "PATCH", later, strings.NewReader("x"), "Upload-Offset", "0").is(http.StatusUnauthorized, "FMD-00008")
	b.with(tokenA, "DELETE", path, nil).is(http.StatusUnauthorized, "FMD-00008")
	b.with(tokenA, "HEAD", tusPath+"3fa85f64-5717-4562-b3fc-2c963f66afa6", nil).is(http.StatusUnauthorized, "")

	b.with(tokenA, "PATCH", path, bytes.NewReader(content[:100]), "Upload-Offset", "0").is(http.StatusNoContent, "")
	require.Equal(t, "100", b.with(tokenA, "HEAD", path, nil).is(http.StatusOK, "").Header.Get("Upload-Offset"))
	b.with(tokenA, "PATCH", path, bytes.NewReader(content[100:]), "Upload-Offset", "100").is(http.StatusNoContent, "")
	require.Equal(t, contract.FileTransferStatusPublished, b.overview(alice, id).FileTransferStatus)
	b.with(tokenA, "PATCH", part, bytes.NewReader(content), "Upload-Offset", "0").is(http.StatusNoContent, "")
	b.with(tokenA, "POST", tusPath+joined, nil, "Upload-Concat", "final;"+part).is(http.StatusCreated, "")
	require.Equal(t, contract.FileTransferStatusPublished, b.overview(alice, joined).FileTransferStatus)
}

func TestTus_HugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = fmt.Fprintf(conn, "POST %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 1\r\nUpload-Metadata: %s\r\n\r\n",
		tusPath, id, b.token(alice), strings.Repeat("x", 2<<20))
	if err == nil {
		answer, _ := io.ReadAll(conn)
		require.Contains(t, string(answer), "431 ")
	}
	require.Equal(t, contract.FileTransferStatusInitialized, b.overview(alice, id).FileTransferStatus)
}

func TestTus_HasItsSlots(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range b.server.UploadSlots {
		_, err := b.server.uploads.take(models.Party(fmt.Sprint("0192:other", i)))
		require.NoError(t, err)
	}
	_, path := b.open(10)
	b.patch(path, 0, []byte("01234")).is(http.StatusServiceUnavailable, "FMD-00007")
	require.Equal(t, "0", b.offset(path))
}
