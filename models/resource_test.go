package models

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// applied is a service's policy after a patch.
func applied(t *testing.T, p ResourcePatch) Resource {
	t.Helper()
	r, err := NewResource("svc", sender).Apply(p, time.Unix(5, 0))
	require.NoError(t, err)
	return r
}

func TestApply_TakesWhatIsGivenAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	before := NewResource("svc", sender)
	require.Equal(t, before, applied(t, ResourcePatch{}))
	got := applied(t, ResourcePatch{
		MaxFileSize: new(int64(10)), TimeToLive: new("P1D"), PurgeAfterConfirmed: new(false), Grace: new("PT0S"),
		UseManifestShim: new(true), ServiceCode: new("1234"), EditionCode: new(int32(1)), RequiredParty: new("974760673"),
		MaxRecipients: new(5), RecipientsSeeEachOther: new(true), LoginMethods: &[]string{"certificate", "key-token", "certificate"},
		VirusScan: new("required"), Suppliers: new("listed"), AcceptedSuppliers: &[]string{"0192:974760673"}, ComputeMD5: new(false),
	})
	require.Equal(t, Resource{
		ID: "svc", Owner: sender, MaxFileSize: 10, TimeToLive: day, UseManifestShim: true, ServiceCode: "1234", EditionCode: 1,
		RequiredParty: "0192:974760673", MaxRecipients: 5, RecipientsSeeEachOther: true, LoginMethods: []LoginMethod{LoginCertificate, LoginKeyToken},
		VirusScan: ScanRequired, Suppliers: SuppliersListed, AcceptedSuppliers: []Party{"0192:974760673"}, ConfirmationReminders: []time.Duration{},
	}, got)
	off, err := got.Apply(ResourcePatch{RequiredParty: new("")}, time.Unix(6, 0))
	require.NoError(t, err)
	require.Empty(t, off.RequiredParty)
	require.Equal(t, got.MaxFileSize, off.MaxFileSize)
}

func TestApply_ClosesOnceAndOpensAgain(t *testing.T) {
	t.Parallel()
	first := time.Unix(5, 0)
	closed := applied(t, ResourcePatch{Closed: new(true)})
	require.Equal(t, &first, closed.Closed)
	again, err := closed.Apply(ResourcePatch{Closed: new(true)}, time.Unix(9, 0))
	require.NoError(t, err)
	require.Equal(t, &first, again.Closed, "it is closed since then")
	open, err := closed.Apply(ResourcePatch{Closed: new(false)}, time.Unix(9, 0))
	require.NoError(t, err)
	require.Nil(t, open.Closed)
}

func TestApply_RefusesWhatTheReferenceRefuses(t *testing.T) {
	t.Parallel()
	many := make([]string, maxAcceptedSuppliers+1)
	for name, c := range map[string]struct {
		patch ResourcePatch
		want  *Error
		field string
	}{
		"negative size":       {ResourcePatch{MaxFileSize: new(int64(-1))}, ErrMaxSizeNegative, ""},
		"no size":             {ResourcePatch{MaxFileSize: new(int64(0))}, ErrMaxSizeZero, ""},
		"too large":           {ResourcePatch{MaxFileSize: new(MaxFileSizeLimit + 1)}, ErrMaxSizeTooLarge, ""},
		"no duration":         {ResourcePatch{TimeToLive: new("soon")}, ErrTTLFormat, ""},
		"no time to live":     {ResourcePatch{TimeToLive: new("PT0S")}, ErrTTLFormat, ""},
		"negative life":       {ResourcePatch{TimeToLive: new("-P1D")}, ErrTTLFormat, ""},
		"too long a life":     {ResourcePatch{TimeToLive: new("P366D")}, ErrTTLTooLong, ""},
		"no grace":            {ResourcePatch{Grace: new("2h")}, ErrGraceFormat, ""},
		"negative grace":      {ResourcePatch{Grace: new("-PT1S")}, ErrGraceFormat, ""},
		"too long a grace":    {ResourcePatch{Grace: new("PT24H1S")}, ErrGraceTooLong, ""},
		"shim without codes":  {ResourcePatch{UseManifestShim: new(true)}, ErrManifestShimCodes, ""},
		"shim, one code":      {ResourcePatch{UseManifestShim: new(true), ServiceCode: new("1")}, ErrManifestShimCodes, ""},
		"long service code":   {ResourcePatch{ServiceCode: new("12345678")}, errInvalid, "externalServiceCodeLegacy"},
		"NUL in service code": {ResourcePatch{ServiceCode: new("\x00")}, errInvalid, "externalServiceCodeLegacy"},
		"required party":      {ResourcePatch{RequiredParty: new("somebody")}, errInvalid, "requiredParty"},
		"check digit":         {ResourcePatch{RequiredParty: new("974760674")}, errInvalid, "requiredParty"},
		"recipients below 0":  {ResourcePatch{MaxRecipients: new(-1)}, errInvalid, "maxRecipients"},
		"too many recipients": {ResourcePatch{MaxRecipients: new(MaxRecipientsLimit + 1)}, errInvalid, "maxRecipients"},
		"login":               {ResourcePatch{LoginMethods: &[]string{"password"}}, errInvalid, "loginMethods"},
		"scan":                {ResourcePatch{VirusScan: new("maybe")}, errInvalid, "virusScan"},
		"suppliers":           {ResourcePatch{Suppliers: new("some")}, errInvalid, "suppliers"},
		"accepted suppliers":  {ResourcePatch{AcceptedSuppliers: &[]string{"0192:974760673", "x"}}, errInvalid, "acceptedSuppliers[1]"},
		"too many suppliers":  {ResourcePatch{AcceptedSuppliers: &many}, errInvalid, "acceptedSuppliers"},
	} {
		_, err := NewResource("svc", sender).Apply(c.patch, time.Unix(5, 0))
		require.ErrorIs(t, err, c.want, name)
		if c.field != "" {
			e, _ := AsError(err)
			require.Equal(t, c.field, e.Fields[0].Field, name)
		}
	}
	largest := applied(t, ResourcePatch{MaxFileSize: new(MaxFileSizeLimit), TimeToLive: new("P365D"), Grace: new("PT24H"), MaxRecipients: new(MaxRecipientsLimit), ServiceCode: new("1234567")})
	require.Equal(t, MaxFileSizeLimit, largest.MaxFileSize, "each limit may be reached")
}

