package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// feedWatcher waits for news in the broker's event feed: that something was published to the caller. What it is, only
// the inbox says. Where there is no feed, or the broker is too busy to hold a request open, it waits for a while instead.
type feedWatcher struct {
	b       *Broker
	service string
	after   string // id of the last event that was read
	atEnd   bool   // the end of the feed was reached once; all later events are noticed
	absent  bool   // there is no feed for this caller
}

// How the feed is read.
const (
	feedPage  = 1000             // events
	feedPages = 50               // of history, at most at a time
	feedWait  = 25 * time.Second // how long the broker holds a request open
)

// catchUp reads towards the end of the feed, so that later events are noticed. wait continues where a long history or
// a passing failure stopped it; asked is how long the broker wants us to wait before that.
func (w *feedWatcher) catchUp(ctx context.Context) (asked time.Duration) {
	for range feedPages {
		n, err := w.ask(ctx, 0)
		if err != nil {
			return w.failed(err)
		}
		if n < feedPage {
			w.atEnd = true
			return 0
		}
	}
	return 0
}

// failed gives the feed up when there is none for this caller; any other failure may pass.
func (w *feedWatcher) failed(err error) (asked time.Duration) {
	again, asked := transient(err)
	w.absent = !again
	return asked
}

// wait returns when there may be news, and after pause or a little later when there are none.
func (w *feedWatcher) wait(ctx context.Context, pause time.Duration) error {
	switch {
	case w.absent:
		return sleep(ctx, pause)
	case !w.atEnd:
		asked := w.catchUp(ctx)
		if w.atEnd { // events of the meantime were skipped, so look into the inbox
			return context.Cause(ctx)
		}
		return sleep(ctx, max(pause, asked))
	}
	if _, err := w.ask(ctx, feedWait); err != nil {
		return sleep(ctx, max(pause, w.failed(err)))
	}
	return context.Cause(ctx)
}

// ask reads what comes after the last event, and returns how many events there are.
func (w *feedWatcher) ask(ctx context.Context, hold time.Duration) (int, error) {
	query := url.Values{
		"type": {"no.altinn.broker.published"}, "resource": {w.service}, "size": {strconv.Itoa(feedPage)},
		"wait": {strconv.Itoa(int(hold.Seconds()))},
	}
	if w.after != "" {
		query.Set("after", w.after)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.b.base.String()+"/events/api/v1/events?"+query.Encode(), nil)
	if err != nil {
		return 0, err
	}
	response, err := w.b.do(r, Retry{Patience: -1}.begin()) // once, or twice with a new token
	events, err := Decode[[]struct {
		ID string `json:"id"`
	}](response, err)
	if err == nil && len(events) > 0 {
		w.after = events[len(events)-1].ID
	}
	return len(events), err
}
