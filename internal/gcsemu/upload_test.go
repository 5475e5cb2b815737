package gcsemu_test

import (
	"bytes"
	"context"
	"io/fs"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/require"
)

func TestServer_StoresWhatWasUploaded(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k kind) {
		t.Helper()
		b, content := setup(t), random(k.size)
		err := upload(t.Context(), b.bucket.Object("a"), k, content, func(w *storage.Writer) {
			w.ContentType = "text/x-test"
			w.Metadata = map[string]string{"k": "v"}
		})
		require.NoError(t, err)
		b.requireContent(t, "a", content)
		attrs, err := b.bucket.Object("a").Attrs(t.Context())
		require.NoError(t, err)
		require.Equal(t, int64(k.size), attrs.Size)
		require.Equal(t, crcOf(content), attrs.CRC32C)
		require.Equal(t, md5Of(content), attrs.MD5)
		require.Equal(t, "text/x-test", attrs.ContentType)
		require.Equal(t, map[string]string{"k": "v"}, attrs.Metadata)
		require.Equal(t, int64(1), attrs.Metageneration)
	})
}

func TestServer_StoresAnEmptyObject(t *testing.T) {
	t.Parallel()
	b := setup(t)
	attrs := b.put(t, "empty", nil)
	require.Zero(t, attrs.Size)
	b.requireContent(t, "empty", []byte{})
}

func TestServer_KeepsZerosAsHoles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, content := setupIn(t, dir), make([]byte, 32<<20)
	copy(content[10<<20:], random(1<<20))
	b.put(t, "sparse", content)
	b.requireContent(t, "sparse", content)
	var blocks int64
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error {
		var s syscall.Stat_t
		require.NoError(t, syscall.Stat(path, &s))
		blocks += s.Blocks
		return nil
	}))
	require.Less(t, blocks*512, int64(4<<20))
}

func TestServer_RefusesToCreateWhatExists(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k kind) {
		t.Helper()
		b := setup(t)
		b.put(t, "a", []byte("first"))
		o := b.bucket.Object("a").If(storage.Conditions{DoesNotExist: true})
		requireStatus(t, upload(t.Context(), o, k, random(k.size)), http.StatusPreconditionFailed)
		b.requireContent(t, "a", []byte("first"))
	})
}

func TestServer_ReplacesOnlyTheGenerationThatWasNamed(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k kind) {
		t.Helper()
		b, content := setup(t), random(k.size)
		old := b.put(t, "a", []byte("first"))
		wrong := b.bucket.Object("a").If(storage.Conditions{GenerationMatch: old.Generation + 1})
		requireStatus(t, upload(t.Context(), wrong, k, content), http.StatusPreconditionFailed)
		right := b.bucket.Object("a").If(storage.Conditions{GenerationMatch: old.Generation})
		require.NoError(t, upload(t.Context(), right, k, content))
		b.requireContent(t, "a", content)
	})
}

func TestServer_RefusesContentThatIsNotTheDeclaredOne(t *testing.T) {
	t.Parallel()
	for name, declare := range map[string]func(*storage.Writer){
		"CRC32C": func(w *storage.Writer) { w.SendCRC32C, w.CRC32C = true, 1 },
		"MD5":    func(w *storage.Writer) { w.MD5 = md5Of([]byte("other")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachKind(t, func(t *testing.T, k kind) {
				t.Helper()
				b := setup(t)
				err := upload(t.Context(), b.bucket.Object("a"), k, random(k.size), declare)
				requireStatus(t, err, http.StatusBadRequest)
				b.requireAbsent(t, "a")
			})
		})
	}
}

func TestServer_AcceptsContentThatIsTheDeclaredOne(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k kind) {
		t.Helper()
		b, content := setup(t), random(k.size)
		err := upload(t.Context(), b.bucket.Object("a"), k, content, func(w *storage.Writer) {
			w.SendCRC32C, w.CRC32C, w.MD5 = true, crcOf(content), md5Of(content)
		})
		require.NoError(t, err)
		b.requireContent(t, "a", content)
	})
}

