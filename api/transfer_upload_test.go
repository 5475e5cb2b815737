package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func md5Hex(b []byte) string    { s := md5.Sum(b); return hex.EncodeToString(s[:]) }
func sha256Hex(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

func TestUpload_PublishesAFileOfAnySize(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, size := range []int{0, 1, 1 << 20, 5<<20 + 3} {
		content := bytes.Repeat([]byte{7}, size)
		id := b.initialize(func(d map[string]any) {
			d["checksum"], d["sha256"] = md5Hex(content), sha256Hex(content)
		})
		var out contract.FileUploaded
		b.upload(id, content).is(http.StatusOK, "").json(&out)
		require.Equal(t, contract.FileTransferStatusPublished, out.FileTransferStatus)
		o := b.overview(bob, id)
		require.Equal(t, int64(size), o.FileTransferSize)
		require.Equal(t, md5Hex(content), *o.Checksum)
		require.Equal(t, sha256Hex(content), *o.Sha256)
		require.NotNil(t, o.Published)
	}
}

func TestUpload_TakesABodyOfUnknownLength(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	body := io.MultiReader(strings.NewReader("hello, "), strings.NewReader("world")) // no Content-Length: chunked
	b.do(b.request(alice, "POST", "/filetransfer/"+id+"/upload", body, "Content-Type", "application/octet-stream")).is(http.StatusOK, "")
	require.Equal(t, "hello, world", string(b.call(bob, "GET", "/filetransfer/"+id+"/download", "").body))
}

// Reference weakness 12: the size limit held for Content-Length only.
func TestWeakness12_TheSizeLimitHoldsForWhatArrives(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ok(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
	id := b.initialize()
	upload := "/filetransfer/" + id + "/upload"
	announced := b.upload(id, make([]byte, 1001)).is(http.StatusBadRequest, "BRO-00016").problem()
	require.Equal(t, int64(1000), *announced.Limit)
	require.Equal(t, int64(1001), *announced.Actual)
	chunked := b.do(b.request(alice, "POST", upload, io.LimitReader(zeros{}, 5_000_000), "Content-Type", "application/octet-stream"))
	require.Equal(t, int64(1000), *chunked.is(http.StatusBadRequest, "BRO-00016").problem().Limit)
	require.Empty(t, b.stored(), "nothing stays behind")
	require.Equal(t, contract.FileTransferStatusUploadStarted, b.overview(alice, id).FileTransferStatus)
	b.upload(id, make([]byte, 1000)).is(http.StatusOK, "")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Reference weakness 14, and 2.2: a mismatch fails the transfer, removes the file and tells the sender.
func TestUpload_OfOtherContentThanDeclaredFailsTheTransfer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, field := range []string{"checksum", "sha256"} {
		id := b.initialize(func(d map[string]any) {
			d["checksum"] = md5Hex([]byte("other"))
			if field == "sha256" {
				d["checksum"], d["sha256"] = md5Hex([]byte("this")), sha256Hex([]byte("other"))
			}
		})
		b.upload(id, []byte("this")).is(http.StatusBadRequest, "BRO-00009")
		o := b.overview(alice, id)
		require.Equal(t, contract.FileTransferStatusFailed, o.FileTransferStatus)
		require.Equal(t, "Checksum mismatch", o.FileTransferStatusText)
		b.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusForbidden, "BRO-00007")
		b.upload(id, []byte("other")).is(http.StatusConflict, "BRO-00004")
	}
	id := b.initialize(func(d map[string]any) { d["checksum"] = md5Hex([]byte("other")) })
	for range 2 { // the first answer is repeated
		b.upload(id, []byte("this"), "Idempotency-Key", "u").is(http.StatusBadRequest, "BRO-00009")
	}
	require.Empty(t, b.stored())
}

func TestUpload_ByAClientThatVanishesMayBeRepeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	for _, head := range []string{"Content-Length: 1000\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST %s/filetransfer/%s/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/octet-stream\r\n%s", base, id, b.token(alice), head)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			return b.overview(alice, id).FileTransferStatus == contract.FileTransferStatusUploadStarted
		}, 5*time.Second, 10*time.Millisecond)
		require.NoError(t, conn.Close())
	}
	b.upload(id, []byte("whole")).is(http.StatusOK, "")
	require.Eventually(t, func() bool { return len(b.stored()) == 1 }, 5*time.Second, 10*time.Millisecond, "of the halves nothing stays")
}

