package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// bell rings when something was published to the caller, by the broker's event feed. Only the inbox tells what; a
// broker without a feed, or one that is too busy to hold a question back, is looked into from time to time instead.
type bell struct {
	b       *Broker
	service string
	after   string // id of the last event that was heard of
	atEnd   bool   // of the feed, once: what comes after is heard
	mute    bool   // there is no feed for us
}

// How the feed is read.
const (
	feedPage  = 1000             // events
	feedPages = 50               // of history, at most at a time
	feedWait  = 25 * time.Second // how long the broker holds a question back
)

// attend goes towards the end of the feed, so that what comes after is heard. What failed, and may pass, is tried again
// by wait, as is what is left of a long history; asked is how long the broker asks to wait before that.
func (l *bell) attend(ctx context.Context) (asked time.Duration) {
	for range feedPages {
		n, err := l.ask(ctx, 0)
		if err != nil {
			return l.failed(err)
		}
		if n < feedPage {
			l.atEnd = true
			return 0
		}
	}
	return 0
}

// failed gives the feed up when there is none for us; anything else may pass.
func (l *bell) failed(err error) (asked time.Duration) {
	again, asked := transient(err)
	l.mute = !again
	return asked
}

// wait returns when there may be news, and after pause or some time more when there are none.
func (l *bell) wait(ctx context.Context, pause time.Duration) error {
	switch {
	case l.mute:
		return sleep(ctx, pause)
	case !l.atEnd:
		asked := l.attend(ctx)
		if l.atEnd { // what came meanwhile was passed over
			return context.Cause(ctx)
		}
		return sleep(ctx, max(pause, asked))
	}
	if _, err := l.ask(ctx, feedWait); err != nil {
		return sleep(ctx, max(pause, l.failed(err)))
	}
	return context.Cause(ctx)
}

// ask reads what comes after the last event, and returns how many events there are.
func (l *bell) ask(ctx context.Context, hold time.Duration) (int, error) {
	query := url.Values{
		"type": {"no.altinn.broker.published"}, "resource": {l.service}, "size": {strconv.Itoa(feedPage)},
		"wait": {strconv.Itoa(int(hold.Seconds()))},
	}
	if l.after != "" {
		query.Set("after", l.after)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.b.base.String()+"/events/api/v1/events?"+query.Encode(), nil)
	if err != nil {
		return 0, err
	}
	response, err := l.b.do(r, Retry{Patience: -1}.begin()) // once, or twice with a new token
	events, err := Decode[[]struct {
		ID string `json:"id"`
	}](response, err)
	if err == nil && len(events) > 0 {
		l.after = events[len(events)-1].ID
	}
	return len(events), err
}
