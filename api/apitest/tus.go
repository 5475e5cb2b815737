package apitest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/tus"
	"github.com/formidling/formidling/models"
)

// tusMedia is the type of a body of the protocol.
const tusMedia = "application/offset+octet-stream"

// TusCall makes a request of the protocol to an upload; headers come in pairs.
func (b *Bundle) TusCall(by models.Party, method, path string, body io.Reader, headers ...string) Reply {
	b.T.Helper()
	h := []string{"Tus-Resumable", "1.0.0"}
	if body != nil {
		h = append(h, "Content-Type", tusMedia)
	}
	return b.Do(b.Request(by, method, strings.TrimPrefix(path, Base), body, append(h, headers...)...))
}

// Open opens an upload for a fresh transfer and returns its path.
func (b *Bundle) Open(length int, headers ...string) (id, path string) {
	b.T.Helper()
	id = b.Initialize()
	return id, b.OpenFor(id, length, headers...)
}

// OpenFor opens an upload for a transfer and returns its path.
func (b *Bundle) OpenFor(id string, length int, headers ...string) string {
	b.T.Helper()
	headers = append([]string{"Upload-Length", fmt.Sprint(length)}, headers...)
	r := b.TusCall(Alice, "POST", tus.Path+id, nil, headers...).Is(http.StatusCreated, "")
	require.Equal(b.T, "1.0.0", r.Header.Get("Tus-Resumable"))
	return r.Header.Get("Location")
}

// Patch sends bytes of an upload.
func (b *Bundle) Patch(path string, offset int, content []byte, headers ...string) Reply {
	b.T.Helper()
	return b.TusCall(Alice, "PATCH", path, bytes.NewReader(content), append([]string{"Upload-Offset", fmt.Sprint(offset)}, headers...)...)
}

// Offset asks where an upload stands.
func (b *Bundle) Offset(path string) string {
	b.T.Helper()
	return b.TusCall(Alice, "HEAD", path, nil).Is(http.StatusOK, "").Header.Get("Upload-Offset")
}

// Arrives requires that the recipients get these bytes.
func (b *Bundle) Arrives(id string, content []byte) {
	b.T.Helper()
	o := b.Overview(Alice, id)
	require.Equal(b.T, contract.FileTransferStatusPublished, o.FileTransferStatus)
	require.Equal(b.T, int64(len(content)), o.FileTransferSize)
	require.Equal(b.T, SHA256Hex(content), *o.Sha256)
	require.Equal(b.T, MD5Hex(content), *o.Checksum)
	got := b.Call(Bob, "GET", "/filetransfer/"+id+"/download", "").Is(http.StatusOK, "")
	require.True(b.T, bytes.Equal(content, got.Raw), "the same bytes")
	require.Eventually(b.T, func() bool { return len(b.Stored()) == 1 }, WaitABit, Tick, "nothing but the object: %v", b.Stored())
}

// Noise is content of which no two pages are the same.
func Noise(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i*7 + i>>8*13 + i>>16*31)
	}
	return out
}

// WaitABit is how long a test waits for what comes about by itself, and Tick how often it looks.
const (
	WaitABit = 10 * time.Second
	Tick     = 10 * time.Millisecond
)

// Age makes all uploads look as if nothing had happened to them for a while.
func (b *Bundle) Age(by time.Duration) {
	b.T.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(b.Database, "sqlite:")+"?_pragma=busy_timeout(10000)")
	require.NoError(b.T, err)
	defer func() { require.NoError(b.T, db.Close()) }()
	now := time.Now().UTC()
	_, err = db.ExecContext(b.T.Context(), "UPDATE tus_uploads SET expires = ?", now.Add(models.TusLife-by))
	require.NoError(b.T, err)
	_, err = db.ExecContext(b.T.Context(), "UPDATE tus_uploads SET completed = ? WHERE completed IS NOT NULL", now.Add(-by).Truncate(time.Microsecond))
	require.NoError(b.T, err)
}

// Alter changes the database behind the server's back.
func (b *Bundle) Alter(statement string, values ...any) {
	b.T.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(b.Database, "sqlite:")+"?_pragma=busy_timeout(10000)")
	require.NoError(b.T, err)
	defer func() { require.NoError(b.T, db.Close()) }()
	_, err = db.ExecContext(b.T.Context(), statement, values...)
	require.NoError(b.T, err)
}