func TestOfReference_IsNoPatchOfOurFields(t *testing.T) {
	t.Parallel()
	require.True(t, ResourcePatch{MaxFileSize: new(int64(1)), TimeToLive: new("P1D"), PurgeAfterConfirmed: new(true), Grace: new("PT1H"), UseManifestShim: new(true), ServiceCode: new("1"), EditionCode: new(int32(1)), RequiredParty: new("")}.OfReference())
	none := []string{}
	for name, p := range map[string]ResourcePatch{
		"recipients": {MaxRecipients: new(1)}, "see each other": {RecipientsSeeEachOther: new(true)}, "login": {LoginMethods: &none},
		"scan": {VirusScan: new("off")}, "suppliers": {Suppliers: new("any")}, "accepted": {AcceptedSuppliers: &none},
		"closed": {Closed: new(false)}, "MD5": {ComputeMD5: new(true)}, "reminders": {ConfirmationReminders: &none},
	} {
		require.False(t, p.OfReference(), name)
	}
}

func TestCheckDeclared_RefusesAnMD5ThatNobodyComputes(t *testing.T) {
	t.Parallel()
	r := NewResource("svc", sender)
	require.NoError(t, r.CheckDeclared("m"))
	r.ComputeMD5 = false
	require.NoError(t, r.CheckDeclared(""))
	require.ErrorIs(t, r.CheckDeclared("m"), errInvalid)
}

func TestAudited_TellsEveryFieldOfAPolicy(t *testing.T) {
	t.Parallel()
	before, after := NewResource("svc", sender).Audited(), applied(t, ResourcePatch{
		MaxFileSize: new(int64(10)), TimeToLive: new("P1D"), PurgeAfterConfirmed: new(false), Grace: new("PT0S"),
		UseManifestShim: new(true), ServiceCode: new("1234"), EditionCode: new(int32(1)), RequiredParty: new("974760673"),
		MaxRecipients: new(5), RecipientsSeeEachOther: new(true), LoginMethods: &[]string{"certificate"}, VirusScan: new("required"),
		Suppliers: new("listed"), AcceptedSuppliers: &[]string{"0192:974760673"}, ComputeMD5: new(false), Closed: new(true),
		ConfirmationReminders: &[]string{"P1D"},
	}).Audited()
	require.Len(t, after, len(before))
	for name := range before {
		if name != "owner" {
			require.NotEqual(t, before[name], after[name], "a change of %s is not told", name)
		}
	}
	require.Equal(t, []string{"P1D"}, after["confirmationReminders"])
	require.Equal(t, map[string]any{"name": "n"}, ServiceOwner{Name: "n"}.Audited())
}

func TestPresence_AsksForTheRequiredParty(t *testing.T) {
	t.Parallel()
	r := NewResource("svc", sender)
	r.RequiredParty = another
	found := Findings{Delegated: true, Actor: true}
	ask := func(from Party, to ...Party) error {
		return r.Verdict(Question{Action: ActionSend, From: from, To: to, By: Caller{Party: from}}, found)
	}
	require.NoError(t, ask(another, sender, recipient), "it is the sender")
	require.NoError(t, ask(sender, another))
	require.ErrorIs(t, ask(sender, recipient), ErrRequiredPartyAbsent)
	require.ErrorIs(t, ask(sender, recipient, another), ErrRequiredPartyOne)
	r.RequiredParty = ""
	require.NoError(t, ask(sender, recipient))
}

func TestNewResourceID_IsNarrowerThanWhatMayBeAskedFor(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "A-1_x.y", strings.Repeat("x", 255)} {
		require.NoError(t, CheckNewResourceID(good), good)
	}
	for _, bad := range []string{"", "-a", ".a", "a b", "æ", "a:b", "urn:altinn:resource:a", strings.Repeat("x", 256)} {
		require.ErrorIs(t, CheckNewResourceID(bad), errInvalid, bad)
	}
	require.NoError(t, CheckResourceID("urn:altinn:resource:a b"))
	require.ErrorIs(t, CheckResourceID("a:b"), errInvalid)
	require.Equal(t, "svc", ResourceID("urn:altinn:resource:svc"))
	require.Equal(t, "svc", ResourceID("svc"))
	require.NoError(t, CheckText("f", "æ"))
	require.Error(t, CheckText("f", "\xff"))
	require.Error(t, CheckText("f", "\x00"))
}
