package tus

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// watchEvery is how often a writer looks whether another replica took its upload over.
const watchEvery = 3 * time.Second

// watch keeps a writer's lease, and ends the writer when somebody else goes on with the upload.
func (t *Handler) watch(ctx context.Context, w *writer, upload uuid.UUID, epoch int64) {
	tick := time.NewTicker(watchEvery)
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
		err := t.Resumables.WatchTus(ctx, upload, epoch)
		if e, known := models.AsError(err); known && !e.Retryable() {
			w.end(err)
		}
	}
}

// writer is a request that writes to an upload.
type writer struct {
	stop     context.CancelCauseFunc
	connect  *http.ResponseController
	epoch    int64
	done     chan struct{} // closed when it no longer writes
	watching sync.WaitGroup
}

// end has the writer stop, wherever it waits.
func (w *writer) end(why error) { w.stop(why) }

// wake ends a read that waits for a client, until the writer has noticed.
func (w *writer) wake() {
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

// writers are those of this process, by upload. A new one ends the one before, which then need not find out by itself.
type writers struct {
	mu sync.Mutex
	by map[uuid.UUID]*writer
}

func (t *writers) begin(upload uuid.UUID, w *writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[uuid.UUID]*writer{}
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

// settleTime is how long a question for the offset waits for a request of which bytes are still coming in.
const settleTime = 2 * time.Second

// settle waits a while until a writer of this process has ended, and tells whether there was one. Mostly its connection
// has broken and it makes durable what had come: a client that was told the offset before that would go on from there,
// throw away what had come, and over links that break often get nowhere. One whose client is still there is left alone.
func (t *writers) settle(ctx context.Context, upload uuid.UUID) bool {
	t.mu.Lock()
	w := t.by[upload]
	t.mu.Unlock()
	if w == nil {
		return false
	}
	late := time.NewTimer(settleTime)
	defer late.Stop()
	select {
	case <-w.done:
	case <-late.C:
	case <-ctx.Done():
	}
	return true
}

func (t *writers) over(upload uuid.UUID, w *writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by[upload] == w {
		delete(t.by, upload)
	}
}

// stop ends the writer of an upload that was given up.
func (t *writers) stop(upload uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := t.by[upload]; w != nil {
		w.end(models.ErrUploadGone)
	}
}