// Unhashed makes two complete parts of a transfer, whose hashes somebody else holds for as long as said.
func (b *Bundle) Unhashed(content []byte, lease time.Duration) (id, first, second string, d models.TusDigest) {
	b.T.Helper()
	id = b.Initialize()
	d, held, err := b.Store.HoldDigest(b.T.Context(), MustUUID(b.T, id), lease)
	require.NoError(b.T, err)
	require.True(b.T, held)
	half := len(content) / 2
	first, second = b.Part(id, half), b.Part(id, len(content)-half)
	b.Patch(first, 0, content[:half]).Is(http.StatusNoContent, "")
	b.Patch(second, 0, content[half:]).Is(http.StatusNoContent, "")
	return id, first, second, d
}

// Part opens a part of a transfer's upload.
func (b *Bundle) Part(id string, length int) string {
	b.T.Helper()
	path := b.OpenFor(id, length, "Upload-Concat", "partial")
	require.True(b.T, strings.HasPrefix(path, tus.Path+id+"/partial/"), path)
	return path
}

// Join makes parts the content of a transfer.
func (b *Bundle) Join(id string, paths ...string) Reply {
	b.T.Helper()
	return b.TusCall(Alice, "POST", tus.Path+id, nil, "Upload-Concat", "final;"+strings.Join(paths, " "))
}

// Lose deletes the bytes of an upload behind the server's back.
func (b *Bundle) Lose(id, upload string) {
	b.T.Helper()
	found, err := filepath.Glob(filepath.Join(b.Files, "ft", id, "tus-"+upload[strings.LastIndex(upload, "/")+1:], "*"))
	require.NoError(b.T, err)
	require.NotEmpty(b.T, found)
	for _, f := range found {
		require.NoError(b.T, os.Remove(f))
	}
}

// Anew requires that another upload may begin, and sends it.
func (b *Bundle) Anew(id string, content []byte) {
	b.T.Helper()
	b.Patch(b.OpenFor(id, len(content)), 0, content).Is(http.StatusNoContent, "")
	require.Eventually(b.T, func() bool {
		return b.Overview(Alice, id).FileTransferStatus == contract.FileTransferStatusPublished
	}, WaitABit, Tick)
	b.Arrives(id, content)
}

// Expiring is a token that expires soon, and a function that waits until it has.
func (b *Bundle) Expiring(p models.Party, scopes ...string) (token string, wait func()) {
	b.T.Helper()
	token, err := b.Issuer.Token(p, append(scopes, models.ScopeWrite), 2*time.Second)
	require.NoError(b.T, err)
	return token, func() {
		require.Eventually(b.T, func() bool {
			r := b.Request("", "GET", "/filetransfer?resourceId="+Service, nil, "Authorization", "Bearer "+token)
			return b.Do(r).StatusCode == http.StatusUnauthorized
		}, WaitABit, 50*time.Millisecond)
	}
}

// With is TusCall with a token.
func (b *Bundle) With(token, method, path string, body io.Reader, headers ...string) Reply {
	b.T.Helper()
	return b.TusCall("", method, path, body, append(headers, "Authorization", "Bearer "+token)...)
}

// Half opens a connection, sends the head of a PATCH and some of its bytes, and leaves it open.
func (b *Bundle) Half(path string, offset, announced int, sent []byte) net.Conn {
	b.T.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.URL, "http://"))
	require.NoError(b.T, err)
	_, err = fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: %d\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		path, b.Token(Alice), offset, tusMedia, announced, sent)
	require.NoError(b.T, err)
	return conn
}

// Patching is a request to add to an upload whose body is given bit by bit; cancel breaks it.
func (b *Bundle) Patching(path string, offset int) (body *io.PipeWriter, answer chan Reply, cancel func()) {
	b.T.Helper()
	ctx, cancel := context.WithCancel(b.T.Context())
	b.T.Cleanup(cancel)
	from, to := io.Pipe()
	r := b.Request(Alice, "PATCH", strings.TrimPrefix(path, Base), from,
		"Tus-Resumable", "1.0.0", "Content-Type", tusMedia, "Upload-Offset", fmt.Sprint(offset)).WithContext(ctx)
	answer = make(chan Reply, 1)
	go func() {
		response, err := b.Client.Do(r)
		if err != nil {
			close(answer)
			return
		}
		raw, _ := io.ReadAll(response.Body) // what is missing is seen
		_ = response.Body.Close()
		answer <- Reply{Response: response, Raw: raw, T: b.T}
	}()
	return to, answer, cancel
}

// UploadOf is a part as the store has it.
func (b *Bundle) UploadOf(id, part string) models.TusUpload {
	b.T.Helper()
	p := MustUUID(b.T, part[strings.LastIndex(part, "/")+1:])
	u, err := b.Store.TusOf(b.T.Context(), MustUUID(b.T, id), &p)
	require.NoError(b.T, err)
	return u
}
