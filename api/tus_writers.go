package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// tusWatch is how often a writer looks whether another replica took its upload over.
const tusWatch = 3 * time.Second

// watchTus keeps a writer's lease, and ends the writer when somebody else goes on with the upload.
func (s *Server) watchTus(ctx context.Context, w *tusWriter, upload uuid.UUID, epoch int64) {
	tick := time.NewTicker(tusWatch)
	defer tick.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-ctx.Done():
			w.wake()
			return
		case <-tick.C:
		}
		err := s.Resumables.WatchTus(ctx, upload, epoch)
		if e, known := models.AsError(err); known && !e.Retryable() {
			w.end(err)
		}
	}
}

// tusWriter is a request that writes to an upload.
type tusWriter struct {
	stop     context.CancelCauseFunc
	connect  *http.ResponseController
	epoch    int64
	done     chan struct{} // closed when it no longer writes
	watching sync.WaitGroup
}

// end has the writer stop, wherever it waits.
func (w *tusWriter) end(why error) { w.stop(why) }

// wake ends a read that waits for a client, until the writer has noticed.
func (w *tusWriter) wake() {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_ = w.connect.SetReadDeadline(time.Unix(1, 0)) // test recorders have no connection
		select {
		case <-w.done:
			return
		case <-tick.C:
		}
	}
}

// tusWriters are those of this process, by upload. A new one ends the one before, which then need not find out by itself.
type tusWriters struct {
	mu sync.Mutex
	by map[uuid.UUID]*tusWriter
}

func (t *tusWriters) begin(upload uuid.UUID, w *tusWriter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[uuid.UUID]*tusWriter{}
	}
	before := t.by[upload]
	switch {
	case before == nil:
	case before.epoch > w.epoch: // it was quicker from its claim to here
		w.end(models.ErrUploadTaken)
		return
	default:
		before.end(models.ErrUploadTaken)
	}
	t.by[upload] = w
}

// tusSettle is how long a question for the offset waits for a request of which bytes are still coming in.
const tusSettle = 2 * time.Second

// settle waits a while until a writer of this process has ended, and tells whether there was one. Mostly its connection
// has broken and it makes durable what had come: a client that was told the offset before that would go on from there,
// throw away what had come, and over links that break often get nowhere. One whose client is still there is left alone.
func (t *tusWriters) settle(ctx context.Context, upload uuid.UUID) bool {
	t.mu.Lock()
	w := t.by[upload]
	t.mu.Unlock()
	if w == nil {
		return false
	}
	late := time.NewTimer(tusSettle)
	defer late.Stop()
	select {
	case <-w.done:
	case <-late.C:
	case <-ctx.Done():
	}
	return true
}

func (t *tusWriters) over(upload uuid.UUID, w *tusWriter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by[upload] == w {
		delete(t.by, upload)
	}
}

// stop ends the writer of an upload that was given up.
func (t *tusWriters) stop(upload uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := t.by[upload]; w != nil {
		w.end(models.ErrUploadGone)
	}
}
