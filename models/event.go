package models

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// EventType is the last part of a CloudEvents type; see FullType (docs/reference/altinn-broker.md 2.4).
type EventType string

// The events that parties are told of. Each has a row in eventTable.
const (
	EventInitialized       EventType = "filetransferinitialized"
	EventUploadProcessing  EventType = "uploadprocessing"
	EventPublished         EventType = "published"
	EventUploadFailed      EventType = "uploadfailed"
	EventDownloadConfirmed EventType = "downloadconfirmed"
	EventAllConfirmed      EventType = "allconfirmeddownloaded"
	EventPurged            EventType = "filepurged"
	EventNeverConfirmed    EventType = "fileneverconfirmeddownloaded"
	EventCancelled         EventType = "cancelled"
	EventReminder          EventType = "confirmationreminder"
	eventTypePrefix                  = "no.altinn.broker."
)

// eventTable is every type there is, with the name that Event.Detail has in a CloudEvent's data; empty: it has none.
// docs/events.md tells the same.
var eventTable = []struct {
	Type   EventType
	Detail string
}{
	{EventInitialized, ""},
	{EventUploadProcessing, ""},
	{EventPublished, ""},
	{EventUploadFailed, "Reason"}, // a FailureReason
	{EventDownloadConfirmed, ""},
	{EventAllConfirmed, ""},
	{EventPurged, ""},
	{EventNeverConfirmed, ""},
	{EventCancelled, ""},
	{EventReminder, "TimeLeft"}, // ISO 8601
	{EventSubscriptionDisabled, "Subscription"},
}

// EventTypes is every type there is.
func EventTypes() []EventType {
	out := make([]EventType, len(eventTable))
	for i, row := range eventTable {
		out[i] = row.Type
	}
	return out
}

// detailName is the name of an event's detail; empty when the type has none.
func (t EventType) detailName() string {
	for _, row := range eventTable {
		if row.Type == t {
			return row.Detail
		}
	}
	return ""
}

// FullType is the type as CloudEvents consumers know it.
func (t EventType) FullType() string { return eventTypePrefix + string(t) }

// ShortType is the last part of a type, given in full or short.
func ShortType(t string) EventType { return EventType(strings.TrimPrefix(t, eventTypePrefix)) }

// Role is what a party is in a transfer.
type Role string

// The roles.
const (
	RoleSender    Role = "Sender"
	RoleRecipient Role = "Recipient"
)

// Event tells one party of one change. Seq counts each party's events from 1 without gaps; it is
// given in the same database transaction as the change. Events are kept for ever.
type Event struct {
	Party      Party `gorm:"primaryKey"`
	Seq        int64 `gorm:"primaryKey"`
	ID         uuid.UUID
	Type       EventType
	TransferID uuid.UUID
	ResourceID string
	Role       Role
	At         time.Time
	Detail     string // of the types that eventTable has a name for
}

// EventFilter chooses among the events of one party; empty fields choose all. What passes keeps its order.
type EventFilter struct {
	Types    []string  // in full or their last part
	Resource string    // a service, its id or URN
	Subject  string    // an organisation in any form; another than the party itself has no events there
	Sights   []Sight   // of these services and roles only, each service once; nil: of all
	Without  EventType // none of this type; empty: of all
}

// Sight is a service in which somebody sees the events of a role; an empty role: of both.
type Sight struct {
	Resource string
	Role     Role
}

// Check says which field names something that no event can have.
func (f EventFilter) Check() error {
	var bad []FieldError
	for _, t := range f.Types {
		if !slices.Contains(EventTypes(), ShortType(t)) {
			bad = append(bad, FieldError{"type", fmt.Sprintf("A type must be one of %v, or one of these after %s", EventTypes(), eventTypePrefix)})
			break
		}
	}
	if f.Resource != "" && CheckResourceID(f.Resource) != nil {
		bad = append(bad, FieldError{"resource", "Invalid Resource identifier format"})
	}
	if _, err := ParseOrganisation(f.Subject); f.Subject != "" && err != nil {
		bad = append(bad, FieldError{"subject", PartyRule})
	}
	return Invalid(bad)
}

// Concerns tells whether the filter's subject may be the party.
func (f EventFilter) Concerns(p Party) bool {
	subject, err := ParseOrganisation(f.Subject)
	return f.Subject == "" || err == nil && subject == p
}
