package gcsemu_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/require"
)

func escape(s string) string { return url.QueryEscape(s) }

func requireNoDrafts(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(dir, "drafts"))
	require.NoError(t, err)
	require.Empty(t, files)
}

func TestServer_TellsHowFarAnUploadGot(t *testing.T) {
	t.Parallel()
	b, content := setup(t), random(3*block)
	u := b.session(t, "a", nil)
	for _, question := range []string{"bytes */*", fmt.Sprintf("bytes */%d", len(content))} {
		a := b.chunk(t, u, question, nil)
		require.Equal(t, http.StatusPermanentRedirect, a.status)
		require.Empty(t, a.header.Get("Range"))
	}
	a := b.chunk(t, u, fmt.Sprintf("bytes 0-%d/*", 2*block-1), content[:2*block])
	require.Equal(t, http.StatusPermanentRedirect, a.status)
	for _, question := range []string{"bytes */*", fmt.Sprintf("bytes */%d", len(content))} {
		a = b.chunk(t, u, question, nil)
		require.Equal(t, http.StatusPermanentRedirect, a.status)
		require.Equal(t, fmt.Sprintf("bytes=0-%d", 2*block-1), a.header.Get("Range"))
	}
	b.requireAbsent(t, "a")

	a = b.chunk(t, u, fmt.Sprintf("bytes %d-%d/%d", 2*block, 3*block-1, 3*block), content[2*block:])
	require.Equal(t, http.StatusOK, a.status)
	b.requireContent(t, "a", content)
	again := b.chunk(t, u, "bytes */*", nil)
	require.Equal(t, http.StatusOK, again.status)
	require.Equal(t, a.object(t)["generation"], again.object(t)["generation"])
}

func TestServer_TellsProgressWithout308WhenAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.send(t, http.MethodPut, b.session(t, "a", nil), map[string]string{
		"Content-Range": "bytes */*", "X-GUploader-No-308": "yes",
	}, nil)
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "308", a.header.Get("X-Http-Status-Code-Override"))
}

func TestServer_EndsAnUploadWithAnEmptyLastChunk(t *testing.T) {
	t.Parallel()
	b, content := setup(t), random(2*block)
	u := b.session(t, "a", nil)
	b.chunk(t, u, fmt.Sprintf("bytes 0-%d/*", 2*block-1), content)
	require.Equal(t, http.StatusOK, b.chunk(t, u, fmt.Sprintf("bytes */%d", 2*block), nil).status)
	b.requireContent(t, "a", content)
}

func TestServer_RefusesAChunkThatIsNotAMultipleOf256KiB(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.session(t, "a", nil)
	require.Equal(t, http.StatusBadRequest, b.chunk(t, u, "bytes 0-99999/*", random(100000)).status)
	require.Equal(t, http.StatusBadRequest, b.chunk(t, u, "bytes 0-99999/200000", random(100000)).status)
	require.Empty(t, b.chunk(t, u, "bytes */*", nil).header.Get("Range"))
}

func TestServer_RefusesAContentRangeThatDoesNotFit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.session(t, "a", map[string]string{"X-Upload-Content-Length": "100"})
	for _, header := range []string{
		"bytes", "bytes 0-", "bytes 9-0/10", "bytes 0-9/5", "bytes 0-9/x", "items 0-9/10", "bytes -1-9/10",
		"bytes 0-8/9", "bytes 0-9/10", "bytes 0-99999999999999999999/*",
	} {
		require.Equal(t, http.StatusBadRequest, b.chunk(t, u, header, random(10)).status, header)
	}
	gap := fmt.Sprintf("bytes %d-%d/*", block, 2*block-1)
	require.Equal(t, http.StatusServiceUnavailable, b.chunk(t, b.session(t, "a", nil), gap, random(block)).status)
	b.requireAbsent(t, "a")
}

