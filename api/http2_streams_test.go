package api_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// blockedOnce reads nothing of the first body until it is released.
type blockedOnce struct {
	api.Contents
	first   atomic.Bool
	release chan struct{}
}

func (b *blockedOnce) Put(ctx context.Context, key string, body io.Reader, limit int64, without ...models.Hash) (models.Content, error) {
	if b.first.CompareAndSwap(false, true) {
		select {
		case <-b.release:
		case <-ctx.Done():
		}
	}
	return b.Contents.Put(ctx, key, body, limit, without...)
}

// Streams share their connection's window: one whose bytes nobody takes must leave some of it to the others.
func TestHTTP2_AStreamThatIsNotReadDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	blocked := &blockedOnce{release: make(chan struct{})}
	b := apitest.Setup(t, func(s *apitest.Config) { blocked.Contents, s.Contents = s.Contents, blocked })
	dialled := b.Over(apitest.Wires[2])
	before := dialled.Load()
	file := bytes.Repeat([]byte("x"), 12<<20)
	stuck := b.Initialize()
	status := make(chan int, 1)
	go func() {
		response, err := b.Client.Do(b.Request(alice, "POST", "/filetransfer/"+stuck+"/upload", bytes.NewReader(file), "Content-Type", "application/octet-stream"))
		if err != nil {
			status <- 0
			return
		}
		_ = response.Body.Close()
		status <- response.StatusCode
	}()
	require.Eventually(t, blocked.first.Load, time.Minute, 5*time.Millisecond)
	for range 3 {
		id := b.Initialize()
		b.Upload(id, file).Is(http.StatusOK, "")
		require.Len(t, b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Raw, len(file))
	}
	close(blocked.release)
	require.Equal(t, http.StatusOK, <-status)
	require.Equal(t, before, dialled.Load(), "all of it on one connection")
}

// A client that uploads on many streams of one connection.
func TestHTTP2_OneConnectionDoesNotTakeAllSlots(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) {
		s.UploadSlots = 8
		s.UploadsPerOrganisation = 5
	})
	b.Over(apitest.Wires[2])
	const streams = 40
	ids := make([]string, streams)
	for i := range ids {
		ids[i] = b.Initialize()
	}
	var refused atomic.Int32
	end, statuses := make(chan struct{}), make(chan int, streams)
	for _, id := range ids {
		r, w := io.Pipe()
		go func() { _, _ = w.Write([]byte("x")); <-end; _ = w.Close() }()
		go func() {
			a, err := b.Client.Do(b.Request(alice, "POST", "/filetransfer/"+id+"/upload", r, "Content-Type", "application/octet-stream"))
			if err != nil {
				statuses <- 0
				return
			}
			_ = a.Body.Close()
			if statuses <- a.StatusCode; a.StatusCode == http.StatusTooManyRequests {
				refused.Add(1)
			}
		}()
	}
	require.Eventually(t, func() bool { return refused.Load() == streams-5 }, time.Minute, 5*time.Millisecond)
	transport, _ := apitest.Wires[2].Transport()
	defer transport.CloseIdleConnections()
	others := *b
	others.Client = &http.Client{Transport: apitest.ValidatedTransport(t, transport)}
	d := apitest.Draft()
	d["sender"] = carol
	var out contract.FileTransferInitialized
	others.Call(carol, "POST", "/filetransfer", apitest.ToJSON(t, d)).Is(http.StatusOK, "").JSON(&out)
	others.Do(others.Request(carol, "POST", "/filetransfer/"+out.FileTransferID.String()+"/upload", strings.NewReader("mine"), "Content-Type", "application/octet-stream")).Is(http.StatusOK, "")
	close(end)
	count := map[int]int{}
	for range streams {
		count[<-statuses]++
	}
	require.Equal(t, map[int]int{http.StatusTooManyRequests: streams - 5, http.StatusOK: 5}, count)
}
