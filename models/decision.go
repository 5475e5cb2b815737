package models

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Action is what a party wants to do in a service.
type Action string

// The actions that rights are checked for.
const (
	ActionSend    Action = "send"    // initialize a transfer
	ActionUpload  Action = "upload"  // deliver the content of a transfer that was accepted
	ActionReceive Action = "receive" // download or confirm
)

// Sends tells whether the action is a sender's.
func (a Action) Sends() bool { return a != ActionReceive }

// Question asks whether a party may do something in a service at a moment.
type Question struct {
	Action Action
	From   Party   // the sender; of no meaning for ActionReceive
	To     []Party // all recipients for ActionSend, none for ActionUpload, the one who receives for ActionReceive
	By     Caller  // whose credential asks; By.Party is the one who acts
	At     time.Time
}

// Rule is one row of the registry about an organisation in a service: its own grant, or its membership in a
// connected list (then the validity is that of both together).
type Rule struct {
	Organisation Party
	Terms        `gorm:"embedded"`
	Supplier     Party
	List         string // empty: the organisation's own grant
}

// appliesAt tells whether the rule counts at a moment when by acts for the party.
func (r Rule) appliesAt(at time.Time, by Caller) bool {
	return ValidAt(r.ValidFrom, r.ValidTo, at) &&
		(r.Effect == EffectBlock || r.Supplier == "" || r.Organisation != by.Party || by.Supplier == "" || by.Supplier == r.Supplier)
}

// Standing is what all rules together say about one organisation at one moment.
type Standing struct {
	Sends          bool // to whoever may receive
	Replies        bool // to those who accept replies
	Receives       bool
	AcceptsReplies bool
}

// Registry is what is known about the organisations that a question names, or about all.
type Registry struct {
	Resource    Resource
	rules       map[Party][]Rule
	delegations map[Party][]Delegation
}

// NewRegistry makes a registry of one service.
func NewRegistry(r Resource, rules []Rule, delegations []Delegation) Registry {
	g := Registry{Resource: r, rules: make(map[Party][]Rule, len(rules)), delegations: map[Party][]Delegation{}}
	for _, rule := range rules {
		g.rules[rule.Organisation] = append(g.rules[rule.Organisation], rule)
	}
	for _, d := range delegations {
		g.delegations[d.Principal] = append(g.delegations[d.Principal], d)
	}
	return g
}

// standing joins the rules about an organisation: what any allows and none blocks.
func (g Registry) standing(p Party, q Question) Standing {
	var s Standing
	var noSend, noReceive bool
	for _, r := range g.rules[p] {
		switch {
		case !r.appliesAt(q.At, q.By):
		case r.Effect == EffectBlock:
			noSend = noSend || r.MaySend
			noReceive = noReceive || r.MayReceive
		default:
			s.Sends = s.Sends || r.MaySend && !r.ReplyOnly
			s.Replies = s.Replies || r.MaySend
			s.Receives = s.Receives || r.MayReceive
			s.AcceptsReplies = s.AcceptsReplies || r.AcceptsReplies
		}
	}
	s.Sends, s.Replies = s.Sends && !noSend, s.Replies && !noSend
	s.Receives, s.AcceptsReplies = s.Receives && !noReceive, s.AcceptsReplies && !noReceive
	return s
}

// Findings are what the registry says about a question. The database finds the same (store/decide.go).
type Findings struct {
	Delegated bool    // the supplier may act for the party that acts; true when no supplier acts
	Actor     bool    // the acting party has its own right
	Refused   []Party // recipients without right, in the order of the question
}

// Find looks a question up.
func (g Registry) Find(q Question) Findings {
	f := Findings{Delegated: !q.NeedsDelegation() || slices.ContainsFunc(g.delegations[q.By.Party], func(d Delegation) bool {
		return d.Supplier == q.By.Supplier && d.covers(g.Resource.ID, q.Action, q.At)
	})}
	if !q.Action.Sends() {
		f.Actor = g.standing(q.By.Party, q).Receives
		return f
	}
	sender := g.standing(q.From, q)
	f.Actor = sender.Sends || sender.Replies
	for _, p := range q.To {
		if r := g.standing(p, q); !r.Receives || !sender.Sends && !r.AcceptsReplies {
			f.Refused = append(f.Refused, p)
		}
	}
	return f
}

// NeedsDelegation tells whether the registry must know of a delegation.
func (q Question) NeedsDelegation() bool { return q.By.Supplier != "" && !q.By.DelegationStated }

// Decide answers a question: nil for yes. It is the one rule of who may do what; see Verdict for the order.
func (g Registry) Decide(q Question) error { return g.Resource.Verdict(q, g.Find(q)) }

// Verdict is the answer of a service's policy to what the registry found. The order of checks is the
// reference's where it has one: sender (6), recipients (28), required party (27, 26). One recipient
// without right refuses the whole transfer. A closed service takes no new transfers; running ones finish.
func (r Resource) Verdict(q Question, f Findings) error {
	switch {
	case !f.Actor || !f.Delegated:
		return ErrNoAccess
	case !r.acceptsSupplier(q.By.Supplier):
		return ErrSupplierRefused
	case len(r.LoginMethods) > 0 && q.By.Credential.Method != "" && !slices.Contains(r.LoginMethods, q.By.Credential.Method):
		return ErrLoginMethodRefused
	case q.Action != ActionSend:
		return nil
	case r.Closed != nil:
		return ErrServiceClosed
	case r.MaxRecipients > 0 && len(q.To) > r.MaxRecipients:
		return tooManyRecipients(r.MaxRecipients, len(q.To))
	case len(f.Refused) > 0:
		return withoutRight(f.Refused)
	}
	return r.requirePresence(q)
}