func TestServer_TakesAnUploadThatIsOnlyContent(t *testing.T) {
	t.Parallel()
	b, content := setup(t), random(block+5)
	at := b.url + "/upload/storage/v1/b/files/o?uploadType=media&ifGenerationMatch=0&name=a"
	header := map[string]string{"Content-Type": "text/x-test", "X-Goog-Hash": "crc32c=AAAAAA=="}
	require.Equal(t, http.StatusBadRequest, b.send(t, http.MethodPost, at, header, content).status)
	b.requireAbsent(t, "a")

	header["X-Goog-Hash"] = "crc32c=" + crcText(content)
	require.Equal(t, http.StatusOK, b.send(t, http.MethodPost, at, header, content).status)
	b.requireContent(t, "a", content)
	require.Equal(t, http.StatusPreconditionFailed, b.send(t, http.MethodPost, at, header, content).status)
}

func TestServer_HasOneWinnerOfExclusiveCreates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for key := range 10 {
		var wins atomic.Int32
		var group sync.WaitGroup
		for writer := range 6 {
			group.Go(func() {
				o := b.bucket.Object(strconv.Itoa(key)).If(storage.Conditions{DoesNotExist: true})
				if upload(t.Context(), o, kinds[writer%3], random(2*block+writer)) == nil {
					wins.Add(1)
				}
			})
		}
		group.Wait()
		require.Equal(t, int32(1), wins.Load())
	}
}

func TestServer_ShowsNothingOfAnUploadThatWasAborted(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k kind) {
		t.Helper()
		b := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		w := b.bucket.Object("a").NewWriter(ctx)
		w.ChunkSize = k.chunk
		_, err := w.Write(random(k.size))
		require.NoError(t, err)
		cancel()
		require.Error(t, w.Close())
		b.requireAbsent(t, "a")
	})
}

func TestServer_RefusesAMultipartBodyThatIsNotWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := b.url + "/upload/storage/v1/b/files/o?uploadType=multipart"
	head := "--x\r\nContent-Type: application/json\r\n\r\n{\"name\":\"a\"}\r\n--x\r\nContent-Type: text/plain\r\n\r\n"
	header := map[string]string{"Content-Type": `multipart/related; boundary="x"`}
	for name, tail := range map[string]string{
		"cut in the content":     "cont",
		"cut at a boundary":      "content\r\n--x\r\n",
		"with a third part":      "content\r\n--x\r\n\r\nmore\r\n--x--\r\n",
		"cut before its content": "",
	} {
		a := b.send(t, http.MethodPost, at, header, []byte(head+tail))
		require.GreaterOrEqual(t, a.status, 400, name)
		b.requireAbsent(t, "a")
	}
	a := b.send(t, http.MethodPost, at, header, []byte(head+"content\r\n--x--\r\n"))
	require.Equal(t, http.StatusOK, a.status)
	b.requireContent(t, "a", []byte("content"))
}

func TestServer_KeepsNoDraftOfWhatItRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, k := range kinds {
		err := upload(t.Context(), b.bucket.Object("a"), k, random(k.size), func(w *storage.Writer) {
			w.SendCRC32C, w.CRC32C = true, 1
		})
		require.Error(t, err)
	}
	requireNoDrafts(t, b.dir)
}

func TestServer_RefusesNamesThatCloudStorageRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, name := range []string{".", "..", "a\nb", string(bytes.Repeat([]byte("n"), 1025)), "\xff"} {
		at := b.url + "/upload/storage/v1/b/files/o?uploadType=media&name=" + escape(name)
		require.Equal(t, http.StatusBadRequest, b.send(t, http.MethodPost, at, nil, nil).status, "%q", name)
	}
	for _, name := range []string{"A", "a", "../x", "a..b", "a/b"} {
		require.Error(t, b.emu.CreateBucket(name))
	}
}
