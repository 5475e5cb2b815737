package api_test

import (
	"bufio"
	"bytes"
	"context"
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

	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/bytepath"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func TestUpload_PublishesAFileOfAnySize(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for _, size := range []int{0, 1, 1 << 20, 5<<20 + 3} {
		content := bytes.Repeat([]byte{7}, size)
		id := b.Initialize(func(d map[string]any) {
			d["checksum"], d["sha256"] = apitest.MD5Hex(content), apitest.SHA256Hex(content)
		})
		var out contract.FileUploaded
		b.Upload(id, content).Is(http.StatusOK, "").JSON(&out)
		require.Equal(t, contract.FileTransferStatusPublished, out.FileTransferStatus)
		o := b.Overview(bob, id)
		require.Equal(t, int64(size), o.FileTransferSize)
		require.Equal(t, apitest.MD5Hex(content), *o.Checksum)
		require.Equal(t, apitest.SHA256Hex(content), *o.Sha256)
		require.NotNil(t, o.Published)
	}
}

func TestUpload_TakesABodyOfUnknownLength(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	body := io.MultiReader(strings.NewReader("hello, "), strings.NewReader("world")) // no Content-Length: chunked
	b.Do(b.Request(alice, "POST", "/filetransfer/"+id+"/upload", body, "Content-Type", "application/octet-stream")).Is(http.StatusOK, "")
	require.Equal(t, "hello, world", string(b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Raw))
}

// Weakness 12 (docs/reference/altinn-broker.md 3): the size limit held for Content-Length only.
func TestWeakness12_TheSizeLimitHoldsForWhatArrives(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.OK(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
	id := b.Initialize()
	upload := "/filetransfer/" + id + "/upload"
	announced := b.Upload(id, make([]byte, 1001)).Is(http.StatusBadRequest, "BRO-00016").Problem()
	require.Equal(t, int64(1000), *announced.Limit)
	require.Equal(t, int64(1001), *announced.Actual)
	chunked := b.Do(b.Request(alice, "POST", upload, io.LimitReader(apitest.Zeros{}, 5_000_000), "Content-Type", "application/octet-stream"))
	require.Equal(t, int64(1000), *chunked.Is(http.StatusBadRequest, "BRO-00016").Problem().Limit)
	require.Empty(t, b.Stored(), "nothing stays behind")
	require.Equal(t, contract.FileTransferStatusUploadStarted, b.Overview(alice, id).FileTransferStatus)
	b.Upload(id, make([]byte, 1000)).Is(http.StatusOK, "")
}

// Weakness 14 (docs/reference/altinn-broker.md 3; also 2.2): a mismatch fails the transfer, removes the file and tells the sender.
func TestUpload_OfOtherContentThanDeclaredFailsTheTransfer(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for _, field := range []string{"checksum", "sha256"} {
		id := b.Initialize(func(d map[string]any) {
			d["checksum"] = apitest.MD5Hex([]byte("other"))
			if field == "sha256" {
				d["checksum"], d["sha256"] = apitest.MD5Hex([]byte("this")), apitest.SHA256Hex([]byte("other"))
			}
		})
		b.Upload(id, []byte("this")).Is(http.StatusBadRequest, "BRO-00009")
		o := b.Overview(alice, id)
		require.Equal(t, contract.FileTransferStatusFailed, o.FileTransferStatus)
		require.Equal(t, "Checksum mismatch", o.FileTransferStatusText)
		b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(http.StatusForbidden, "BRO-00007")
		b.Upload(id, []byte("other")).Is(http.StatusConflict, "BRO-00004")
	}
	id := b.Initialize(func(d map[string]any) { d["checksum"] = apitest.MD5Hex([]byte("other")) })
	for range 2 { // the first answer is repeated
		b.Upload(id, []byte("this"), "Idempotency-Key", "u").Is(http.StatusBadRequest, "BRO-00009")
	}
	require.Empty(t, b.Stored())
}

func TestUpload_ByAClientThatVanishesMayBeRepeated(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	for _, head := range []string{"Content-Length: 1000\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(b.URL, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST %s/filetransfer/%s/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/octet-stream\r\n%s", base, id, b.Token(alice), head)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			return b.Overview(alice, id).FileTransferStatus == contract.FileTransferStatusUploadStarted
		}, 5*time.Second, 10*time.Millisecond)
		require.NoError(t, conn.Close())
	}
	b.Upload(id, []byte("whole")).Is(http.StatusOK, "")
	require.Eventually(t, func() bool { return len(b.Stored()) == 1 }, 5*time.Second, 10*time.Millisecond, "of the halves nothing stays")
}

