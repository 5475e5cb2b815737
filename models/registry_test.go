package models

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// fields are the names that an error gives to what is wrong.
func fields(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	e, ok := AsError(err)
	require.True(t, ok)
	out := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		out[i] = f.Field
	}
	return out
}

func TestGrant_IsCheckedFieldByField(t *testing.T) {
	t.Parallel()
	early, late, ancient := time.Unix(1, 0), time.Unix(2, 0), time.Date(1800, 1, 1, 0, 0, 0, 0, time.UTC)
	good := Grant{Organisation: recipient, Terms: Terms{Effect: EffectAllow, MaySend: true}}
	for name, c := range map[string]struct {
		spoil func(*Grant)
		want  []string
	}{
		"right":                   {func(*Grant) {}, nil},
		"no effect":               {func(g *Grant) { g.Effect = "" }, []string{"effect"}},
		"nothing given":           {func(g *Grant) { g.MaySend = false }, []string{"send, receive"}},
		"replies without sending": {func(g *Grant) { g.MaySend, g.MayReceive, g.ReplyOnly = false, true, true }, []string{"replyOnly"}},
		"accepts what it may not": {func(g *Grant) { g.AcceptsReplies = true }, []string{"acceptsReplies"}},
		"a block of replies":      {func(g *Grant) { g.Effect, g.ReplyOnly = EffectBlock, true }, []string{"effect"}},
		"ends before it begins":   {func(g *Grant) { g.ValidFrom, g.ValidTo = &late, &early }, []string{"validTo"}},
		"never begins":            {func(g *Grant) { g.ValidFrom, g.ValidTo = &early, &early }, []string{"validTo"}},
		"another age":             {func(g *Grant) { g.ValidFrom = &ancient }, []string{"validFrom, validTo"}},
		"long note":               {func(g *Grant) { g.Note = strings.Repeat("æ", MaxNote+1) }, []string{"note"}},
		"its own supplier":        {func(g *Grant) { g.Supplier = recipient }, []string{"supplier"}},
	} {
		g := good
		c.spoil(&g)
		require.Equal(t, c.want, fields(t, g.Check()), name)
	}
}

func TestDelegation_IsCheckedFieldByField(t *testing.T) {
	t.Parallel()
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	good := Delegation{Principal: sender, Supplier: another, MaySend: true}
	require.NoError(t, good.Check())
	itself, nothing, backwards := good, good, good
	itself.Supplier, nothing.MaySend, backwards.ValidFrom, backwards.ValidTo = sender, false, &late, &early
	require.Equal(t, []string{"supplier"}, fields(t, itself.Check()))
	require.Equal(t, []string{"send, receive"}, fields(t, nothing.Check()))
	require.Equal(t, []string{"validTo"}, fields(t, backwards.Check()))
}

func TestAccessLists_AreCheckedFieldByField(t *testing.T) {
	t.Parallel()
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	for _, good := range []string{"a", "0", "a-b_c9", strings.Repeat("x", 100)} {
		require.NoError(t, CheckListID(good), good)
	}
	for _, bad := range []string{"", "-a", "A", "a b", "a.b", strings.Repeat("x", 101)} {
		require.Equal(t, []string{"identifier"}, fields(t, CheckListID(bad)), bad)
	}
	require.NoError(t, AccessList{Name: "n"}.Check())
	require.Equal(t, []string{"name"}, fields(t, AccessList{}.Check()))
	require.Equal(t, []string{"name"}, fields(t, AccessList{Name: strings.Repeat("n", MaxName+1)}.Check()))
	require.Equal(t, []string{"description"}, fields(t, AccessList{Name: "n", Description: "\x00"}.Check()))
	require.NoError(t, AccessListMember{ValidFrom: &early, ValidTo: &late}.Check())
	require.Equal(t, []string{"validTo"}, fields(t, AccessListMember{ValidFrom: &late, ValidTo: &early}.Check()))
}

