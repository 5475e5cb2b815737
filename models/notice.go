package models

import "github.com/google/uuid"

// Notice is an event before it has its number: whom it tells, as what, and of what.
type Notice struct {
	To       Party
	Role     Role
	Type     EventType
	Transfer uuid.UUID
	Resource string
	Detail   string // as in Event
}

// Notify makes a notice of a transfer.
func (t Transfer) Notify(to Party, as Role, kind EventType) Notice {
	return Notice{To: to, Role: as, Type: kind, Transfer: t.ID, Resource: t.ResourceID}
}

// NotifySender makes a notice of a transfer for its sender.
func (t Transfer) NotifySender(kind EventType) Notice { return t.Notify(t.Sender, RoleSender, kind) }

// ConfirmationNotices tell of a recipient's confirmation: the sender and the recipient of it, and the sender of the last
// one, by which all have confirmed.
func (t Transfer) ConfirmationNotices(recipient Party, all bool) []Notice {
	out := []Notice{
		t.NotifySender(EventDownloadConfirmed),
		t.Notify(recipient, RoleRecipient, EventDownloadConfirmed),
	}
	if all {
		out = append(out, t.NotifySender(EventAllConfirmed))
	}
	return out
}
