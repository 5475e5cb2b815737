package models

// Notice is an event before it has its number: whom it tells, in which role, and of what.
type Notice struct {
	To   Party
	Role Role
	Type EventType
}

// toSender tells the sender.
func toSender(t Transfer, kind EventType) Notice { return Notice{t.Sender, RoleSender, kind} }

// toRecipients tells each of some recipients.
func toRecipients(kind EventType, to []Party) []Notice {
	out := make([]Notice, len(to))
	for i, p := range to {
		out[i] = Notice{p, RoleRecipient, kind}
	}
	return out
}

// NoticesOfDelivery tells recipients that the file is there for them, and with the first of them the sender.
func NoticesOfDelivery(t Transfer, first bool, to []Party) []Notice {
	var out []Notice
	if first {
		out = append(out, toSender(t, EventPublished))
	}
	return append(out, toRecipients(EventPublished, to)...)
}

// NoticesOfConfirmation tells the sender and the recipient that this one has confirmed, and the sender when all have.
func NoticesOfConfirmation(t Transfer, by Party, all bool) []Notice {
	out := []Notice{toSender(t, EventDownloadConfirmed), {by, RoleRecipient, EventDownloadConfirmed}}
	if all {
		out = append(out, toSender(t, EventAllConfirmed))
	}
	return out
}

// NoticesOfCancellation tells the sender, and those who had been offered the file.
func NoticesOfCancellation(t Transfer, offered []Party) []Notice {
	return append([]Notice{toSender(t, EventCancelled)}, toRecipients(EventCancelled, offered)...)
}

// NoticesOfPurge tells the sender that the file is gone; when it expired before all had confirmed, also that this never
// came, and so who was offered the file and did not confirm.
func NoticesOfPurge(t Transfer, expired bool, waiting []Party) []Notice {
	out := []Notice{toSender(t, EventPurged)}
	if expired {
		out = append(append(out, toSender(t, EventNeverConfirmed)), toRecipients(EventNeverConfirmed, waiting)...)
	}
	return out
}

// NoticesOfReminder tells who was offered the file and has not confirmed, and the sender; nobody when there is nobody to
// wait for.
func NoticesOfReminder(t Transfer, waiting []Party) []Notice {
	if len(waiting) == 0 {
		return nil
	}
	return append([]Notice{toSender(t, EventReminder)}, toRecipients(EventReminder, waiting)...)
}

// MaySeeRecipient tells whether a viewer may see that somebody is a recipient of a transfer: its sender sees all, a
// recipient itself, and the others only when the service says that its recipients see each other. Whether the viewer is
// a party at all is asked before, see VisibleTo.
func MaySeeRecipient(viewer, sender, recipient Party, seeEachOther bool) bool {
	return viewer == sender || viewer == recipient || seeEachOther
}