func TestMemberChange_TellsOnlyWhatItReallyChanges(t *testing.T) {
	t.Parallel()
	since, until := time.Unix(1, 0), time.Unix(9, 0)
	have := []AccessListMember{{Organisation: sender, Since: since}, {Organisation: recipient, Since: since}}
	change := MemberChange{
		Put:    []AccessListMember{{Organisation: sender}, {Organisation: recipient, ValidTo: &until}, {Organisation: another}, {Organisation: another, ValidTo: &until}},
		Remove: []Party{stranger},
	}
	require.Equal(t, []Party{stranger, sender, recipient, another, another}, change.Named())
	before, after := change.Difference(have)
	require.Equal(t, []AccessListMember{{Organisation: recipient, Since: since}}, before.Put)
	require.Equal(t, []AccessListMember{{Organisation: recipient, Since: since, ValidTo: &until}, {Organisation: another}}, after.Put, "who is in it stays in it since then; twice is once")
	require.Empty(t, after.Remove, "who is not in it is not removed")

	change = MemberChange{Put: []AccessListMember{{Organisation: sender}}, Replace: true}
	before, after = change.Difference(have)
	require.Equal(t, []AccessListMember{{Organisation: recipient, Since: since}}, before.Put)
	require.Equal(t, []Party{recipient}, after.Remove)
	require.True(t, after.Replace)
	require.Empty(t, after.Put)

	_, after = MemberChange{Remove: []Party{sender}}.Difference(have)
	require.Equal(t, []Party{sender}, after.Remove)
}

func TestListRule_IsValidWhileBothAre(t *testing.T) {
	t.Parallel()
	at := func(n int64) *time.Time { v := time.Unix(n, 0); return &v }
	for _, c := range []struct{ listFrom, listTo, memberFrom, memberTo, from, to *time.Time }{
		{nil, nil, nil, nil, nil, nil},
		{at(1), at(9), nil, nil, at(1), at(9)},
		{nil, nil, at(2), at(8), at(2), at(8)},
		{at(1), at(9), at(2), at(8), at(2), at(8)},
		{at(3), at(7), at(2), at(8), at(3), at(7)},
	} {
		r := NewListRule(
			AccessListConnection{ListID: "l", Terms: Terms{Effect: EffectAllow, MayReceive: true, ValidFrom: c.listFrom, ValidTo: c.listTo}},
			AccessListMember{Organisation: recipient, ValidFrom: c.memberFrom, ValidTo: c.memberTo})
		require.Equal(t, Rule{Organisation: recipient, List: "l", Terms: Terms{Effect: EffectAllow, MayReceive: true, ValidFrom: c.from, ValidTo: c.to}}, r)
	}
}

func TestAccessRequest_BecomesAGrantWhenApproved(t *testing.T) {
	t.Parallel()
	until, before := time.Unix(9, 0), time.Unix(1, 0)
	r := AccessRequest{ID: uuid.New(), ResourceID: "svc", Organisation: recipient, MayReceive: true, Text: "please", State: RequestPending}
	require.NoError(t, r.Check())
	require.Equal(t, []string{"send, receive", "text"}, fields(t, AccessRequest{Text: "\x00"}.Check()))
	yes, no := AccessAnswer{Approve: true, ValidTo: &until}, AccessAnswer{}
	require.Equal(t, RequestApproved, yes.State())
	require.Equal(t, RequestDenied, no.State())
	require.NoError(t, yes.Check())
	require.Equal(t, []string{"text", "validTo"}, fields(t, AccessAnswer{Text: "\x00", ValidFrom: &until, ValidTo: &before}.Check()))
	g := r.Grant(yes)
	require.Equal(t, Grant{
		ResourceID: "svc", Organisation: recipient, Note: "access request " + r.ID.String(),
		Terms: Terms{Effect: EffectAllow, MayReceive: true, ValidTo: &until},
	}, g)
	require.NoError(t, g.Check())
}

