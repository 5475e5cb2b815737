package events

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/internal/semaphore"
	"github.com/formidling/formidling/models"
)

// Pages of the event feed, and how long a question may wait (reference: Altinn Events).
const (
	defaultEvents = 50
	maxEvents     = 1000
	maxEventWait  = 60 * time.Second
	askAgain      = time.Second
)

// ListEvents answers with what happened that concerns the caller, at once or when there is something, or as a
// stream (docs/reference/altinn-broker.md 2.4).
func (h *Handler) ListEvents(c *gin.Context, params contract.ListEventsParams) {
	form := eventForm(c.GetHeader("Accept"))
	if form == "" {
		c.String(http.StatusNotAcceptable, "This endpoint does not support the requested Accept header. Supported Accept headers are: "+strings.Join(eventForms, ", "))
		return
	}
	q, err := h.eventQuery(c, params, form == formStream)
	if err == nil && form == formStream {
		err = h.streamEvents(c, q)
		if err == nil {
			return
		}
	}
	var events []models.Event
	if err == nil {
		events, err = h.awaitEvents(c.Request.Context(), q)
	}
	web.Finish(c, err, func() {
		if len(events) > 0 {
			next := h.nextEvents(c, events[len(events)-1].ID)
			c.Header("Next", next)
			web.Link(c, next)
		}
		c.Header("Content-Type", form)
		c.JSON(http.StatusOK, h.cloudEvents(events))
	})
}

// The forms that events have.
const (
	formJSON   = "application/json; charset=utf-8"
	formStream = "text/event-stream"
)

var eventForms = []string{"application/json", "application/cloudevents-batch+json", "application/cloudevents+json", formStream}

// eventForm is the first form that an Accept header names; empty when it names none of ours.
func eventForm(accept string) string {
	if accept == "" {
		return formJSON
	}
	for entry := range strings.SplitSeq(accept, ",") {
		kind, _, err := mime.ParseMediaType(strings.TrimSpace(entry))
		if err != nil {
			continue
		}
		switch kind {
		case "application/json", "application/*", "*/*":
			return formJSON
		case "application/cloudevents-batch+json", "application/cloudevents+json":
			return kind + "; charset=utf-8"
		case formStream:
			return kind
		}
	}
	return ""
}

// eventQuery is a question to the feed.
type eventQuery struct {
	by     models.Caller
	after  int64
	filter models.EventFilter
	size   int
	wait   time.Duration
}

func (h *Handler) eventQuery(c *gin.Context, p contract.ListEventsParams, stream bool) (eventQuery, error) {
	q := eventQuery{
		by: web.Actor(c), size: defaultEvents, wait: time.Duration(web.Value(p.Wait)) * time.Second,
		filter: models.EventFilter{Types: p.Type, Resource: web.Value(p.Resource), Subject: web.Value(p.Subject)},
	}
	if p.Size != nil {
		q.size = *p.Size
	}
	switch err := q.filter.Check(); {
	case err != nil:
		return q, err
	case q.size < 1 || q.size > maxEvents:
		return q, models.InvalidField("size", fmt.Sprintf("The size must be between 1 and %d.", maxEvents))
	case web.Value(p.Wait) < 0 || web.Value(p.Wait) > int(maxEventWait/time.Second):
		return q, models.InvalidField("wait", fmt.Sprintf("wait must be between 0 and %d seconds.", maxEventWait/time.Second))
	case !q.filter.Concerns(q.by.Party):
		return q, models.InvalidField("subject", "An organisation reads its own events only: leave subject out, or name the organisation that your credential is of.")
	}
	field, after := "after", web.Value(p.After)
	if stream && web.Value(p.LastEventID) != "" {
		field, after = "Last-Event-ID", *p.LastEventID
	}
	if err := h.mayReadEvents(c.Request.Context(), q); err != nil {
		return q, err
	}
	var err error
	q.after, err = h.eventPosition(c.Request.Context(), q.by.Party, field, after)
	return q, err
}