func (r Resource) acceptsSupplier(p Party) bool {
	switch {
	case p == "" || r.Suppliers == SuppliersAny || r.Suppliers == "":
		return true
	case r.Suppliers == SuppliersListed:
		return slices.Contains(r.AcceptedSuppliers, p)
	}
	return false
}

func (r Resource) requirePresence(q Question) error {
	switch {
	case r.RequiredParty == "" || r.RequiredParty == q.From:
		return nil
	case len(q.To) != 1:
		return ErrRequiredPartyOne
	case q.To[0] != r.RequiredParty:
		return ErrRequiredPartyAbsent
	}
	return nil
}

// MaxNamed is how many recipients without right an error names.
const MaxNamed = 10

func withoutRight(refused []Party) error {
	e := *ErrRecipientWithoutRight
	for _, p := range refused[:min(len(refused), MaxNamed)] {
		e.Fields = append(e.Fields, FieldError{Field: "recipients", Message: string(p) + " may not receive this from you in this service."})
	}
	return &e
}

func tooManyRecipients(limit, actual int) error {
	e := errInvalid.Exceeded(int64(limit), int64(actual))
	e.Fields = []FieldError{{Field: "recipients", Message: fmt.Sprintf("This service takes at most %d recipients.", limit)}}
	return e
}

// Reason is one thing that decided, in words.
type Reason struct {
	Organisation Party
	List         string // the access list that says so; empty: the organisation's grant, a delegation or the policy
	Text         string
}

// Explain answers a question as Decide does, with what decided it.
func (g Registry) Explain(q Question) (reasons []Reason, refusal error) {
	err := g.Decide(q)
	if q.Action.Sends() {
		reasons = g.explainParty(q.From, q, "sending")
	}
	for _, p := range q.To {
		reasons = append(reasons, g.explainParty(p, q, "receiving")...)
	}
	if q.NeedsDelegation() {
		text := fmt.Sprintf("%s has not delegated this to %s.", q.By.Party, q.By.Supplier)
		if g.Find(q).Delegated {
			text = fmt.Sprintf("%s has delegated this to %s.", q.By.Party, q.By.Supplier)
		}
		reasons = append(reasons, Reason{Organisation: q.By.Party, Text: text})
	}
	if e, ok := AsError(err); ok && e.Code != ErrNoAccess.Code && e.Code != ErrRecipientWithoutRight.Code {
		text := e.Message
		for _, f := range e.Fields {
			text = f.Message
		}
		reasons = append(reasons, Reason{Organisation: g.Resource.Owner, Text: "The service's policy: " + text})
	}
	return reasons, err
}

// explainParty says what each rule about a party means for one direction.
func (g Registry) explainParty(p Party, q Question, direction string) []Reason {
	var out []Reason
	for _, r := range g.rules[p] {
		if direction == "sending" && !r.MaySend || direction == "receiving" && !r.MayReceive {
			continue
		}
		out = append(out, Reason{Organisation: p, List: r.List, Text: r.words(direction, r.appliesAt(q.At, q.By), q.At)})
	}
	if len(out) == 0 {
		out = append(out, Reason{Organisation: p, Text: fmt.Sprintf("Nothing in the registry speaks of %s %s.", p, direction)})
	}
	return out
}

func (r Rule) words(direction string, applies bool, at time.Time) string {
	var b strings.Builder
	if r.List == "" {
		fmt.Fprintf(&b, "The grant of %s ", r.Organisation)
	} else {
		fmt.Fprintf(&b, "The access list %s, of which %s is a member, ", r.List, r.Organisation)
	}
	b.WriteString(map[Effect]string{EffectAllow: "allows ", EffectBlock: "blocks "}[r.Effect] + direction)
	switch {
	case direction == "sending" && r.ReplyOnly:
		b.WriteString(", to those who accept replies")
	case direction == "receiving" && r.AcceptsReplies:
		b.WriteString(", replies included")
	case direction == "receiving" && r.Effect == EffectAllow:
		b.WriteString(", but no replies")
	}
	switch {
	case !ValidAt(r.ValidFrom, r.ValidTo, at) && r.ValidFrom != nil && r.ValidFrom.After(at):
		b.WriteString(", but only from " + r.ValidFrom.UTC().Format(time.RFC3339))
	case !ValidAt(r.ValidFrom, r.ValidTo, at):
		b.WriteString(", but only until " + r.ValidTo.UTC().Format(time.RFC3339))
	case !applies:
		b.WriteString(", but not through this supplier: only through " + string(r.Supplier))
	}
	return b.String() + "."
}

// NewListRule is what a member's list says in a service that it is connected to: valid while both are.
func NewListRule(c AccessListConnection, m AccessListMember) Rule {
	r := Rule{Organisation: m.Organisation, Terms: c.Terms, List: c.ListID}
	if m.ValidFrom != nil && (r.ValidFrom == nil || m.ValidFrom.After(*r.ValidFrom)) {
		r.ValidFrom = m.ValidFrom
	}
	if m.ValidTo != nil && (r.ValidTo == nil || m.ValidTo.Before(*r.ValidTo)) {
		r.ValidTo = m.ValidTo
	}
	return r
}
