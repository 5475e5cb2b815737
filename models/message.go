package models

import (
	"time"

	"github.com/google/uuid"
)

// Message is what a subscription's endpoint is sent: an event, signed.
type Message struct {
	ID       uuid.UUID // of the event; the same at every attempt
	Party    Party     // whose subscription it is
	EndPoint string
	Secrets  []string // sealed, the newest first
	Body     []byte   // a CloudEvent in JSON
}

// Answer is what became of a message.
type Answer struct {
	Status     int           // of HTTP; 0: there was none
	Fault      string        // why it does not count as delivered, for the subscription's owner; empty: it was delivered
	Gone       bool          // the endpoint says that it wants no more
	Busy       bool          // it was not tried: others are being sent to the same host
	RetryAfter time.Duration // as the endpoint asked; 0: it did not
}

// Delivered tells that the endpoint took the message.
func (a Answer) Delivered() bool { return a.Fault == "" && !a.Busy }

// WebhookKey verifies the v1a signatures of an installation.
type WebhookKey struct {
	ID     string
	Public string // Ed25519, in Standard Webhooks' form: whpk_ and base64
}