// Weakness 4 (docs/reference/altinn-broker.md 3), at the border: both uploads end before the other is known.
func TestWeakness4_OfManyUploadsAtOnceOneWins(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	var wg sync.WaitGroup
	statuses := make([]int, 6)
	for i := range statuses {
		wg.Go(func() { statuses[i] = b.Upload(id, bytes.Repeat([]byte{byte(i)}, 100_000)).StatusCode })
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
	require.Equal(t, bytes.Repeat([]byte{byte(won)}, 100_000), b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Raw)
	require.Len(t, b.Stored(), 1, "the losers' bytes are gone")
}

// The same while the workflow is silent: a 200 must not be promised to two.
func TestWeakness4_OfTwoUploadsOneWinsWhileNobodyAnswers(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Workflows.Silent = true
	id := b.Initialize()
	slow, rest := io.Pipe()
	loser := b.Request(alice, "POST", "/filetransfer/"+id+"/upload", slow, "Content-Type", "application/octet-stream")
	status := make(chan int)
	go func() { status <- b.Do(loser).StatusCode }()
	_, err := rest.Write([]byte("half"))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return b.Overview(alice, id).FileTransferStatus == contract.FileTransferStatusUploadStarted
	}, 5*time.Second, 10*time.Millisecond)
	b.Upload(id, []byte("first")).Is(http.StatusOK, "")
	require.NoError(t, rest.Close())
	require.Equal(t, http.StatusConflict, <-status)
	require.Len(t, b.Stored(), 1)
}

func TestUpload_WithTheSameKeyIsAnsweredAgain(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	b.Upload(id, []byte("x"), "Idempotency-Key", "u-1").Is(http.StatusOK, "")
	b.Upload(id, []byte("x"), "Idempotency-Key", "u-1").Is(http.StatusOK, "")
	b.Upload(id, []byte("x"), "Idempotency-Key", "u-2").Is(http.StatusConflict, "BRO-00004")
	b.Upload(id, []byte("x")).Is(http.StatusConflict, "BRO-00004")
	require.Len(t, b.Stored(), 1)
}

// A client that gave up waiting sends again while its first try still runs.
func TestUpload_ThatMeetsItsOwnFirstTryIsAnsweredAsThat(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for key, want := range map[string]int{"u-1": http.StatusOK, "u-2": http.StatusConflict} {
		id := b.Initialize()
		slow, rest := io.Pipe()
		first := b.Request(alice, "POST", "/filetransfer/"+id+"/upload", slow, "Content-Type", "application/octet-stream", "Idempotency-Key", key)
		status := make(chan int)
		go func() { status <- b.Do(first).StatusCode }()
		_, err := rest.Write([]byte("x"))
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			return b.Overview(alice, id).FileTransferStatus == contract.FileTransferStatusUploadStarted
		}, 5*time.Second, 10*time.Millisecond)
		b.Upload(id, []byte("x"), "Idempotency-Key", "u-1").Is(http.StatusOK, "")
		require.NoError(t, rest.Close())
		require.Equal(t, want, <-status, key)
		left, err := filepath.Glob(filepath.Join(b.Files, "ft", id, "*"))
		require.NoError(t, err)
		require.Len(t, left, 1)
	}
}

func TestForms_AtOnceWithOneKeyMakeOneTransfer(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	var wg sync.WaitGroup
	statuses := make([]int, 6)
	for i := range statuses {
		wg.Go(func() { statuses[i] = b.Form(apitest.FormParts(), "Idempotency-Key", "f").StatusCode })
	}
	wg.Wait()
	require.Equal(t, []int{200, 200, 200, 200, 200, 200}, statuses)
	require.Len(t, b.Stored(), 1)
}

