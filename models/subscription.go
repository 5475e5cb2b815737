package models

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// SubscriptionStatus is whether events are sent to a subscription's endpoint.
type SubscriptionStatus string

// The statuses of a subscription.
const (
	SubscriptionUnvalidated SubscriptionStatus = "unvalidated" // its endpoint has not answered the validation event yet
	SubscriptionActive      SubscriptionStatus = "active"
	SubscriptionDisabled    SubscriptionStatus = "disabled" // given up; its owner may enable it again
	SubscriptionDeleted     SubscriptionStatus = "deleted"  // nobody sees it; its workflow removes the row and ends
)

// Subscription is an organisation's wish to be told of its events at an endpoint. The organisation decides about
// the upper half through the API, with Version; the lower half is how far its workflow has come.
type Subscription struct {
	ID             int64          `gorm:"primaryKey"` // 1 to MaxSubscriptionID: clients of Altinn Events expect an int
	Party          Party          // whose events it tells
	EndPoint       string         // URL; it may carry a token, so it is never logged
	SourceFilter   string         // as given
	ResourceID     string         // events of this service only; empty: of all
	SubjectFilter  string         // as given
	TypeFilter     []string       `gorm:"serializer:json"` // full types; empty: all
	Secrets        []SealedSecret `gorm:"serializer:json"` // the newest first
	IdempotencyKey *string
	RequestHash    string // see SameRequest
	EarlierHash    string `gorm:"-"` // the same by the version before, which only rows of then are compared with
	Version        int64
	Created        time.Time

	Status        SubscriptionStatus
	Validated     *time.Time
	Cursor        int64      // number of the last event of Party that was told or passed over
	Busy          *time.Time // when its workflow was last known to be at work; nil: it waits to be woken
	NextAttempt   *time.Time // after a failure
	FailingSince  *time.Time // since then nothing was delivered
	LastError     string
	LastDelivered *time.Time
	LastEventID   *uuid.UUID // that was delivered
}

// SealedSecret is a signing secret, encrypted by package webhook.
type SealedSecret struct {
	Sealed string
	Until  *time.Time `json:",omitempty"` // when it stops to sign; nil: it is the newest
}

// Audited implements Audited. The endpoint's query may be a secret and stays out of the audit.
func (s Subscription) Audited() map[string]any {
	endPoint, _, _ := strings.Cut(s.EndPoint, "?")
	return map[string]any{
		"id": s.ID, "endPoint": endPoint, "resource": s.ResourceID, "types": s.TypeFilter, "secrets": len(s.Secrets),
	}
}

// Limits of subscriptions.
const (
	MaxSubscriptionID = 1<<31 - 1
	MaxEndPoint       = 2048 // characters
	MaxOverlap        = 7 * 24 * time.Hour
	DefaultOverlap    = 24 * time.Hour
	// GiveUpAfter is how long an endpoint may fail before its subscription is disabled.
	GiveUpAfter = 3 * 24 * time.Hour
)

// The events that the broker makes up for one subscription. They are in no feed.
const (
	EventValidateSubscription = "platform.events.validatesubscription"
	EventTestSubscription     = "platform.events.testsubscription"
)

// EventSubscriptionDisabled tells an organisation that one of its subscriptions was given up. It names the
// transfer whose event could not be delivered.
const EventSubscriptionDisabled EventType = "subscriptiondisabled"

// ResourceURN is a service as events and filters name it; empty for none.
func ResourceURN(id string) string {
	if id == "" {
		return ""
	}
	return resourceURN + id
}

// SubscriptionSource is where events about a subscription itself come from.
func SubscriptionSource(publicURL string, id int64) string {
	return fmt.Sprintf("%s/events/api/v1/subscriptions/%d", strings.TrimSuffix(publicURL, "/"), id)
}

// Filter is what the subscription wants to hear of.
func (s Subscription) Filter() EventFilter {
	return EventFilter{Types: s.TypeFilter, Resource: s.ResourceID}
}

// Rotate makes a secret the newest; the one before signs beside it until then, and older ones no more.
func (s *Subscription) Rotate(newest string, until time.Time) {
	secrets := []SealedSecret{{Sealed: newest}}
	if len(s.Secrets) > 0 {
		secrets = append(secrets, SealedSecret{Sealed: s.Secrets[0].Sealed, Until: &until})
	}
	s.Secrets = secrets
}

// Signing lists the sealed secrets that sign at a moment, the newest first.
func (s Subscription) Signing(at time.Time) []string {
	var out []string
	for _, secret := range s.Secrets {
		if secret.Until == nil || at.Before(*secret.Until) {
			out = append(out, secret.Sealed)
		}
	}
	return out
}

// CheckFilters tells what is wrong with the filters: what can never match is refused, because nobody would notice.
// source is the source of this broker's events.
func (s Subscription) CheckFilters(source string) error {
	var k checker
	if s.SourceFilter != "" && s.SourceFilter != source {
		k.add("sourceFilter", "The source of all events here is %s.", source)
	}
	if s.ResourceID != "" && CheckResourceID(s.ResourceID) != nil {
		k.add("resourceFilter", "It must be a service, as its id or as %sid.", resourceURN)
	}
	if s.SubjectFilter != "" && !(EventFilter{Subject: s.SubjectFilter}).Concerns(s.Party) {
		k.add("subjectFilter", "An organisation is told of its own events only; their subject is %s.", s.Party.URN())
	}
	if (EventFilter{Types: s.TypeFilter}).Check() != nil {
		k.add("typeFilter", "A type must be one of %v, or one of these after %s", EventTypes(), eventTypePrefix)
	}
	return Invalid(k.found)
}

// SubscriptionView is a subscription with how far it is behind.
type SubscriptionView struct {
	Subscription
	Lag int64 // events of the organisation after the cursor
}

// TestResult tells how an endpoint answered a test event.
type TestResult struct {
	EventID    uuid.UUID
	Delivered  bool
	Status     int // of HTTP; 0: there was no answer
	Error      string
	TookMillis int64
}
