package models

import "time"

// Acceptance is what authorize decided for a transfer that may go ahead: the policy that holds for
// its whole life, whatever becomes of the service's policy later.
type Acceptance struct {
	// Duplicate tells that another workflow run accepted this transfer before; this one must not touch it.
	Duplicate           bool
	Recipients          int
	UploadDeadline      time.Time
	Expires             time.Time
	PurgeAfterConfirmed bool
	Grace               time.Duration
	Reminders           []time.Duration // before Expires, to who has not confirmed
}