// Reference weakness 4, at the border: both uploads end before the other is known.
func TestWeakness4_OfManyUploadsAtOnceOneWins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	var wg sync.WaitGroup
	statuses := make([]int, 6)
	for i := range statuses {
		wg.Go(func() { statuses[i] = b.upload(id, bytes.Repeat([]byte{byte(i)}, 100_000)).StatusCode })
	}
	wg.Wait()
	won := -1
	for i, s := range statuses {
		if s == http.StatusOK {
			require.Equal(t, -1, won, "one wins: %v", statuses)
			won = i
			continue
		}
		require.Equal(t, http.StatusConflict, s)
	}
	require.NotEqual(t, -1, won)
	require.Equal(t, bytes.Repeat([]byte{byte(won)}, 100_000), b.call(bob, "GET", "/filetransfer/"+id+"/download", "").body)
	require.Len(t, b.stored(), 1, "the losers' bytes are gone")
}

// The same while the workflow is silent: a 200 must not be promised to two.
func TestWeakness4_OfTwoUploadsOneWinsWhileNobodyAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.door.silent = true
	id := b.initialize()
	slow, rest := io.Pipe()
	loser := b.request(alice, "POST", "/filetransfer/"+id+"/upload", slow, "Content-Type", "application/octet-stream")
	status := make(chan int)
	go func() { status <- b.do(loser).StatusCode }()
	_, err := rest.Write([]byte("half"))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return b.overview(alice, id).FileTransferStatus == contract.FileTransferStatusUploadStarted
	}, 5*time.Second, 10*time.Millisecond)
	b.upload(id, []byte("first")).is(http.StatusOK, "")
	require.NoError(t, rest.Close())
	require.Equal(t, http.StatusConflict, <-status)
	require.Len(t, b.stored(), 1)
}

func TestUpload_WithTheSameKeyIsAnsweredAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	b.upload(id, []byte("x"), "Idempotency-Key", "u-1").is(http.StatusOK, "")
	b.upload(id, []byte("x"), "Idempotency-Key", "u-1").is(http.StatusOK, "")
	b.upload(id, []byte("x"), "Idempotency-Key", "u-2").is(http.StatusConflict, "BRO-00004")
	b.upload(id, []byte("x")).is(http.StatusConflict, "BRO-00004")
	require.Len(t, b.stored(), 1)
}

// A client that gave up waiting sends again while its first try still runs.
func TestUpload_ThatMeetsItsOwnFirstTryIsAnsweredAsThat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for key, want := range map[string]int{"u-1": http.StatusOK, "u-2": http.StatusConflict} {
		id := b.initialize()
		slow, rest := io.Pipe()
		first := b.request(alice, "POST", "/filetransfer/"+id+"/upload", slow, "Content-Type", "application/octet-stream", "Idempotency-Key", key)
		status := make(chan int)
		go func() { status <- b.do(first).StatusCode }()
		_, err := rest.Write([]byte("x"))
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			return b.overview(alice, id).FileTransferStatus == contract.FileTransferStatusUploadStarted
		}, 5*time.Second, 10*time.Millisecond)
		b.upload(id, []byte("x"), "Idempotency-Key", "u-1").is(http.StatusOK, "")
		require.NoError(t, rest.Close())
		require.Equal(t, want, <-status, key)
		left, err := filepath.Glob(filepath.Join(b.files, "ft", id, "*"))
		require.NoError(t, err)
		require.Len(t, left, 1)
	}
}

func TestForms_AtOnceWithOneKeyMakeOneTransfer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var wg sync.WaitGroup
	statuses := make([]int, 6)
	for i := range statuses {
		wg.Go(func() { statuses[i] = b.form(formParts(), "Idempotency-Key", "f").StatusCode })
	}
	wg.Wait()
	require.Equal(t, []int{200, 200, 200, 200, 200, 200}, statuses)
	require.Len(t, b.stored(), 1)
}

func TestUpload_WhoseWorkflowWasNotToldIsNotSentTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	b.door.silent = true
	var out contract.FileUploaded
	b.upload(id, []byte("x"), "Idempotency-Key", "u-1").is(http.StatusOK, "").json(&out)
	require.Equal(t, contract.FileTransferStatusUploadProcessing, out.FileTransferStatus)
	require.Equal(t, contract.FileTransferStatusUploadProcessing, b.overview(alice, id).FileTransferStatus)
	b.door.silent = false
	b.upload(id, nil, "Idempotency-Key", "u-1").is(http.StatusOK, "").json(&out) // the body is not needed again
	require.Equal(t, contract.FileTransferStatusPublished, out.FileTransferStatus)
	require.Equal(t, int64(1), b.overview(alice, id).FileTransferSize)
}

func TestUpload_IsRefusedBeforeItsBodyIsRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ok(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
	id := b.initialize()
	r := b.request(alice, "POST", "/filetransfer/"+id+"/upload", mustNotRead{t}, "Content-Type", "application/octet-stream", "Expect", "100-continue")
	r.ContentLength = 1 << 30
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	response, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusBadRequest, response.StatusCode)
}

type mustNotRead struct{ t *testing.T }