func TestServer_TakesAChunkThatIsSentAgainOnce(t *testing.T) {
	t.Parallel()
	b, content := setup(t), random(4*block)
	u := b.session(t, "a", nil)
	first := fmt.Sprintf("bytes 0-%d/*", block-1)
	b.chunk(t, u, first, content[:block])
	a := b.chunk(t, u, first, content[:block])
	require.Equal(t, fmt.Sprintf("bytes=0-%d", block-1), a.header.Get("Range"))
	overlap := fmt.Sprintf("bytes 0-%d/*", 3*block-1)
	a = b.chunk(t, u, overlap, content[:3*block])
	require.Equal(t, fmt.Sprintf("bytes=0-%d", 3*block-1), a.header.Get("Range"))
	last := fmt.Sprintf("bytes %d-%d/%d", 3*block, 4*block-1, 4*block)
	require.Equal(t, http.StatusOK, b.chunk(t, u, last, content[3*block:]).status)
	require.Equal(t, http.StatusOK, b.chunk(t, u, last, content[3*block:]).status)
	b.requireContent(t, "a", content)
}

func TestServer_AppendsNothingTwiceWhenTheAnswerIsLost(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]string{
		"of the first chunk": "bytes 0-",
		"of the last chunk":  fmt.Sprintf("bytes %d-", 3*block),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, content := setup(t), random(4*block-1)
			var faults atomic.Int32
			b.emu.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.Header.Get("Content-Range"), lost) && faults.Add(1) == 1 {
					b.emu.LoseAnswer(w, r)
					return true
				}
				return false
			})
			o := b.bucket.Object("a").If(storage.Conditions{DoesNotExist: true})
			require.NoError(t, upload(t.Context(), o, kind{chunk: block}, content))
			require.Equal(t, int32(2), faults.Load())
			b.requireContent(t, "a", content)
		})
	}
}

func TestServer_LosesTheAnswerOfACreateThatHappened(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var faults atomic.Int32
	b.emu.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && faults.Add(1) == 1 {
			b.emu.LoseAnswer(w, r)
			return true
		}
		return false
	})
	o := b.bucket.Object("a").If(storage.Conditions{DoesNotExist: true})
	requireStatus(t, upload(t.Context(), o, kinds[0], []byte("mine")), http.StatusPreconditionFailed)
	b.requireContent(t, "a", []byte("mine"))
}

// brokenBody is a body whose connection drops after some bytes.
type brokenBody struct {
	io.Reader
	io.Closer
}

func breakAfter(r *http.Request, n int64) {
	rest := io.MultiReader(io.LimitReader(r.Body, n), errReader{})
	r.Body = brokenBody{rest, r.Body}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestServer_KeepsWholeBlocksWhenTheConnectionDrops(t *testing.T) {
	t.Parallel()
	b, content := setup(t), random(4*block)
	u := b.session(t, "a", nil)
	b.emu.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		breakAfter(r, 2*block+1000)
		return false
	})
	whole := fmt.Sprintf("bytes 0-%d/%d", 4*block-1, 4*block)
	require.Equal(t, http.StatusServiceUnavailable, b.chunk(t, u, whole, content).status)
	b.emu.SetFault(nil)
	a := b.chunk(t, u, "bytes */*", nil)
	require.Equal(t, fmt.Sprintf("bytes=0-%d", 2*block-1), a.header.Get("Range"))
	rest := fmt.Sprintf("bytes %d-%d/%d", 2*block, 4*block-1, 4*block)
	a = b.chunk(t, u, rest, content[2*block:])
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, crcText(content), a.object(t)["crc32c"])
	b.requireContent(t, "a", content)
}

func TestServer_LetsTheClientGoOnAfterADroppedConnection(t *testing.T) {
	t.Parallel()
	b, content := setup(t), random(8*block+9)
	var requests atomic.Int32
	b.emu.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Content-Range") != "" && requests.Add(1)%2 == 1 {
			breakAfter(r, block+1000)
		}
		return false
	})
	o := b.bucket.Object("a").If(storage.Conditions{DoesNotExist: true})
	require.NoError(t, upload(t.Context(), o, kind{chunk: 4 * block}, content))
	b.requireContent(t, "a", content)
}

func TestServer_LetsTheClientGoOnAfterAStalledConnection(t *testing.T) {
	t.Parallel()
	b, content := setup(t), random(3*block+9)
	var requests atomic.Int32
	b.emu.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Content-Range") == "" || requests.Add(1) != 2 {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client hangs up
		<-r.Context().Done()
		return true
	})
	o := b.bucket.Object("a").If(storage.Conditions{DoesNotExist: true})
	err := upload(t.Context(), o, kind{chunk: block}, content, func(w *storage.Writer) {
		w.ChunkTransferTimeout = 300 * time.Millisecond
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, requests.Load(), int32(5))
	b.requireContent(t, "a", content)
}

