package models

import "time"

// TimelineKind is what sort of thing happened.
type TimelineKind string

// The kinds, in the order in which things of the same moment are told.
const (
	TimelineUpload       TimelineKind = "upload"
	TimelineConfirmation TimelineKind = "confirmation" // before the status that the last one brings about
	TimelineStatus       TimelineKind = "status"
	TimelineDelivery     TimelineKind = "delivery"
	TimelineNotification TimelineKind = "notification"
	TimelineAccess       TimelineKind = "access"
	TimelineStatement    TimelineKind = "statement"
	TimelineReceipt      TimelineKind = "receipt"
)

// TimelineKinds is every kind, in order.
func TimelineKinds() []TimelineKind {
	return []TimelineKind{
		TimelineUpload, TimelineConfirmation, TimelineStatus, TimelineDelivery, TimelineNotification, TimelineAccess,
		TimelineStatement, TimelineReceipt,
	}
}

// TimelineEntry is one thing that happened to a transfer.
type TimelineEntry struct {
	At        time.Time
	Kind      TimelineKind
	What      string // the status, the event's type, the receipt's event
	Actor     Party  // empty: the broker
	Recipient Party  // whom it concerns; empty: all
	Cause     string

	// Whose credential it was, as far as the viewer may see it.
	Supplier   Party // that acted for Actor; empty: Actor itself, or it is not known
	Login      LoginMethod
	Thumbprint string
}

// MaxTimelinePassed bounds TimelinePlace.Passed: more does not happen to a transfer at one moment.
const MaxTimelinePassed = 200_000

// TimelinePlace is how far somebody has read a timeline: all before At, and the first Passed entries of At.
type TimelinePlace struct {
	At     time.Time
	Passed int
}

// Behind is the place behind a page that was read from p on.
func (p TimelinePlace) Behind(page []TimelineEntry) TimelinePlace {
	for _, e := range page {
		if !e.At.Equal(p.At) {
			p = TimelinePlace{At: e.At}
		}
		p.Passed++
	}
	return p
}

// TimelineQuery asks for at most Limit entries of a timeline.
type TimelineQuery struct {
	Viewer   Party
	Withheld Role // as in TransferView
	From     TimelinePlace
	Limit    int
}

// TimelineView is who looks at a timeline, and so what is in it.
type TimelineView int

// The views.
const (
	TimelineOfSender    TimelineView = iota // all
	TimelineOfRecipient                     // what concerns the transfer, and itself
	TimelineOfOwner                         // all, but nothing that the parties wrote
)