func (m mustNotRead) Read([]byte) (int, error) {
	m.t.Error("the body was asked for")
	return 0, errors.New("not to be read")
}

func TestUpload_IsRefusedWhenAllSlotsAreTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range b.server.UploadSlots {
		_, err := b.server.uploads.take(models.Party(fmt.Sprint("0192:other", i)))
		require.NoError(t, err)
	}
	a := b.upload(b.initialize(), []byte("x")).is(http.StatusServiceUnavailable, "FMD-00007")
	require.NotEmpty(t, a.Header.Get("Retry-After"))
}

// failingContents breaks as it is told.
type failingContents struct {
	Contents
	put error
}

func (f failingContents) Put(ctx context.Context, key string, body io.Reader, limit int64, _ ...models.Hash) (models.Content, error) {
	_, err := io.Copy(io.Discard, body)
	return models.Content{}, errors.Join(err, f.put)
}

func TestUpload_SaysWhatStorageLacks(t *testing.T) {
	t.Parallel()
	for status, tc := range map[int]struct {
		err  error
		code string
	}{
		http.StatusInsufficientStorage: {models.ErrStorageFull, "FMD-00003"},
		http.StatusServiceUnavailable:  {models.ErrUnavailable, "FMD-00002"},
		http.StatusInternalServerError: {errors.New("a secret of the disk"), "BRO-00008"},
	} {
		b := setup(t, func(s *Server) { s.Contents = failingContents{s.Contents, tc.err} })
		id := b.initialize()
		a := b.upload(id, []byte("x")).is(status, tc.code)
		require.NotContains(t, string(a.body), "secret")
		require.Equal(t, contract.FileTransferStatusUploadStarted, b.overview(alice, id).FileTransferStatus, "it may be sent again")
	}
}

// connection is a response writer that notes the deadline of its reads.
type connection struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (c *connection) SetReadDeadline(t time.Time) error { c.deadline = t; return nil }

func TestRequests_WhoseBodyDoesNotComeAreNotWaitedForLong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	handler, err := b.server.Handler()
	require.NoError(t, err)
	for path, body := range map[string]io.Reader{
		base + "/filetransfer": strings.NewReader("{"), // without a token
		"/nowhere":             io.MultiReader(),       // chunked
		"/livez":               strings.NewReader("x"),
	} {
		c := &connection{ResponseRecorder: httptest.NewRecorder()}
		handler.ServeHTTP(c, httptest.NewRequestWithContext(t.Context(), "POST", path, body))
		require.WithinDuration(t, time.Now().Add(ReadPatience), c.deadline, 10*time.Second, path)
	}
	c := &connection{ResponseRecorder: httptest.NewRecorder()}
	handler.ServeHTTP(c, httptest.NewRequestWithContext(t.Context(), "GET", "/livez", nil))
	require.True(t, c.deadline.IsZero(), "what has no body has as long as it takes")
}

// When the deadline of the last read rang during the commit, net/http took the client for gone.
func TestUpload_HasAsLongAsItTakesOnceTheBodyIsIn(t *testing.T) {
	t.Parallel()
	c := &connection{ResponseRecorder: httptest.NewRecorder()}
	body := &patientBody{body: strings.NewReader("x"), connect: http.NewResponseController(c)}
	_, err := body.Read(make([]byte, 1))
	require.NoError(t, err)
	require.False(t, c.deadline.IsZero())
	_, err = body.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.True(t, c.deadline.IsZero())
}

func TestUpload_RefusesOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	upload := "/filetransfer/" + id + "/upload"
	b.call(bob, "POST", upload, "x", "Content-Type", "application/octet-stream").is(http.StatusUnauthorized, "BRO-00006")
	b.call(mallory, "POST", upload, "x", "Content-Type", "application/octet-stream").is(http.StatusNotFound, "BRO-00001")
	b.call(alice, "POST", upload, "x", "Content-Type", "text/plain").is(http.StatusUnsupportedMediaType, "")
	b.call(alice, "POST", "/filetransfer/"+uuid.NewString()+"/upload", "x", "Content-Type", "application/octet-stream").is(http.StatusNotFound, "BRO-00001")
}

// deafStore takes a whole body, and then finds that its caller has gone.
type deafStore struct{ Contents }

func (deafStore) Put(ctx context.Context, _ string, body io.Reader, _ int64, _ ...models.Hash) (models.Content, error) {
	_, _ = io.Copy(io.Discard, body)
	<-ctx.Done()
	return models.Content{}, ctx.Err()
}

func TestUpload_ByAClientThatClosedItsHalfIsNeverTakenForDone(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) { s.Contents = deafStore{s.Contents} })
	id := b.initialize()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = fmt.Fprintf(conn, "POST %s/filetransfer/%s/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 3\r\n\r\nabc", base, id, b.token(alice))
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, statusClientGone, answer.StatusCode)
}
