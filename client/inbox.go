package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Inbox lists the transfers of a service that wait for the caller: published, and not confirmed by it. Oldest first
// among those that it has not begun to download, then among those that it has. An error ends the list.
func (b *Broker) Inbox(ctx context.Context, service string) iter.Seq2[FileTransferOverview, error] {
	return func(yield func(FileTransferOverview, error) bool) {
		for id, err := range b.waiting(ctx, service) {
			var t FileTransferOverview
			if err == nil {
				if t, err = b.Overview(ctx, id); errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnauthorized) {
					continue // the right to it ended meanwhile
				}
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// waiting lists the ids of an inbox.
func (b *Broker) waiting(ctx context.Context, service string) iter.Seq2[FileTransferID, error] {
	return func(yield func(FileTransferID, error) bool) {
		seen := map[FileTransferID]bool{} // a download that begins meanwhile moves its transfer into the second list
		for _, own := range []RecipientFileTransferStatus{RecipientFileTransferStatusInitialized, RecipientFileTransferStatusDownloadStarted} {
			published, mine, ascending := string(FileTransferStatusPublished), string(own), true
			p := SearchFileTransfersParams{ResourceID: service, Status: &published, RecipientStatus: &mine, OrderAscending: &ascending}
			for id, err := range b.Search(ctx, p) {
				if err == nil && seen[id] {
					continue
				}
				seen[id] = true
				if !yield(id, err) || err != nil {
					return
				}
			}
		}
	}
}

// Search lists the ids of all transfers that match, page after page.
func (b *Broker) Search(ctx context.Context, p SearchFileTransfersParams) iter.Seq2[FileTransferID, error] {
	return func(yield func(FileTransferID, error) bool) {
		for {
			response, err := b.API.SearchFileTransfers(ctx, &p)
			ids, err := Decode[[]FileTransferID](response, err)
			if err != nil {
				yield(FileTransferID{}, err)
				return
			}
			for _, id := range ids {
				if !yield(id, nil) {
					return
				}
			}
			next := nextCursor(response.Header)
			if next == "" {
				return
			}
			p.Cursor = &next
		}
	}
}

// nextCursor reads the cursor of the link to the next page (RFC 8288); empty when there is none.
func nextCursor(h http.Header) string {
	for _, link := range strings.Split(h.Get("Link"), ",") {
		target, rest, found := strings.Cut(strings.TrimSpace(link), ">")
		if !found || !strings.Contains(rest, `rel="next"`) {
			continue
		}
		at, err := url.Parse(strings.TrimPrefix(target, "<"))
		if err == nil {
			return at.Query().Get("cursor")
		}
	}
	return ""
}

// How often an inbox is polled where there is no feed: often after news, then less and less.
const (
	firstPoll   = time.Second
	longestPoll = 15 * time.Second
)

// FollowInbox lists an inbox and then, until ctx ends, each transfer that comes into it, once: at once when the broker
// has an event feed (long poll), else at the next poll, at most 15 s later. It waits for passing failures to end, as
// Options.Retry says; any other failure ends the list.
func (b *Broker) FollowInbox(ctx context.Context, service string) iter.Seq2[FileTransferOverview, error] {
	return func(yield func(FileTransferOverview, error) bool) {
		seen := map[FileTransferID]bool{}
		row, wait := b.retry.begin(), firstPoll
		news := &feedWatcher{b: b, service: service}
		news.catchUp(ctx)
		for {
			some, goOn, err := b.look(ctx, service, seen, yield)
			switch {
			case !goOn:
				return
			case err != nil:
				err = row.pause(ctx, err)
			default:
				row.progressed()
				if wait = min(longestPoll, wait*3/2); some {
					wait = firstPoll
				}
				err = news.wait(ctx, wait)
			}
			if err != nil {
				yield(FileTransferOverview{}, err)
				return
			}
		}
	}
}

// look yields what is new in an inbox, and forgets what is no longer in it.
func (b *Broker) look(ctx context.Context, service string, seen map[FileTransferID]bool, yield func(FileTransferOverview, error) bool) (news, goOn bool, err error) {
	here := map[FileTransferID]bool{}
	for id, err := range b.waiting(ctx, service) {
		if err != nil {
			return news, true, err
		}
		here[id] = true
		if seen[id] {
			continue
		}
		t, err := b.Overview(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrUnauthorized):
			continue
		case err != nil:
			return news, true, err
		}
		seen[id], news = true, true
		if !yield(t, nil) {
			return news, false, nil
		}
	}
	for id := range seen {
		if !here[id] {
			delete(seen, id)
		}
	}
	return news, true, nil
}
