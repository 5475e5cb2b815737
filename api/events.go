package api

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// Pages of the event feed, and how long a question may wait (reference: Altinn Events).
const (
	defaultEvents = 50
	maxEvents     = 1000
	maxEventWait  = 60 * time.Second
	askAgain      = time.Second
)

// Feed reads events, and wakes who waits for some.
type Feed interface {
	EventsFor(ctx context.Context, by models.Caller, afterSeq int64, f models.EventFilter, limit int) ([]models.Event, error)
	EventPosition(ctx context.Context, party models.Party, id uuid.UUID) (seq int64, err error)
	WatchEvents(party models.Party) (wake <-chan struct{}, stop func())
}

// ListEvents answers with what happened that the caller is told of, at once or when there is something, or as a
// stream (reference 2.4).
func (s *Server) ListEvents(c *gin.Context, params contract.ListEventsParams) {
	form := eventForm(c.GetHeader("Accept"))
	if form == "" {
		c.String(http.StatusNotAcceptable, "This endpoint does not support the requested Accept header. Supported Accept headers are: "+strings.Join(eventForms, ", "))
		return
	}
	q, err := s.eventQuery(c, params, form == formStream)
	if err == nil && form == formStream {
		err = s.streamEvents(c, q)
		if err == nil {
			return
		}
	}
	var events []models.Event
	if err == nil {
		events, err = s.awaitEvents(c.Request.Context(), q)
	}
	s.finish(c, err, func() {
		if len(events) > 0 {
			next := s.nextEvents(c, events[len(events)-1].ID)
			c.Header("Next", next)
			link(c, next)
		}
		c.Header("Content-Type", form)
		c.JSON(http.StatusOK, s.cloudEvents(events))
	})
}

// The forms in which events are told.
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

func (s *Server) eventQuery(c *gin.Context, p contract.ListEventsParams, stream bool) (eventQuery, error) {
	q := eventQuery{
		by: actor(c), size: defaultEvents, wait: time.Duration(value(p.Wait)) * time.Second,
		filter: models.EventFilter{Types: p.Type, Resource: value(p.Resource), Subject: value(p.Subject)},
	}
	if p.Size != nil {
		q.size = *p.Size
	}
	switch err := q.filter.Check(); {
	case err != nil:
		return q, err
	case q.size < 1 || q.size > maxEvents:
		return q, models.InvalidField("size", fmt.Sprintf("The size must be between 1 and %d.", maxEvents))
	case value(p.Wait) < 0 || value(p.Wait) > int(maxEventWait/time.Second):
		return q, models.InvalidField("wait", fmt.Sprintf("wait must be between 0 and %d seconds.", maxEventWait/time.Second))
	case !q.filter.Concerns(q.by.Party):
		return q, models.InvalidField("subject", "An organisation reads its own events only: leave subject out, or name the organisation that your credential is of.")
	}
	field, after := "after", value(p.After)
	if stream && value(p.LastEventID) != "" {
		field, after = "Last-Event-ID", *p.LastEventID
	}
	if err := s.mayReadEvents(c.Request.Context(), q); err != nil {
		return q, err
	}
	var err error
	q.after, err = s.eventPosition(c.Request.Context(), q.by.Party, field, after)
	return q, err
}

// mayReadEvents refuses a supplier that names a service in which it may not look.
func (s *Server) mayReadEvents(ctx context.Context, q eventQuery) error {
	if q.filter.Resource == "" {
		return nil
	}
	_, err := s.Rights.LookAs(ctx, models.ResourceID(q.filter.Resource), q.by)
	return err
}

// eventPosition finds where a client has come. An id that it cannot have from us is refused rather than taken for the
// beginning, as Altinn does: it would deal with everything once more.
func (s *Server) eventPosition(ctx context.Context, by models.Party, field, after string) (int64, error) {
	if after == "" || after == "0" {
		return 0, nil
	}
	id, err := uuid.Parse(after)
	if err != nil || len(after) != len(uuid.Nil.String()) {
		return 0, models.InvalidField(field, "It must be the id of an event, or 0 for the first one.")
	}
	return s.Feed.EventPosition(ctx, by, id)
}

func (s *Server) readEvents(ctx context.Context, q eventQuery) ([]models.Event, error) {
	return s.Feed.EventsFor(ctx, q.by, q.after, q.filter, q.size)
}

// awaitEvents reads events; when there are none it waits for as long as was asked for, without asking the database. When
// the process is about to stop it answers at once.
func (s *Server) awaitEvents(ctx context.Context, q eventQuery) ([]models.Event, error) {
	if q.wait == 0 {
		return s.readEvents(ctx, q)
	}
	wake, leave, err := s.listenForEvents(q.by.Party)
	if err != nil {
		return nil, err
	}
	defer leave()
	over := time.NewTimer(q.wait)
	defer over.Stop()
	for woken := false; ; woken = true {
		events, err := s.readPermitted(ctx, q, woken)
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
		case <-s.Closing:
			return events, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// readPermitted reads events for somebody who, having waited, may have been locked out meanwhile.
func (s *Server) readPermitted(ctx context.Context, q eventQuery, waited bool) ([]models.Event, error) {
	if waited {
		if err := s.Rights.CheckCaller(ctx, q.by); err != nil {
			return nil, err
		}
	}
	return s.readEvents(ctx, q)
}

// nextEvents is the whole URL of the question for what comes after an event.
func (s *Server) nextEvents(c *gin.Context, after uuid.UUID) string {
	values := c.Request.URL.Query()
	values.Set("after", after.String())
	base := s.PublicURL
	if c.Request.TLS != nil && s.MTLSURL != "" {
		base = s.MTLSURL
	}
	return base + (&url.URL{Path: c.Request.URL.Path, RawQuery: values.Encode()}).String()
}

func (s *Server) cloudEvents(events []models.Event) []models.CloudEvent {
	source := models.EventSource(s.PublicURL)
	out := make([]models.CloudEvent, len(events))
	for i, e := range events {
		out[i] = models.NewCloudEvent(e, source)
	}
	return out
}

// listeners counts who waits for events in this process.
type listeners struct {
	mu    sync.Mutex
	total int
	of    map[models.Party]int
}

// perOrganisation is the part of all places that one organisation may take.
const perOrganisation = 4

// listenForEvents takes a place among those who wait: models.ErrTooManyListeners when all are taken, or too many of them
// by one organisation.
func (s *Server) listenForEvents(p models.Party) (wake <-chan struct{}, leave func(), err error) {
	l, most := &s.listeners, s.EventListeners
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= most || l.of[p] >= max(1, most/perOrganisation) {
		return nil, nil, models.ErrTooManyListeners
	}
	if l.of == nil {
		l.of = map[models.Party]int{}
	}
	l.total++
	l.of[p]++
	wake, stop := s.Feed.WatchEvents(p)
	return wake, func() {
		stop()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.total--
		if l.of[p]--; l.of[p] == 0 {
			delete(l.of, p)
		}
	}, nil
}
