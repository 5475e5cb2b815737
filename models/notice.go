package models

import "github.com/google/uuid"

// Notice is an event before it has its number: whom it notifies, in which role, and of what.
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

// NotifyRecipients makes a notice of a transfer for each of some recipients.
func (t Transfer) NotifyRecipients(kind EventType, to []Party) []Notice {
	out := make([]Notice, len(to))
	for i, p := range to {
		out[i] = t.Notify(p, RoleRecipient, kind)
	}
	return out
}

// NoticesOfConfirmation tell the sender and the recipient that this one has confirmed, and the sender when all have.
func (t Transfer) NoticesOfConfirmation(by Party, all bool) []Notice {
	out := append([]Notice{t.NotifySender(EventDownloadConfirmed)}, t.NotifyRecipients(EventDownloadConfirmed, []Party{by})...)
	if all {
		out = append(out, t.NotifySender(EventAllConfirmed))
	}
	return out
}

// NoticesOfCancellation tell the sender, and those who had been offered the file.
func (t Transfer) NoticesOfCancellation(offered []Party) []Notice {
	return append([]Notice{t.NotifySender(EventCancelled)}, t.NotifyRecipients(EventCancelled, offered)...)
}

// NoticesOfFailure tell the sender that the content did not come or is not what was declared.
func (t Transfer) NoticesOfFailure(text string) []Notice {
	n := t.NotifySender(EventUploadFailed)
	n.Detail = FailureReason(text)
	return []Notice{n}
}

// NoticesOfPurge tell the sender that the file is gone; when it expired before all had confirmed, also that this never
// came, and so who was offered the file and did not confirm.
func (t Transfer) NoticesOfPurge(expired bool, waiting []Party) []Notice {
	out := []Notice{t.NotifySender(EventPurged)}
	if expired {
		out = append(append(out, t.NotifySender(EventNeverConfirmed)), t.NotifyRecipients(EventNeverConfirmed, waiting)...)
	}
	return out
}

// NoticesOfReminder tell who was offered the file and has not confirmed, and the sender, how long is left; nobody when
// there is nobody to wait for. The detail is the time left.
func (t Transfer) NoticesOfReminder(waiting []Party, detail string) []Notice {
	if len(waiting) == 0 {
		return nil
	}
	out := append([]Notice{t.NotifySender(EventReminder)}, t.NotifyRecipients(EventReminder, waiting)...)
	for i := range out {
		out[i].Detail = detail
	}
	return out
}

// MaySeeRecipient tells whether a viewer may see that somebody is a recipient of a transfer: its sender sees all, a
// recipient itself, and the others only when the service says that its recipients see each other. Whether the viewer is
// a party at all is asked before, see VisibleTo. The database answers it where recipients are read; a test holds the two
// together.
func MaySeeRecipient(viewer, sender, recipient Party, seeEachOther bool) bool {
	return viewer == sender || viewer == recipient || seeEachOther
}
