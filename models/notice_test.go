package models

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestNotices_TellEachPartyInItsOwnRole(t *testing.T) {
	t.Parallel()
	of := Transfer{ID: uuid.New(), Sender: sender, ResourceID: "svc"}
	for name, c := range map[string]struct{ got, want []Notice }{
		"delivery": {of.NotifyRecipients(EventPublished, []Party{recipient, another}), []Notice{
			of.notice(recipient, RoleRecipient, EventPublished), of.notice(another, RoleRecipient, EventPublished),
		}},
		"confirmation": {of.NoticesOfConfirmation(recipient, false), []Notice{
			of.notice(sender, RoleSender, EventDownloadConfirmed), of.notice(recipient, RoleRecipient, EventDownloadConfirmed),
		}},
		"last confirmation": {of.NoticesOfConfirmation(recipient, true), []Notice{
			of.notice(sender, RoleSender, EventDownloadConfirmed), of.notice(recipient, RoleRecipient, EventDownloadConfirmed), of.notice(sender, RoleSender, EventAllConfirmed),
		}},
		"confirmation by the sender itself": {of.NoticesOfConfirmation(sender, false), []Notice{
			of.notice(sender, RoleSender, EventDownloadConfirmed), of.notice(sender, RoleRecipient, EventDownloadConfirmed),
		}},
		"cancellation": {of.NoticesOfCancellation([]Party{another}), []Notice{
			of.notice(sender, RoleSender, EventCancelled), of.notice(another, RoleRecipient, EventCancelled),
		}},
		"cancellation before anybody was offered it": {of.NoticesOfCancellation(nil), []Notice{of.notice(sender, RoleSender, EventCancelled)}},
		"purge": {of.NoticesOfPurge(false, nil), []Notice{of.notice(sender, RoleSender, EventPurged)}},
		"expiry": {of.NoticesOfPurge(true, []Party{recipient}), []Notice{
			of.notice(sender, RoleSender, EventPurged), of.notice(sender, RoleSender, EventNeverConfirmed), of.notice(recipient, RoleRecipient, EventNeverConfirmed),
		}},
		"reminder": {of.NoticesOfReminder([]Party{recipient}, ""), []Notice{
			of.notice(sender, RoleSender, EventReminder), of.notice(recipient, RoleRecipient, EventReminder),
		}},
		"reminder of nobody": {of.NoticesOfReminder(nil, "P1D"), nil},
	} {
		require.Equal(t, c.want, c.got, name)
	}
}

func TestNotices_SayWhyAndHowLongIsLeft(t *testing.T) {
	t.Parallel()
	of := Transfer{ID: uuid.New(), Sender: sender, ResourceID: "svc"}
	failed := of.NoticesOfFailure(FaultChecksum)
	require.Len(t, failed, 1)
	require.Equal(t, FailureReason(FaultChecksum), failed[0].Detail)
	require.Equal(t, EventUploadFailed, failed[0].Type)
	for _, n := range of.NoticesOfReminder([]Party{recipient, another}, "P1D") {
		require.Equal(t, "P1D", n.Detail)
	}
}

// notice is one of a transfer, written out.
func (t Transfer) notice(to Party, as Role, kind EventType) Notice {
	return Notice{To: to, Role: as, Type: kind, Transfer: t.ID, Resource: t.ResourceID}
}

func TestMaySeeRecipient_ShowsARecipientItselfOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		viewer, whom Party
		policy, may  bool
	}{
		{sender, recipient, false, true},
		{sender, another, false, true},
		{recipient, recipient, false, true},
		{recipient, another, false, false},
		{another, recipient, false, false},
		{recipient, another, true, true},
	} {
		require.Equal(t, c.may, MaySeeRecipient(c.viewer, sender, c.whom, c.policy), "%+v", c)
	}
}

func TestValidAt_IsFromTheFirstMomentUntilBeforeTheLast(t *testing.T) {
	t.Parallel()
	from, to := time.Unix(10, 0), time.Unix(20, 0)
	for _, c := range []struct {
		from, to *time.Time
		at       int64
		valid    bool
	}{
		{nil, nil, 0, true},
		{&from, nil, 9, false},
		{&from, nil, 10, true},
		{&from, nil, 99, true},
		{nil, &to, 0, true},
		{nil, &to, 19, true},
		{nil, &to, 20, false},
		{nil, &to, 21, false},
		{&from, &to, 9, false},
		{&from, &to, 10, true},
		{&from, &to, 19, true},
		{&from, &to, 20, false},
	} {
		at := time.Unix(c.at, 0)
		require.Equal(t, c.valid, ValidAt(c.from, c.to, at), "%+v", c)
		require.Equal(t, c.valid, Rule{Terms: Terms{ValidFrom: c.from, ValidTo: c.to}}.appliesAt(at, Caller{}), "a grant: %+v", c)
		d := Delegation{MaySend: true, ValidFrom: c.from, ValidTo: c.to}
		require.Equal(t, c.valid, d.covers("svc", ActionSend, at), "a delegation: %+v", c)
	}
}

func TestDelegation_CoversItsServiceAndItsDirection(t *testing.T) {
	t.Parallel()
	at := time.Unix(0, 0)
	for _, c := range []struct {
		d        Delegation
		resource string
		action   Action
		covers   bool
	}{
		{Delegation{MaySend: true}, "svc", ActionSend, true},
		{Delegation{MaySend: true}, "svc", ActionUpload, true},
		{Delegation{MaySend: true}, "svc", ActionReceive, false},
		{Delegation{MayReceive: true}, "svc", ActionReceive, true},
		{Delegation{MayReceive: true}, "svc", ActionSend, false},
		{Delegation{MayReceive: true}, "svc", ActionUpload, false},
		{Delegation{MaySend: true, ResourceID: "svc"}, "svc", ActionSend, true},
		{Delegation{MaySend: true, ResourceID: "other"}, "svc", ActionSend, false},
	} {
		require.Equal(t, c.covers, c.d.covers(c.resource, c.action, at), "%+v", c)
	}
}
