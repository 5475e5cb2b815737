package client

import (
	"context"
	"fmt"
	"time"
)

// How often a state is asked for: often at first and after a change, then less and less.
const (
	firstLook   = 100 * time.Millisecond
	longestLook = 5 * time.Second
)

// WatchOptions say what to wait for.
type WatchOptions struct {
	// Until ends the watch; nil waits for the transfer's end.
	Until func(FileTransferOverview) bool
	// Changed, when set, is called with the first state and then with each new one.
	Changed func(FileTransferOverview)
}

// UntilPublished waits until the recipients may download.
func UntilPublished(t FileTransferOverview) bool { return t.Published != nil }

// UntilConfirmed waits until every recipient that the caller sees has confirmed.
func UntilConfirmed(t FileTransferOverview) bool {
	for _, r := range t.Recipients {
		if r.CurrentRecipientFileTransferStatusCode != RecipientFileTransferStatusDownloadConfirmed {
			return false
		}
	}
	return true
}

// Watch follows a transfer until a condition holds, and returns its state. A transfer that ends before that is an
// *EndedError. While the broker cannot be reached it goes on as Options.Retry says.
func (b *Broker) Watch(ctx context.Context, id FileTransferID, o WatchOptions) (FileTransferOverview, error) {
	until := o.Until
	if until == nil {
		until = ended
	}
	row, look, last := b.retry.begin(), firstLook, ""
	for {
		t, err := b.Overview(ctx, id)
		if err != nil {
			if err := row.pause(ctx, err); err != nil {
				return t, err
			}
			continue
		}
		row.progressed()
		if now := progressOf(t); now != last {
			last, look = now, firstLook
			if o.Changed != nil {
				o.Changed(t)
			}
		}
		switch {
		case until(t):
			return t, nil
		case ended(t):
			return t, &EndedError{Status: t.FileTransferStatus, Text: t.FileTransferStatusText}
		}
		if err := sleep(ctx, look); err != nil {
			return t, err
		}
		look = min(longestLook, look*3/2)
	}
}

// ended tells whether nothing more will happen to a transfer's file.
func ended(t FileTransferOverview) bool {
	switch t.FileTransferStatus {
	case FileTransferStatusCancelled, FileTransferStatusFailed, FileTransferStatusPurged:
		return true
	default:
		return false
	}
}

// progressOf is equal for equal states.
func progressOf(t FileTransferOverview) string {
	return fmt.Sprint(t.FileTransferStatus, t.FileTransferStatusText, t.Recipients)
}
