package models

import "time"

// TimelineKind is what sort of thing happened.
type TimelineKind string

// The kinds, in the order in which things of the same moment are told.
const (
	TimelineUpload       TimelineKind = "upload"
	TimelineStatus       TimelineKind = "status"
	TimelineDelivery     TimelineKind = "delivery"
	TimelineNotification TimelineKind = "notification"
	TimelineAccess       TimelineKind = "access"
	TimelineStatement    TimelineKind = "statement"
	TimelineConfirmation TimelineKind = "confirmation"
	TimelineReceipt      TimelineKind = "receipt"
)

// TimelineKinds is every kind, in order.
func TimelineKinds() []TimelineKind {
	return []TimelineKind{
		TimelineUpload, TimelineStatus, TimelineDelivery, TimelineNotification, TimelineAccess, TimelineStatement,
		TimelineConfirmation, TimelineReceipt,
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
}

// TimelineView is who looks at a timeline, and so what is in it.
type TimelineView int

// The views.
const (
	TimelineOfSender    TimelineView = iota // all
	TimelineOfRecipient                     // what concerns the transfer, and itself
	TimelineOfOwner                         // all, but nothing that the parties wrote
)
