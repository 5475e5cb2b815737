package models

import (
	"time"

	"github.com/google/uuid"
)

// RequestState is where an access request stands.
type RequestState string

// An access request is answered once.
const (
	RequestPending  RequestState = "pending"
	RequestApproved RequestState = "approved"
	RequestDenied   RequestState = "denied"
	// RequestWithdrawn is a request that who asked took back before it was answered.
	RequestWithdrawn RequestState = "withdrawn"
)

// AccessRequest is an organisation's wish for rights in a service, which the service's owner approves or denies.
type AccessRequest struct {
	ID           uuid.UUID `gorm:"primaryKey"`
	ResourceID   string
	Organisation Party
	MaySend      bool
	MayReceive   bool
	Text         string
	State        RequestState
	Answer       string // the owner's words
	Version      int64
	Created      time.Time
	Answered     *time.Time
}

// Check tells what is wrong with the request.
func (r AccessRequest) Check() error {
	var c checker
	c.must(r.MaySend || r.MayReceive, "send, receive", "At least one of send and receive must be true.")
	c.note("text", r.Text)
	return Invalid(c.found)
}

// Audited implements Audited.
func (r AccessRequest) Audited() map[string]any {
	return map[string]any{
		"organization": r.Organisation, "send": r.MaySend, "receive": r.MayReceive, "text": r.Text, "state": r.State, "answer": r.Answer,
	}
}

// AccessAnswer is what a service owner says to an access request.
type AccessAnswer struct {
	Approve   bool
	Text      string
	ValidFrom *time.Time // of the grant, when approved
	ValidTo   *time.Time
}

// State is the request's after this answer.
func (a AccessAnswer) State() RequestState {
	if a.Approve {
		return RequestApproved
	}
	return RequestDenied
}

// Check tells what is wrong with the answer.
func (a AccessAnswer) Check() error {
	var c checker
	c.note("text", a.Text)
	c.validity(a.ValidFrom, a.ValidTo)
	return Invalid(c.found)
}

// Grant is what an approved request gives.
func (r AccessRequest) Grant(a AccessAnswer) Grant {
	return Grant{
		ResourceID: r.ResourceID, Organisation: r.Organisation, Note: "access request " + r.ID.String(),
		Terms: Terms{Effect: EffectAllow, MaySend: r.MaySend, MayReceive: r.MayReceive, ValidFrom: a.ValidFrom, ValidTo: a.ValidTo},
	}
}

// Joined is the grant of an approved request beside what the organisation has: what was allowed stays, and what has
// ended stays ended. ErrGrantInTheWay when one grant cannot say both: a block, another validity, or a supplier of its own.
func (g Grant) Joined(before Grant, at time.Time) (Grant, error) {
	if before.Organisation == "" || before.ValidTo != nil && !before.ValidTo.After(at) {
		return g, nil
	}
	if before.Effect != EffectAllow || before.Supplier != "" || !sameTime(before.ValidFrom, g.ValidFrom) || !sameTime(before.ValidTo, g.ValidTo) {
		return g, ErrGrantInTheWay
	}
	g.ReplyOnly = before.ReplyOnly && !g.MaySend
	g.AcceptsReplies, g.Note = before.AcceptsReplies, before.Note
	g.MaySend, g.MayReceive = g.MaySend || before.MaySend, g.MayReceive || before.MayReceive
	return g, nil
}

// AccessRequestQuery asks for access requests, oldest first.
type AccessRequestQuery struct {
	Organisation Party  // who asked; empty: anybody
	ResourceID   string // empty: any
	State        RequestState
	After        uuid.UUID // the last one read; uuid.Nil: from the start
	Limit        int
}
