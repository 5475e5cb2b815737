package gcsemu_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/formidling/formidling/internal/gcsemu"
)

const block = 256 << 10

// bundle is an emulator, the real client, and a bucket to work in.
type bundle struct {
	dir    string
	emu    *gcsemu.Server
	url    string
	http   *http.Client
	client *storage.Client
	bucket *storage.BucketHandle
	stop   func()
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return setupIn(t, t.TempDir())
}

func setupIn(t *testing.T, dir string) *bundle {
	t.Helper()
	emu, err := gcsemu.New(dir)
	require.NoError(t, err)
	require.NoError(t, emu.CreateBucket("files"))
	server := httptest.NewServer(emu)
	t.Cleanup(server.Close)
	client := dial(t, server.URL)
	return &bundle{
		dir: dir, emu: emu, url: server.URL, http: server.Client(),
		client: client, bucket: client.Bucket("files"), stop: server.Close,
	}
}

func dial(t *testing.T, base string, more ...option.ClientOption) *storage.Client {
	t.Helper()
	opts := append([]option.ClientOption{
		option.WithEndpoint(base + "/storage/v1/"), option.WithoutAuthentication(),
	}, more...)
	client, err := storage.NewClient(context.Background(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func random(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(p)
	return p
}

func crcOf(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

func crcText(p []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crcOf(p)))
}

func md5Of(p []byte) []byte {
	sum := md5.Sum(p)
	return sum[:]
}

// kind is one of the ways in which the client uploads.
type kind struct {
	name  string
	size  int
	chunk int
}

var kinds = []kind{
	{"multipart", 1000, 16 << 20},
	{"single request", 3*block + 77, 0},
	{"chunks", 3*block + 77, block},
	{"whole chunks", 4 * block, block},
}

// eachKind runs a test for every kind of upload.
func eachKind(t *testing.T, test func(t *testing.T, k kind)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

// upload writes content and returns what became of it.
func upload(ctx context.Context, o *storage.ObjectHandle, k kind, content []byte, set ...func(*storage.Writer)) error {
	w := o.NewWriter(ctx)
	w.ChunkSize = k.chunk
	for _, f := range set {
		f(w)
	}
	if _, err := w.Write(content); err != nil {
		return errors.Join(err, w.Close())
	}
	return w.Close()
}

// put stores content under a name.
func (b *bundle) put(t *testing.T, name string, content []byte) *storage.ObjectAttrs {
	t.Helper()
	require.NoError(t, upload(t.Context(), b.bucket.Object(name), kinds[0], content))
	attrs, err := b.bucket.Object(name).Attrs(t.Context())
	require.NoError(t, err)
	return attrs
}

func read(ctx context.Context, o *storage.ObjectHandle) ([]byte, error) {
	return readRange(ctx, o, 0, -1)
}

func readRange(ctx context.Context, o *storage.ObjectHandle, offset, length int64) ([]byte, error) {
	r, err := o.NewRangeReader(ctx, offset, length)
	if err != nil {
		return nil, err
	}
	p, err := io.ReadAll(r)
	return p, errors.Join(err, r.Close())
}

func (b *bundle) requireContent(t *testing.T, name string, content []byte) {
	t.Helper()
	p, err := read(t.Context(), b.bucket.Object(name))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, p), "the content is not what was uploaded")
}

func requireStatus(t *testing.T, err error, status int) {
	t.Helper()
	var e *googleapi.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, status, e.Code, e.Message)
}

func (b *bundle) requireAbsent(t *testing.T, name string) {
	t.Helper()
	_, err := b.bucket.Object(name).Attrs(t.Context())
	require.ErrorIs(t, err, storage.ErrObjectNotExist)
}

// answer is an HTTP answer that was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	m := map[string]any{}
	require.NoError(t, json.Unmarshal(a.body, &m), string(a.body))
	return m
}

// send makes a request that the client would not make.
func (b *bundle) send(t *testing.T, method, at string, header map[string]string, body []byte) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, at, bytes.NewReader(body))
	require.NoError(t, err)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := b.http.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	p, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{res.StatusCode, res.Header, p}
}

// session opens an upload session and returns its address.
func (b *bundle) session(t *testing.T, name string, header map[string]string) string {
	t.Helper()
	at := b.url + "/upload/storage/v1/b/files/o?uploadType=resumable&name=" + url.QueryEscape(name)
	a := b.send(t, http.MethodPost, at, header, []byte(`{}`))
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	return a.header.Get("Location")
}

// chunk sends one chunk with its Content-Range.
func (b *bundle) chunk(t *testing.T, session, contentRange string, content []byte) answer {
	t.Helper()
	return b.send(t, http.MethodPut, session, map[string]string{"Content-Range": contentRange}, content)
}