// mayReadEvents refuses a supplier that names a service in which it may not look.
func (h *Handler) mayReadEvents(ctx context.Context, q eventQuery) error {
	if q.filter.Resource == "" {
		return nil
	}
	_, err := h.Rights.LookAs(ctx, models.ResourceID(q.filter.Resource), q.by)
	return err
}

// eventPosition finds where a client has come. An id that it cannot have from us is refused rather than taken for the
// beginning, as Altinn does: it would deal with everything once more.
func (h *Handler) eventPosition(ctx context.Context, by models.Party, field, after string) (int64, error) {
	if after == "" || after == "0" {
		return 0, nil
	}
	id, err := uuid.Parse(after)
	if err != nil || len(after) != len(uuid.Nil.String()) {
		return 0, models.InvalidField(field, "It must be the id of an event, or 0 for the first one.")
	}
	return h.Feed.EventPosition(ctx, by, id)
}

func (h *Handler) readEvents(ctx context.Context, q eventQuery) ([]models.Event, error) {
	return h.Feed.EventsFor(ctx, q.by, q.after, q.filter, q.size)
}

// awaitEvents reads events; when there are none it waits for as long as was asked for, without asking the database. When
// the process is about to stop it answers at once.
func (h *Handler) awaitEvents(ctx context.Context, q eventQuery) ([]models.Event, error) {
	if q.wait == 0 {
		return h.readEvents(ctx, q)
	}
	wake, leave, err := h.listenForEvents(q.by.Party)
	if err != nil {
		return nil, err
	}
	defer leave()
	over := time.NewTimer(q.wait)
	defer over.Stop()
	for woken := false; ; woken = true {
		events, err := h.readAllowed(ctx, q, woken)
		var again <-chan time.Time
		if e, known := models.AsError(err); woken && known && e.Retryable() {
			again = time.After(askAgain) // a database that is down for a moment ends no waiting
		} else if err != nil || len(events) > 0 {
			return events, err
		}
		select {
		case <-wake:
		case <-again:
		case <-over.C:
			return events, err
		case <-h.Closing:
			return events, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// readAllowed reads events for somebody who, having waited, may have been locked out meanwhile.
func (h *Handler) readAllowed(ctx context.Context, q eventQuery, waited bool) ([]models.Event, error) {
	if waited {
		if err := h.Rights.CheckCaller(ctx, q.by); err != nil {
			return nil, err
		}
	}
	return h.readEvents(ctx, q)
}

// nextEvents is the whole URL of the question for what comes after an event.
func (h *Handler) nextEvents(c *gin.Context, after uuid.UUID) string {
	values := c.Request.URL.Query()
	values.Set("after", after.String())
	base := h.PublicURL
	if c.Request.TLS != nil && h.MTLSURL != "" {
		base = h.MTLSURL
	}
	return base + (&url.URL{Path: c.Request.URL.Path, RawQuery: values.Encode()}).String()
}

func (h *Handler) cloudEvents(events []models.Event) []models.CloudEvent {
	source := models.EventSource(h.PublicURL)
	out := make([]models.CloudEvent, len(events))
	for i, e := range events {
		out[i] = models.NewCloudEvent(e, source)
	}
	return out
}

// Listening is how many wait for a party's events in this process.
func (h *Handler) Listening(p models.Party) int {
	_, of := h.listeners.Taken(p)
	return of
}

// listenForEvents takes a place among those who wait: models.ErrTooManyListeners when all are taken, or too many of them
// by one organisation.
func (h *Handler) listenForEvents(p models.Party) (wake <-chan struct{}, leave func(), err error) {
	if h.EventListeners <= 0 { // to the count that would be no bound
		return nil, nil, models.ErrTooManyListeners
	}
	release, outcome := h.listeners.Acquire(p)
	if outcome != semaphore.Free {
		return nil, nil, models.ErrTooManyListeners
	}
	wake, stop := h.Feed.WatchEvents(p)
	return wake, func() { stop(); release() }, nil
}
