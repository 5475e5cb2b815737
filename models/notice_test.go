package models

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNotices_TellEachPartyInItsOwnRole(t *testing.T) {
	t.Parallel()
	of := Transfer{Sender: sender}
	for name, c := range map[string]struct{ got, want []Notice }{
		"delivery to the first": {NoticesOfDelivery(of, true, []Party{recipient, another}), []Notice{
			{sender, RoleSender, EventPublished}, {recipient, RoleRecipient, EventPublished}, {another, RoleRecipient, EventPublished},
		}},
		"delivery to a later group": {NoticesOfDelivery(of, false, []Party{another}), []Notice{{another, RoleRecipient, EventPublished}}},
		"confirmation": {NoticesOfConfirmation(of, recipient, false), []Notice{
			{sender, RoleSender, EventDownloadConfirmed}, {recipient, RoleRecipient, EventDownloadConfirmed},
		}},
		"last confirmation": {NoticesOfConfirmation(of, recipient, true), []Notice{
			{sender, RoleSender, EventDownloadConfirmed}, {recipient, RoleRecipient, EventDownloadConfirmed}, {sender, RoleSender, EventAllConfirmed},
		}},
		"confirmation by the sender itself": {NoticesOfConfirmation(of, sender, false), []Notice{
			{sender, RoleSender, EventDownloadConfirmed}, {sender, RoleRecipient, EventDownloadConfirmed},
		}},
		"cancellation": {NoticesOfCancellation(of, []Party{another}), []Notice{
			{sender, RoleSender, EventCancelled}, {another, RoleRecipient, EventCancelled},
		}},
		"cancellation before anybody was offered it": {NoticesOfCancellation(of, nil), []Notice{{sender, RoleSender, EventCancelled}}},
		"purge": {NoticesOfPurge(of, false, nil), []Notice{{sender, RoleSender, EventPurged}}},
		"expiry": {NoticesOfPurge(of, true, []Party{recipient}), []Notice{
			{sender, RoleSender, EventPurged}, {sender, RoleSender, EventNeverConfirmed}, {recipient, RoleRecipient, EventNeverConfirmed},
		}},
		"reminder": {NoticesOfReminder(of, []Party{recipient}), []Notice{
			{sender, RoleSender, EventReminder}, {recipient, RoleRecipient, EventReminder},
		}},
		"reminder of nobody": {NoticesOfReminder(of, nil), nil},
	} {
		require.Equal(t, c.want, c.got, name)
	}
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