func TestJoined_KeepsWhatWasAllowedAndRefusesWhatOneGrantCannotSay(t *testing.T) {
	t.Parallel()
	now, ended, later := time.Unix(5, 0), time.Unix(4, 0), time.Unix(9, 0)
	wish := Grant{Organisation: recipient, Note: "access request", Terms: Terms{Effect: EffectAllow, MayReceive: true}}
	have := Grant{Organisation: recipient, Note: "mine", Terms: Terms{Effect: EffectAllow, MaySend: true, ReplyOnly: true}}

	got, err := wish.Joined(Grant{}, now)
	require.NoError(t, err)
	require.Equal(t, wish, got, "there was none")

	got, err = wish.Joined(have, now)
	require.NoError(t, err)
	require.Equal(t, Grant{Organisation: recipient, Note: "mine", Terms: Terms{Effect: EffectAllow, MaySend: true, MayReceive: true, ReplyOnly: true}}, got)

	send := wish
	send.MaySend = true
	got, err = send.Joined(have, now)
	require.NoError(t, err)
	require.False(t, got.ReplyOnly, "it may send to all now")

	over := have
	over.ValidTo = &ended
	got, err = wish.Joined(over, now)
	require.NoError(t, err)
	require.Equal(t, wish, got, "what has ended stays ended")
	over.ValidTo = &now
	got, err = wish.Joined(over, now)
	require.NoError(t, err)
	require.Equal(t, wish, got, "it ends at this moment")

	for name, spoil := range map[string]func(*Grant){
		"a block":          func(g *Grant) { g.Effect = EffectBlock },
		"a supplier":       func(g *Grant) { g.Supplier = another },
		"another end":      func(g *Grant) { g.ValidTo = &later },
		"another begin":    func(g *Grant) { g.ValidFrom = &now },
		"not valid before": func(g *Grant) { g.ValidFrom = &later },
	} {
		b := have
		spoil(&b)
		_, err := wish.Joined(b, now)
		require.ErrorIs(t, err, ErrGrantInTheWay, name)
	}
	both := have
	both.ValidTo = &later
	wish.ValidTo = new(later)
	_, err = wish.Joined(both, now)
	require.NoError(t, err, "the same moment in another place")
}

func TestAudit_TellsWhoChangedWhatAndHowItWas(t *testing.T) {
	t.Parallel()
	at := time.Unix(1, 0).UTC()
	by := Caller{Party: sender, Supplier: another, Credential: Credential{Method: LoginKeyToken, Issuer: "https://issuer", Thumbprint: "tp"}}
	text, err := NewAuditText(by, at, Change{
		Chain: sender, ResourceID: "svc", Action: "grant.put", Subject: "organization/x",
		After: Grant{Organisation: recipient, Supplier: another, Note: "n", Terms: Terms{Effect: EffectAllow, MaySend: true}},
	})
	require.NoError(t, err)
	var got AuditText
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.Equal(t, AuditText{
		At: at, Actor: another, Credential: "key-token of https://issuer tp", Resource: "svc", Action: "grant.put", Subject: "organization/x",
		After: map[string]any{
			"organization": string(recipient), "supplier": string(another), "note": "n", "effect": "allow", "send": true, "receive": false,
			"replyOnly": false, "acceptsReplies": false, "validFrom": nil, "validTo": nil,
		},
	}, got)
	text, err = NewAuditText(by, at, Change{Before: Delegation{Supplier: another, ResourceID: "svc", MayReceive: true}})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.Equal(t, true, got.Before["receive"])
	require.Contains(t, text, `"after":null`)
}

