package events

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/bytepath"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// How server-sent events are kept alive, and when a client should come back after the connection broke.
const (
	heartbeat   = 15 * time.Second
	reconnectIn = 2 * time.Second
)

// streamEvents sends events as they happen, for as long as the client listens, its credential is valid and the process
// is not about to stop. An error is one from before the first byte; later ones end the stream, and a client that comes
// back with Last-Event-ID misses nothing.
func (h *Handler) streamEvents(c *gin.Context, q eventQuery) error {
	ctx := c.Request.Context()
	wake, leave, err := h.listenForEvents(q.by.Party)
	if err != nil {
		return err
	}
	defer leave()
	events, err := h.readEvents(ctx, q)
	if err != nil {
		return err
	}
	c.Header("Content-Type", formStream)
	c.Header("X-Accel-Buffering", "no")
	c.Status(http.StatusOK)
	out := stream{c.Writer, http.NewResponseController(c.Writer)}
	if err := h.stream(c, q, out, wake, events); !errors.Is(err, errStreamOver) {
		web.NoteFailure(c, "event stream ended", err)
	}
	return nil
}

// errStreamOver is a good end.
var errStreamOver = errors.New("the stream is over")

// stream sends events until it must not or cannot go on, and returns why.
func (h *Handler) stream(c *gin.Context, q eventQuery, out stream, wake <-chan struct{}, events []models.Event) error {
	beat := time.NewTicker(cmp.Or(h.Heartbeat, heartbeat))
	defer beat.Stop()
	err := out.send(fmt.Sprintf("retry: %d\n\n", reconnectIn/time.Millisecond))
	for err == nil {
		if q.after, err = h.sendEvents(out, q.after, events); err != nil {
			break
		}
		var more chan struct{}
		if len(events) == q.size {
			more = make(chan struct{})
			close(more)
		}
		if err = h.nextEvent(c, out, wake, more, beat.C); err == nil {
			events, err = h.readEvents(c.Request.Context(), q)
		}
	}
	return err
}

// nextEvent waits until there may be events, and keeps the stream alive meanwhile.
func (h *Handler) nextEvent(c *gin.Context, out stream, wake, more <-chan struct{}, beat <-chan time.Time) error {
	ctx := c.Request.Context()
	for {
		select {
		case <-more:
			return nil
		case <-wake:
			return h.stillAllowed(ctx, h.Rights.CheckCaller(ctx, web.Actor(c)))
		case <-beat:
			if err := h.reauthenticate(c); err != nil {
				return err
			}
			if err := out.send(": alive\n\n"); err != nil {
				return err
			}
		case <-h.Closing:
			return errStreamOver
		case <-ctx.Done():
			return errStreamOver
		}
	}
}

// reauthenticate looks at the credential of a running request again: it may have expired or been revoked.
func (h *Handler) reauthenticate(c *gin.Context) error {
	by, err := h.Logins.Authenticate(c.Request)
	if err == nil {
		err = web.Authorize(web.RuleOf(c), by)
	}
	if err == nil {
		err = h.Rights.CheckCaller(c.Request.Context(), by)
	}
	return h.stillAllowed(c.Request.Context(), err)
}

// stillAllowed takes what cannot be looked up right now for no answer.
func (h *Handler) stillAllowed(ctx context.Context, err error) error {
	if e, known := models.AsError(err); known && e.Retryable() && ctx.Err() == nil {
		return nil
	}
	return err
}

func (h *Handler) sendEvents(out stream, after int64, events []models.Event) (int64, error) {
	for i, e := range h.cloudEvents(events) {
		raw, err := json.Marshal(e)
		if err == nil {
			err = out.write(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", e.ID, e.Type, raw))
		}
		if err != nil {
			return after, err
		}
		after = events[i].Seq
	}
	return after, out.flush()
}

// stream writes to a client that may be slow, but not dead.
type stream struct {
	to      http.ResponseWriter
	connect *http.ResponseController
}

func (o stream) write(text string) error {
	_ = o.connect.SetWriteDeadline(time.Now().Add(bytepath.WritePatience)) // test recorders have no connection
	if _, err := o.to.Write([]byte(text)); err != nil {
		return fmt.Errorf("send events: %w", err)
	}
	return nil
}

func (o stream) flush() error {
	if err := o.connect.Flush(); err != nil {
		return fmt.Errorf("send events: %w", err)
	}
	return nil
}

func (o stream) send(text string) error {
	if err := o.write(text); err != nil {
		return err
	}
	return o.flush()
}
