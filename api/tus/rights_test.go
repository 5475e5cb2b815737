package tus_test

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

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/tus"
	"github.com/formidling/formidling/models"
)

// Whoever is not the sender cannot tell, or not use, what there is.
func TestTus_IsForTheSenderAlone(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id, path := b.Open(10)
	part := b.Part(b.Initialize(), 10)
	unknown := tus.Path + "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	requests := []func(by models.Party, path string) apitest.Reply{
		func(by models.Party, path string) apitest.Reply {
			return b.TusCall(by, "POST", path, nil, "Upload-Length", "10")
		},
		func(by models.Party, path string) apitest.Reply {
			return b.TusCall(by, "PATCH", path, strings.NewReader("x"), "Upload-Offset", "0")
		},
		func(by models.Party, path string) apitest.Reply { return b.TusCall(by, "DELETE", path, nil) },
		func(by models.Party, path string) apitest.Reply { return b.TusCall(by, "HEAD", path, nil) },
	}
	for n, request := range requests {
		theirs, none := request(mallory, path), request(mallory, unknown)
		require.Equal(t, http.StatusNotFound, theirs.StatusCode)
		require.Equal(t, none.StatusCode, theirs.StatusCode)
		if n < 3 {
			theirs.Is(http.StatusNotFound, "BRO-00001")
			a, z := theirs.Problem(), none.Problem()
			a.TraceID, z.TraceID = "", ""
			require.Equal(t, z, a, "byte for byte like an unknown one")
			require.Equal(t, http.StatusNotFound, request(alice, unknown).StatusCode)
		}
		require.Equal(t, http.StatusUnauthorized, request(bob, path).StatusCode, "a recipient knows of it")
	}
	b.TusCall(mallory, "PATCH", part, strings.NewReader("x"), "Upload-Offset", "0").Is(http.StatusNotFound, "BRO-00001")
	other := b.Initialize()
	b.TusCall(alice, "HEAD", strings.Replace(part, strings.Split(part, "/")[7], other, 1), nil).Is(http.StatusNotFound, "")
	for _, scope := range []string{models.ScopeRead, models.ScopeServiceOwner} {
		r := b.Request("", "HEAD", strings.TrimPrefix(path, base), nil, "Tus-Resumable", "1.0.0", "Authorization", "Bearer "+b.Token(alice, scope))
		b.Do(r).Is(http.StatusForbidden, "")
	}
	b.Do(b.Request("", "HEAD", strings.TrimPrefix(path, base), nil, "Tus-Resumable", "1.0.0")).Is(http.StatusUnauthorized, "")
	require.Equal(t, "0", b.Offset(path))
	require.Equal(t, contract.FileTransferStatusUploadStarted, b.Overview(alice, id).FileTransferStatus)
}

// A right that was taken away holds for no byte more, and for no file: whenever it was lost.
func TestTus_ARevokedRightFinishesNothing(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(100_000)
	early, path := b.Open(len(content))
	b.Patch(path, 0, content[:50_000]).Is(http.StatusNoContent, "")
	during, path2 := b.Open(len(content))
	id := b.Initialize()
	first, second := b.Part(id, 50_000), b.Part(id, 50_000)
	b.Patch(first, 0, content[:50_000]).Is(http.StatusNoContent, "")
	b.Patch(second, 0, content[50_000:]).Is(http.StatusNoContent, "")

	written := len(b.Stored())
	conn := b.Half(path2, 0, len(content), content[:50_000])
	require.Eventually(t, func() bool { return len(b.Stored()) > written }, apitest.WaitABit, apitest.Tick, "its first bytes are being taken")
	b.Revoke(alice)
	_, err := conn.Write(content[50_000:])
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusUnauthorized, answer.StatusCode)
	require.NoError(t, conn.Close())
	b.TusCall(alice, "HEAD", path2, nil).Is(http.StatusGone, "")
	b.Patch(path, 50_000, content[50_000:]).Is(http.StatusUnauthorized, "BRO-00006")
	b.Join(id, first, second).Is(http.StatusUnauthorized, "BRO-00006")
	b.TusCall(alice, "POST", tus.Path+during, nil, "Upload-Length", "1").Is(http.StatusUnauthorized, "BRO-00006")
	for _, transfer := range []string{early, during, id} {
		require.Equal(t, contract.FileTransferStatusUploadStarted, b.Overview(alice, transfer).FileTransferStatus)
	}
	b.OK(owner, "PUT", apitest.Grants+"/"+alice.Number(), `{"send":true}`)
	b.Patch(path, 50_000, content[50_000:]).Is(http.StatusNoContent, "")
	require.Equal(t, contract.FileTransferStatusPublished, b.Overview(alice, early).FileTransferStatus)
}

