package models

import "time"

// Effect tells whether a rule gives rights or takes them away.
type Effect string

// The two effects. What is blocked stays blocked, whatever else allows it.
const (
	EffectAllow Effect = "allow"
	EffectBlock Effect = "block"
)

// Terms are what a grant, or an access list connected to a service, gives or takes.
type Terms struct {
	Effect         Effect
	MaySend        bool
	MayReceive     bool
	ReplyOnly      bool       // may send only to those whose receive accepts replies
	AcceptsReplies bool       // may be sent to by those who may only reply
	ValidFrom      *time.Time // inclusive; nil: since ever
	ValidTo        *time.Time // exclusive; nil: for ever
}

// Check tells what is wrong with the terms, field by field.
func (t Terms) Check() []FieldError {
	var c checker
	c.must(t.Effect == EffectAllow || t.Effect == EffectBlock, "effect", "The effect must be allow or block.")
	c.must(t.MaySend || t.MayReceive, "send, receive", "At least one of send and receive must be true; delete the entry to take both away.")
	c.must(!t.ReplyOnly || t.MaySend, "replyOnly", "replyOnly says how somebody may send, so send must be true.")
	c.must(!t.AcceptsReplies || t.MayReceive, "acceptsReplies", "acceptsReplies says from whom somebody may receive, so receive must be true.")
	c.must(t.Effect != EffectBlock || !t.ReplyOnly && !t.AcceptsReplies, "effect", "A block takes send or receive as a whole: neither replyOnly nor acceptsReplies goes with it.")
	c.validity(t.ValidFrom, t.ValidTo)
	return c.found
}

func (c *checker) must(right bool, field, message string) {
	if !right {
		c.add(field, "%s", message)
	}
}

func (c *checker) validity(from, to *time.Time) {
	c.must(from == nil || to == nil || from.Before(*to), "validTo", "validTo must be later than validFrom.")
	for _, at := range []*time.Time{from, to} { // what both databases can hold and compare
		c.must(at == nil || at.Year() >= 1900 && at.Year() < 10_000, "validFrom, validTo", "The year must be between 1900 and 9999.")
	}
}

// ValidAt tells whether a moment lies in [from, to): the first moment counts, the last one does not, and nil is no bound.
func ValidAt(from, to *time.Time, at time.Time) bool {
	return (from == nil || !from.After(at)) && (to == nil || to.After(at))
}

func (t Terms) facts() map[string]any {
	return map[string]any{
		"effect": t.Effect, "send": t.MaySend, "receive": t.MayReceive, "replyOnly": t.ReplyOnly,
		"acceptsReplies": t.AcceptsReplies, "validFrom": t.ValidFrom, "validTo": t.ValidTo,
	}
}

// Limits of the texts in the registry, in characters.
const (
	MaxNote = 1000
	MaxName = 255
)

// Grant is what a service owner lets one organisation do in one service, or forbids it to do.
type Grant struct {
	ResourceID   string `gorm:"primaryKey"`
	Organisation Party  `gorm:"primaryKey"`
	Terms        `gorm:"embedded"`
	Supplier     Party // the only supplier that may use the grant for the organisation; empty: any that it delegated to
	Note         string
	Version      int64 // of the audit entry that wrote it
	Updated      time.Time
}

// Check tells what is wrong with the grant.
func (g Grant) Check() error {
	c := checker{found: g.Terms.Check()}
	c.note("note", g.Note)
	c.must(g.Supplier != g.Organisation, "supplier", "The supplier must be another organisation; leave it out for the organisation itself.")
	return Invalid(c.found)
}

// Audited implements Audited.
func (g Grant) Audited() map[string]any {
	f := g.facts()
	f["organization"], f["supplier"], f["note"] = g.Organisation, g.Supplier, g.Note
	return f
}

// GrantChange is one row of a batch.
type GrantChange struct {
	Grant     Grant
	Delete    bool  // only the organisation of Grant counts then
	Unread    error // why the row cannot even be tried; nil: it can
	Condition Condition
}

// GrantResult tells how one row of a batch went.
type GrantResult struct {
	Grant   Grant // with its new version
	Created bool
	Err     error
}

// Delegation lets a supplier act for the organisation that made it, in one service or in all.
type Delegation struct {
	Principal  Party  `gorm:"primaryKey"`
	Supplier   Party  `gorm:"primaryKey"`
	ResourceID string `gorm:"primaryKey"` // empty: all services
	MaySend    bool
	MayReceive bool
	ValidFrom  *time.Time
	ValidTo    *time.Time
	Version    int64
	Updated    time.Time
}

// Check tells what is wrong with the delegation.
func (d Delegation) Check() error {
	var c checker
	c.must(d.Supplier != d.Principal, "supplier", "An organisation acts for itself without a delegation.")
	c.must(d.MaySend || d.MayReceive, "send, receive", "At least one of send and receive must be true; delete the delegation to take both away.")
	c.validity(d.ValidFrom, d.ValidTo)
	return Invalid(c.found)
}

// Audited implements Audited.
func (d Delegation) Audited() map[string]any {
	return map[string]any{
		"supplier": d.Supplier, "resource": d.ResourceID, "send": d.MaySend, "receive": d.MayReceive,
		"validFrom": d.ValidFrom, "validTo": d.ValidTo,
	}
}

// covers tells whether the delegation holds for an action in a service at a moment.
func (d Delegation) covers(resource string, action Action, at time.Time) bool {
	may := d.MayReceive
	if action.Sends() {
		may = d.MaySend
	}
	return may && (d.ResourceID == "" || d.ResourceID == resource) && ValidAt(d.ValidFrom, d.ValidTo, at)
}

// Verdict tells why a change may not be made of the grant that there is, if there is one; nil when it may.
func (c GrantChange) Verdict(old Grant, exists bool) error {
	switch err := c.Condition.Check(old.Version); {
	case c.Unread != nil:
		return c.Unread
	case err != nil:
		return err
	case c.Delete && !exists:
		return ErrEntryNotFound
	case c.Delete:
		return nil
	}
	return c.Grant.Check()
}