func TestAudited_NamesWhatIdentifiesEachEntry(t *testing.T) {
	t.Parallel()
	until := time.Unix(9, 0)
	m := AccessListMember{Organisation: recipient, ValidTo: &until}
	for name, c := range map[string]struct {
		of   Audited
		want map[string]any
	}{
		"list": {AccessList{ID: "l", Name: "n", Description: "d"}, map[string]any{"identifier": "l", "name": "n", "description": "d"}},
		"deleted list": {DeletedAccessList{AccessList{ID: "l"}, []AccessListMember{m}}, map[string]any{
			"identifier": "l", "name": "", "description": "", "members": map[Party]any{recipient: map[string]any{"validFrom": (*time.Time)(nil), "validTo": &until}},
		}},
		"members": {MemberChange{Put: []AccessListMember{m}, Remove: []Party{stranger, another}, Replace: true}, map[string]any{
			"put": map[Party]any{recipient: map[string]any{"validFrom": (*time.Time)(nil), "validTo": &until}}, "removed": []Party{another, stranger}, "replaced": true,
		}},
		"connection": {AccessListConnection{ResourceID: "svc", ListID: "l", Terms: Terms{Effect: EffectBlock, MayReceive: true}}, map[string]any{
			"resource": "svc", "list": "l", "effect": EffectBlock, "send": false, "receive": true, "replyOnly": false, "acceptsReplies": false,
			"validFrom": (*time.Time)(nil), "validTo": (*time.Time)(nil),
		}},
		"access request": {AccessRequest{Organisation: recipient, MaySend: true, Text: "t", State: RequestDenied, Answer: "a"}, map[string]any{
			"organization": recipient, "send": true, "receive": false, "text": "t", "state": RequestDenied, "answer": "a",
		}},
		"client": {Client{ID: "c", Name: "n", Keys: "k", Expires: until}, map[string]any{"clientId": "c", "name": "n", "jwks": "k", "expires": until}},
		"lock": {CredentialLock{Certificates: []string{"c"}, Keys: []string{"k"}, Issuers: []string{"i"}}, map[string]any{
			"certificates": []string{"c"}, "keys": []string{"k"}, "issuers": []string{"i"},
		}},
	} {
		require.Equal(t, c.want, c.of.Audited(), name)
	}
}

func TestCredentialLock_PermitsWhatItListsOfThatSort(t *testing.T) {
	t.Parallel()
	l := CredentialLock{Certificates: []string{"c"}, Keys: []string{"k"}, Issuers: []string{"i"}}
	for _, c := range []struct {
		of      Credential
		permits bool
	}{
		{Credential{Method: LoginCertificate, Thumbprint: "c"}, true},
		{Credential{Method: LoginCertificateToken, Thumbprint: "c"}, true},
		{Credential{Method: LoginCertificate, Thumbprint: "k"}, false},
		{Credential{Method: LoginKeyToken, Thumbprint: "k"}, true},
		{Credential{Method: LoginKeyToken, Thumbprint: "c"}, false},
		{Credential{Method: LoginExternalToken, Issuer: "i"}, true},
		{Credential{Method: LoginExternalToken, Issuer: "j", Thumbprint: "c"}, false},
		{Credential{Method: "another", Thumbprint: "c", Issuer: "i"}, false},
	} {
		require.Equal(t, c.permits, l.Allows(c.of), "%+v", c.of)
	}
	require.NoError(t, Client{Name: "n", Keys: "{}"}.Check())
	require.Equal(t, []string{"name", "jwks"}, fields(t, Client{Keys: "\x00"}.Check()))
}

func TestCaller_IsItsCredentialsHolderAndScopes(t *testing.T) {
	t.Parallel()
	require.Equal(t, sender, Caller{Party: sender}.Holder())
	c := Caller{Party: sender, Supplier: another, Scopes: []string{ScopeRead, ScopeEvents}}
	require.Equal(t, another, c.Holder())
	require.True(t, c.Has(ScopeWrite, ScopeRead), "one of them is enough")
	require.False(t, c.Has(ScopeWrite, ScopeServiceOwner))
	require.False(t, c.Has())
	require.Len(t, AllScopes(), 4)
	require.Equal(t, "certificate", Credential{Method: LoginCertificate}.String())
	require.Equal(t, []LoginMethod{LoginCertificate, LoginCertificateToken, LoginKeyToken, LoginExternalToken}, LoginMethods(), "the strongest first")
}

func TestParseRegistered_WantsARightCheckDigit(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]Party{"974760673": Norwegian("974760673"), "0192:974760673": "0192:974760673", "0060:123456789": "0060:123456789"} {
		p, err := ParseRegistered("f", given)
		require.NoError(t, err, given)
		require.Equal(t, want, p)
	}
	for _, bad := range []string{"974760674", "0192:974760674", "x", ""} {
		_, err := ParseRegistered("f", bad)
		require.Equal(t, []string{"f"}, fields(t, err), bad)
	}
	require.False(t, ValidNorwegianNumber("97476067"))
	require.False(t, ValidNorwegianNumber("97476067x"))
}