func TestServer_TakesNoShortBodyForAWholeOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.emu.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		r.ContentLength = -1 // as when the body comes in pieces of its own length
		breakAfter(r, 10)
		return false
	})
	at := b.url + "/upload/storage/v1/b/files/o?uploadType=media&name=a"
	require.Equal(t, http.StatusServiceUnavailable, b.send(t, http.MethodPost, at, nil, random(100)).status)
	b.emu.SetFault(nil)
	b.requireAbsent(t, "a")
	requireNoDrafts(t, b.dir)
}

func TestServer_ChecksTheHashOfTheLastChunk(t *testing.T) {
	t.Parallel()
	for name, sum := range map[string]string{"CRC32C": "crc32c=AAAAAA==", "MD5": "crc32c=%s,md5=AAAA"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, content := setup(t), random(block+1)
			u := b.session(t, "a", nil)
			b.chunk(t, u, fmt.Sprintf("bytes 0-%d/*", block-1), content[:block])
			header := map[string]string{
				"Content-Range": fmt.Sprintf("bytes %d-%d/%d", block, block, block+1),
				"X-Goog-Hash":   strings.Replace(sum, "%s", crcText(content), 1),
			}
			require.Equal(t, http.StatusBadRequest, b.send(t, http.MethodPut, u, header, content[block:]).status)
			b.requireAbsent(t, "a")
			again := b.send(t, http.MethodPut, u, header, content[block:])
			require.Equal(t, http.StatusBadRequest, again.status, "the outcome must stay")
			requireNoDrafts(t, b.dir)
		})
	}
}

func TestServer_ForgetsASessionThatWasCancelled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.session(t, "a", nil)
	b.chunk(t, u, fmt.Sprintf("bytes 0-%d/*", block-1), random(block))
	require.Equal(t, 499, b.send(t, http.MethodDelete, u, nil, nil).status)
	require.Equal(t, http.StatusNotFound, b.chunk(t, u, "bytes */*", nil).status)
	requireNoDrafts(t, b.dir)
	b.requireAbsent(t, "a")
}

func TestServer_ChecksThePreconditionAgainAtTheEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := b.url + "/upload/storage/v1/b/files/o?uploadType=resumable&ifGenerationMatch=0&name=a"
	u := b.send(t, http.MethodPost, at, nil, nil).header.Get("Location")
	b.put(t, "a", []byte("first"))
	require.Equal(t, http.StatusPreconditionFailed, b.chunk(t, u, "bytes 0-9/10", random(10)).status)
	b.requireContent(t, "a", []byte("first"))
	requireNoDrafts(t, b.dir)
}

func TestServer_StallsOnlyTheUploadThatIsSlow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body, feed := io.Pipe()
	at := b.url + "/upload/storage/v1/b/files/o?uploadType=media&name=slow"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, body)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		res, err := b.http.Do(req)
		if err == nil {
			err = res.Body.Close()
		}
		done <- err
	}()
	_, err = feed.Write(random(1000))
	require.NoError(t, err)
	b.put(t, "quick", []byte("quick"))
	b.requireContent(t, "quick", []byte("quick"))
	b.requireAbsent(t, "slow")
	require.NoError(t, feed.CloseWithError(errors.New("gone")))
	require.Error(t, <-done)
	b.requireAbsent(t, "slow")
}

func TestServer_ForgetsSessionsThatNobodyComesBackTo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	idle, ended := b.session(t, "idle", nil), b.session(t, "ended", nil)
	require.Equal(t, http.StatusOK, b.chunk(t, ended, "bytes 0-9/10", random(10)).status)

	b.emu.SetClock(func() time.Time { return time.Now().Add(2 * time.Hour) })
	live := b.session(t, "live", nil)
	require.Equal(t, http.StatusNotFound, b.chunk(t, ended, "bytes */*", nil).status)
	require.Equal(t, http.StatusPermanentRedirect, b.chunk(t, live, "bytes */*", nil).status)

	b.emu.SetClock(func() time.Time { return time.Now().Add(8 * 24 * time.Hour) })
	b.session(t, "newer", nil)
	require.Equal(t, http.StatusNotFound, b.chunk(t, idle, "bytes */*", nil).status)
}
