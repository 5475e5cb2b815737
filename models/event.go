package models

import (
	"time"

	"github.com/google/uuid"
)

// EventType is the last part of a CloudEvents type; see FullType (reference 2.4).
type EventType string

// The events that parties are told of.
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
	eventTypePrefix                  = "no.altinn.broker."
)

// FullType is the type as CloudEvents consumers know it.
func (t EventType) FullType() string { return eventTypePrefix + string(t) }

// Role is what a party is in a transfer.
type Role string

// The roles.
const (
	RoleSender    Role = "Sender"
	RoleRecipient Role = "Recipient"
)

// Event tells one party of one change. Seq counts each party's events from 1 without gaps; it is
// given in the same database transaction as the change.
type Event struct {
	Party      Party `gorm:"primaryKey"`
	Seq        int64 `gorm:"primaryKey"`
	ID         uuid.UUID
	Type       EventType
	TransferID uuid.UUID
	ResourceID string
	Role       Role
	At         time.Time
}