func TestQuota_TellsWhatIsUsedUpAndByHowMuch(t *testing.T) {
	t.Parallel()
	err := ErrQuota("lists", 100, 101)
	require.ErrorIs(t, err, errQuota)
	e, _ := AsError(err)
	require.Equal(t, "The quota of lists is used up.", e.Message)
	require.Equal(t, int64(100), *e.Limit)
	require.Equal(t, int64(101), *e.Actual)
	require.Equal(t, "A quota is used up.", errQuota.Message, "the catalogue is not changed")
	q := DefaultQuotas()
	require.Positive(t, min(q.Services, q.Grants, q.Lists, q.Members, q.Connections, q.Requests, q.Delegations, q.Clients, q.Subscriptions, q.Refusals), "each has one")
}

func TestExplain_SaysWhatDecided(t *testing.T) {
	t.Parallel()
	now, past, future := time.Unix(5, 0), time.Unix(1, 0), time.Unix(9, 0)
	rules := []Rule{
		{Organisation: sender, Terms: Terms{Effect: EffectAllow, MaySend: true, ReplyOnly: true}},
		{Organisation: sender, Terms: Terms{Effect: EffectBlock, MaySend: true, ValidTo: &past}, List: "old"},
		{Organisation: recipient, Terms: Terms{Effect: EffectAllow, MayReceive: true, AcceptsReplies: true}},
		{Organisation: another, Terms: Terms{Effect: EffectAllow, MayReceive: true, ValidFrom: &future}},
		{Organisation: sender, Terms: Terms{Effect: EffectAllow, MaySend: true}, Supplier: stranger},
	}
	r := NewResource("svc", "0192:910000008")
	by := Caller{Party: sender, Supplier: "0192:910000007"}
	g := NewRegistry(r, rules, []Delegation{{Principal: sender, Supplier: by.Supplier, MaySend: true}})
	q := Question{Action: ActionSend, From: sender, To: []Party{recipient, another, stranger}, By: by, At: now}
	reasons, err := g.Explain(q)
	require.ErrorIs(t, err, ErrRecipientWithoutRight)
	texts := make([]string, len(reasons))
	for i, one := range reasons {
		texts[i] = one.Text
	}
	require.Equal(t, []string{
		"The grant of 0192:910000001 allows sending, to those who accept replies.",
		"The access list old, of which 0192:910000001 is a member, blocks sending, but only until 1970-01-01T00:00:01Z.",
		"The grant of 0192:910000001 allows sending, but not through this supplier: only through 0192:910000009.",
		"The grant of 0192:910000002 allows receiving, replies included.",
		"The grant of 0192:910000003 allows receiving, but no replies, but only from 1970-01-01T00:00:09Z.",
		"Nothing in the registry speaks of 0192:910000009 receiving.",
		"0192:910000001 has delegated this to 0192:910000007.",
	}, texts)

	reasons, err = NewRegistry(r, rules, nil).Explain(q)
	require.ErrorIs(t, err, ErrNoAccess)
	require.Equal(t, "0192:910000001 has not delegated this to 0192:910000007.", reasons[len(reasons)-1].Text)

	r.Closed = &now
	reasons, err = NewRegistry(r, rules, nil).Explain(Question{Action: ActionSend, From: sender, To: []Party{recipient}, By: Caller{Party: sender}, At: now})
	require.ErrorIs(t, err, ErrServiceClosed)
	require.Equal(t, Reason{Organisation: r.Owner, Text: "The service's policy: The service is closed for new transfers."}, reasons[len(reasons)-1])
}

func TestCondition_GuardsWhatIsStored(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of     Condition
		stored int64
		want   error
	}{
		{Condition{}, 0, nil},
		{Condition{}, 3, ErrPreconditionRequired},
		{Condition{Unconditional: true}, 3, nil},
		{Condition{Version: 3}, 3, nil},
		{Condition{Version: 2}, 3, ErrPreconditionFailed},
		{Condition{Version: 2}, 0, ErrPreconditionFailed},
		{Condition{Exists: true}, 3, nil},
		{Condition{Exists: true}, 0, ErrPreconditionFailed},
		{Condition{Absent: true}, 0, nil},
		{Condition{Absent: true}, 3, ErrPreconditionFailed},
	} {
		require.Equal(t, c.want, c.of.Check(c.stored), "%+v of %d", c.of, c.stored)
	}
}