func TestUpload_WhoseWorkflowWasNotToldIsNotSentTwice(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	b.Workflows.Silent = true
	var out contract.FileUploaded
	b.Upload(id, []byte("x"), "Idempotency-Key", "u-1").Is(http.StatusOK, "").JSON(&out)
	require.Equal(t, contract.FileTransferStatusUploadProcessing, out.FileTransferStatus)
	require.Equal(t, contract.FileTransferStatusUploadProcessing, b.Overview(alice, id).FileTransferStatus)
	b.Workflows.Silent = false
	b.Upload(id, nil, "Idempotency-Key", "u-1").Is(http.StatusOK, "").JSON(&out) // the body is not needed again
	require.Equal(t, contract.FileTransferStatusPublished, out.FileTransferStatus)
	require.Equal(t, int64(1), b.Overview(alice, id).FileTransferSize)
}

func TestUpload_IsRefusedBeforeItsBodyIsRead(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.OK(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
	id := b.Initialize()
	r := b.Request(alice, "POST", "/filetransfer/"+id+"/upload", mustNotRead{t}, "Content-Type", "application/octet-stream", "Expect", "100-continue")
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
	b := apitest.Setup(t)
	for i := range b.Server.UploadSlots {
		_, err := b.Server.Slots.Take(models.Party(fmt.Sprint("0192:other", i)))
		require.NoError(t, err)
	}
	a := b.Upload(b.Initialize(), []byte("x")).Is(http.StatusServiceUnavailable, "FMD-00007")
	require.NotEmpty(t, a.Header.Get("Retry-After"))
}

// failingContents breaks as it is told.
type failingContents struct {
	api.Contents
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
		b := apitest.Setup(t, func(s *apitest.Config) { s.Contents = failingContents{s.Contents, tc.err} })
		id := b.Initialize()
		a := b.Upload(id, []byte("x")).Is(status, tc.code)
		require.NotContains(t, string(a.Raw), "secret")
		require.Equal(t, contract.FileTransferStatusUploadStarted, b.Overview(alice, id).FileTransferStatus, "it may be sent again")
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
	b := apitest.Setup(t)
	handler, err := b.Server.Handler()
	require.NoError(t, err)
	for path, body := range map[string]io.Reader{
		base + "/filetransfer": strings.NewReader("{"), // without a token
		"/nowhere":             io.MultiReader(),       // chunked
		"/livez":               strings.NewReader("x"),
	} {
		c := &connection{ResponseRecorder: httptest.NewRecorder()}
		handler.ServeHTTP(c, httptest.NewRequestWithContext(t.Context(), "POST", path, body))
		require.WithinDuration(t, time.Now().Add(bytepath.ReadPatience), c.deadline, 10*time.Second, path)
	}
	c := &connection{ResponseRecorder: httptest.NewRecorder()}
	handler.ServeHTTP(c, httptest.NewRequestWithContext(t.Context(), "GET", "/livez", nil))
	require.True(t, c.deadline.IsZero(), "what has no body has as long as it takes")
}

func TestUpload_RefusesOthers(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	upload := "/filetransfer/" + id + "/upload"
	b.Call(bob, "POST", upload, "x", "Content-Type", "application/octet-stream").Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(mallory, "POST", upload, "x", "Content-Type", "application/octet-stream").Is(http.StatusNotFound, "BRO-00001")
	b.Call(alice, "POST", upload, "x", "Content-Type", "text/plain").Is(http.StatusUnsupportedMediaType, "")
	b.Call(alice, "POST", "/filetransfer/"+uuid.NewString()+"/upload", "x", "Content-Type", "application/octet-stream").Is(http.StatusNotFound, "BRO-00001")
}

// deafStore takes a whole body, and then finds that its caller has gone.
type deafStore struct{ api.Contents }

func (deafStore) Put(ctx context.Context, _ string, body io.Reader, _ int64, _ ...models.Hash) (models.Content, error) {
	_, _ = io.Copy(io.Discard, body)
	<-ctx.Done()
	return models.Content{}, ctx.Err()
}

func TestUpload_ByAClientThatClosedItsHalfIsNeverTakenForDone(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) { s.Contents = deafStore{s.Contents} })
	id := b.Initialize()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.URL, "http://"))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = fmt.Fprintf(conn, "POST %s/filetransfer/%s/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 3\r\n\r\nabc", base, id, b.Token(alice))
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, 499, answer.StatusCode, "as nginx has it")
}