func TestTus_ATokenThatExpiredFinishesWhatItsOrganisationOpened(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(60_000)
	id, joined, waiting := b.Initialize(), b.Initialize(), b.Initialize()
	tokenA, expired := b.Expiring(alice, models.ScopeRead)
	tokenM, _ := b.Expiring(mallory)
	tokenR, err := b.Issuer.Token(alice, []string{models.ScopeRead}, 2*time.Second)
	require.NoError(t, err)
	path := b.With(tokenA, "POST", tus.Path+id, nil, "Upload-Length", "60000").Is(http.StatusCreated, "").Header.Get("Location")
	part := b.With(tokenA, "POST", tus.Path+joined, nil, "Upload-Length", "60000", "Upload-Concat", "partial").Is(http.StatusCreated, "").Header.Get("Location")
	expired()
	later := b.OpenFor(waiting, 10)

	b.With(tokenR, "PATCH", path, bytes.NewReader(content), "Upload-Offset", "0").Is(http.StatusForbidden, "FMD-00009")
	for _, token := range []string{tokenM, tokenA[:len(tokenA)-4] + "AAAA", "x"} { // of others, forged, none
		b.With(token, "PATCH", path, bytes.NewReader(content), "Upload-Offset", "0").Is(http.StatusUnauthorized, "FMD-00008")
		b.With(token, "HEAD", path, nil).Is(http.StatusUnauthorized, "")
	}
	b.With(tokenA, "POST", tus.Path+waiting, nil, "Upload-Length", "1").Is(http.StatusUnauthorized, "FMD-00008")
	b.With(tokenA, "PATCH", later, strings.NewReader("x"), "Upload-Offset", "0").Is(http.StatusUnauthorized, "FMD-00008")
	b.With(tokenA, "DELETE", path, nil).Is(http.StatusUnauthorized, "FMD-00008")
	b.With(tokenA, "HEAD", tus.Path+"3fa85f64-5717-4562-b3fc-2c963f66afa6", nil).Is(http.StatusUnauthorized, "")

	b.With(tokenA, "PATCH", path, bytes.NewReader(content[:100]), "Upload-Offset", "0").Is(http.StatusNoContent, "")
	require.Equal(t, "100", b.With(tokenA, "HEAD", path, nil).Is(http.StatusOK, "").Header.Get("Upload-Offset"))
	b.With(tokenA, "PATCH", path, bytes.NewReader(content[100:]), "Upload-Offset", "100").Is(http.StatusNoContent, "")
	require.Equal(t, contract.FileTransferStatusPublished, b.Overview(alice, id).FileTransferStatus)
	b.With(tokenA, "PATCH", part, bytes.NewReader(content), "Upload-Offset", "0").Is(http.StatusNoContent, "")
	b.With(tokenA, "POST", tus.Path+joined, nil, "Upload-Concat", "final;"+part).Is(http.StatusCreated, "")
	require.Equal(t, contract.FileTransferStatusPublished, b.Overview(alice, joined).FileTransferStatus)
}

func TestTus_HugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.URL, "http://"))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = fmt.Fprintf(conn, "POST %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 1\r\nUpload-Metadata: %s\r\n\r\n",
		tus.Path, id, b.Token(alice), strings.Repeat("x", 2<<20))
	if err == nil {
		answer, _ := io.ReadAll(conn)
		require.Contains(t, string(answer), "431 ")
	}
	require.Equal(t, contract.FileTransferStatusInitialized, b.Overview(alice, id).FileTransferStatus)
}

func TestTus_HasItsSlots(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for i := range b.Server.UploadSlots {
		_, err := b.Server.Slots.Take(models.Party(fmt.Sprint("0192:other", i)))
		require.NoError(t, err)
	}
	_, path := b.Open(10)
	b.Patch(path, 0, []byte("01234")).Is(http.StatusServiceUnavailable, "FMD-00007")
	require.Equal(t, "0", b.Offset(path))
}
