package models

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func allow(p Party, t Terms) Rule {
	t.Effect = EffectAllow
	return Rule{Organisation: p, Terms: t}
}

func block(p Party, t Terms) Rule {
	t.Effect = EffectBlock
	return Rule{Organisation: p, Terms: t}
}

func sends(from Party, to ...Party) Question {
	return Question{Action: ActionSend, From: from, To: to, By: Caller{Party: from}, At: noon}
}

func receives(p Party) Question {
	return Question{Action: ActionReceive, To: []Party{p}, By: Caller{Party: p}, At: noon}
}

// The four organisations of Altinn 2's rights registry (reference identity-rights-receipts 3.1).
func TestDecide_TheFourOrganisationsOfTheRightsRegistry(t *testing.T) {
	t.Parallel()
	g := NewRegistry(Resource{}, []Rule{
		allow("A", Terms{MaySend: true, MayReceive: true, AcceptsReplies: true}),
		allow("B", Terms{MaySend: true, MayReceive: true}),
		allow("C", Terms{MayReceive: true}),
		allow("D", Terms{MaySend: true, ReplyOnly: true, MayReceive: true}),
	}, nil)
	all := "ABCD"
	allowed := map[string]string{"A": "BCD", "B": "ACD", "C": "", "D": "A"}
	for from, to := range allowed {
		got := ""
		for _, r := range all {
			if string(r) != from && g.Decide(sends(Party(from), Party(string(r)))) == nil {
				got += string(r)
			}
		}
		require.Equal(t, to, got, "from %s", from)
	}
	require.ErrorIs(t, g.Decide(sends("D", "A", "B")), ErrRecipientWithoutRight, "one recipient refuses the whole transfer")
	require.NoError(t, g.Decide(sends("B", "A", "C", "D")))
}

func TestDecide_ABlockIsStrongerThanWhateverAllows(t *testing.T) {
	t.Parallel()
	g := NewRegistry(Resource{}, []Rule{
		allow("a", Terms{MaySend: true, MayReceive: true}), block("a", Terms{MaySend: true}),
		allow("b", Terms{MayReceive: true}), allow("b", Terms{MaySend: true}), block("b", Terms{MayReceive: true}),
		allow("c", Terms{MayReceive: true}),
	}, nil)
	require.ErrorIs(t, g.Decide(sends("a", "c")), ErrNoAccess)
	require.NoError(t, g.Decide(receives("a")), "only sending is blocked")
	require.ErrorIs(t, g.Decide(sends("b", "b")), ErrRecipientWithoutRight)
	require.ErrorIs(t, g.Decide(receives("b")), ErrNoAccess)
	require.NoError(t, g.Decide(sends("b", "a")))
}

func TestDecide_RightsHoldFromTheirFirstMomentUntilBeforeTheirLast(t *testing.T) {
	t.Parallel()
	from, to := noon, noon.Add(time.Hour)
	g := NewRegistry(Resource{}, []Rule{allow("a", Terms{MayReceive: true, ValidFrom: &from, ValidTo: &to})}, nil)
	for at, right := range map[time.Duration]bool{-1: false, 0: true, time.Hour - 1: true, time.Hour: false} {
		q := receives("a")
		q.At = noon.Add(at)
		require.Equal(t, right, g.Decide(q) == nil, at)
	}
}

func TestDecide_ASupplierNeedsADelegationAndTheServicesConsent(t *testing.T) {
	t.Parallel()
	rules := []Rule{allow("a", Terms{MaySend: true}), allow("b", Terms{MayReceive: true})}
	by := sends("a", "b")
	by.By.Supplier = "s"
	decide := func(r Resource, delegations ...Delegation) error {
		r.ID = "svc"
		return NewRegistry(r, rules, delegations).Decide(by)
	}
	given := Delegation{Principal: "a", Supplier: "s", MaySend: true}
	require.ErrorIs(t, decide(Resource{}), ErrNoAccess)
	require.NoError(t, decide(Resource{}, given))
	require.ErrorIs(t, decide(Resource{Suppliers: SuppliersNone}, given), ErrSupplierRefused)
	require.ErrorIs(t, decide(Resource{Suppliers: SuppliersListed, AcceptedSuppliers: []Party{"x"}}, given), ErrSupplierRefused)
	require.NoError(t, decide(Resource{Suppliers: SuppliersListed, AcceptedSuppliers: []Party{"s"}}, given))
	ended := noon
	for name, d := range map[string]Delegation{
		"of another": {Principal: "b", Supplier: "s", MaySend: true}, "to another": {Principal: "a", Supplier: "t", MaySend: true},
		"to receive": {Principal: "a", Supplier: "s", MayReceive: true}, "elsewhere": {Principal: "a", Supplier: "s", ResourceID: "other", MaySend: true},
		"ended": {Principal: "a", Supplier: "s", MaySend: true, ValidTo: &ended},
	} {
		require.ErrorIs(t, decide(Resource{}, d), ErrNoAccess, name)
	}
	by.By.DelegationStated = true
	require.NoError(t, decide(Resource{}), "an issuer that may do so vouches for it")
}

func TestDecide_AGrantForOneSupplierIsForNoOther(t *testing.T) {
	t.Parallel()
	mine := allow("a", Terms{MaySend: true})
	mine.Supplier = "s"
	theirs := allow("b", Terms{MayReceive: true})
	theirs.Supplier = "t"
	g := NewRegistry(Resource{}, []Rule{mine, theirs}, nil)
	for supplier, right := range map[Party]bool{"": true, "s": true, "t": false} {
		q := sends("a", "b")
		q.By.Supplier, q.By.DelegationStated = supplier, true
		require.Equal(t, right, g.Decide(q) == nil, "through %q", supplier)
	}
}

func TestVerdict_AppliesThePolicyOfTheService(t *testing.T) {
	t.Parallel()
	closed := noon
	found := Findings{Actor: true, Delegated: true}
	for name, c := range map[string]struct {
		policy Resource
		change func(*Question)
		want   error
	}{
		"open":                    {},
		"closed":                  {policy: Resource{Closed: &closed}, want: ErrServiceClosed},
		"closed, but accepted":    {policy: Resource{Closed: &closed}, change: func(q *Question) { q.Action = ActionUpload }},
		"closed, but there":       {policy: Resource{Closed: &closed}, change: func(q *Question) { q.Action = ActionReceive }},
		"too many":                {policy: Resource{MaxRecipients: 1}, want: InvalidField("recipients", "")},
		"enough":                  {policy: Resource{MaxRecipients: 2}},
		"another login":           {policy: Resource{LoginMethods: []LoginMethod{LoginCertificate}}, want: ErrLoginMethodRefused},
		"that login":              {policy: Resource{LoginMethods: []LoginMethod{LoginCertificate, LoginKeyToken}}},
		"no required party":       {policy: Resource{RequiredParty: "x"}, want: ErrRequiredPartyOne},
		"the sender is required":  {policy: Resource{RequiredParty: "a"}},
		"the only one is another": {policy: Resource{RequiredParty: "x"}, change: func(q *Question) { q.To = q.To[:1] }, want: ErrRequiredPartyAbsent},
	} {
		q := sends("a", "b", "c")
		q.By.Credential.Method = LoginKeyToken
		if c.change != nil {
			c.change(&q)
		}
		require.ErrorIs(t, c.policy.Verdict(q, found), c.want, name)
	}
}

func TestVerdict_NamesTheFirstRecipientsWithoutRight(t *testing.T) {
	t.Parallel()
	f := Findings{Actor: true, Delegated: true, Refused: make([]Party, 20)}
	e, ok := AsError(Resource{}.Verdict(sends("a"), f))
	require.True(t, ok)
	require.Equal(t, ErrRecipientWithoutRight.Code, e.Code)
	require.Len(t, e.Fields, MaxNamed)
	require.Empty(t, ErrRecipientWithoutRight.Fields, "the catalogue stays as it is")
}

func TestExplain_SaysWhatEveryRuleMeans(t *testing.T) {
	t.Parallel()
	later := noon.Add(time.Hour)
	list := allow("b", Terms{MayReceive: true, ValidFrom: &later})
	list.List = "partners"
	g := NewRegistry(Resource{Owner: "o"}, []Rule{allow("a", Terms{MaySend: true, ReplyOnly: true}), list, block("c", Terms{MayReceive: true})}, nil)
	because, err := g.Explain(sends("a", "b", "c", "d"))
	require.ErrorIs(t, err, ErrRecipientWithoutRight)
	require.Equal(t, []Reason{
		{Organisation: "a", Text: "The grant of a allows sending, to those who accept replies."},
		{Organisation: "b", List: "partners", Text: "The access list partners, of which b is a member, allows receiving, but no replies, but only from 2026-11-24T13:00:00Z."},
		{Organisation: "c", Text: "The grant of c blocks receiving."},
		{Organisation: "d", Text: "Nothing in the registry speaks of d receiving."},
	}, because)
	closed := noon
	g.Resource.Closed = &closed
	because, err = g.Explain(sends("a"))
	require.ErrorIs(t, err, ErrServiceClosed)
	require.Equal(t, Reason{Organisation: "o", Text: "The service's policy: The service is closed for new transfers."}, because[1])
}

func TestDecide_RefusesTheWholeForOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parties := []Party{"a", "b", "c", "d"}
		var rules []Rule
		for _, p := range parties {
			rules = append(rules, allow(p, Terms{MaySend: rapid.Bool().Draw(t, "send"), MayReceive: rapid.Bool().Draw(t, "receive")}))
		}
		to := rapid.SliceOfNDistinct(rapid.SampledFrom(parties[1:]), 1, 3, rapid.ID).Draw(t, "to")
		all := rules[0].MaySend
		for _, p := range to {
			all = all && rules[p[0]-'a'].MayReceive
		}
		require.Equal(t, all, NewRegistry(Resource{}, rules, nil).Decide(sends("a", to...)) == nil)
	})
}

func TestTerms_RefuseWhatMeansNothing(t *testing.T) {
	t.Parallel()
	earlier, old := noon.Add(-time.Hour), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		terms Terms
		field string
	}{
		"neither right":          {Terms{Effect: EffectAllow}, "send, receive"},
		"no effect":              {Terms{MaySend: true}, "effect"},
		"reply without send":     {Terms{Effect: EffectAllow, MayReceive: true, ReplyOnly: true}, "replyOnly"},
		"replies not received":   {Terms{Effect: EffectAllow, MaySend: true, AcceptsReplies: true}, "acceptsReplies"},
		"half a block":           {Terms{Effect: EffectBlock, MaySend: true, ReplyOnly: true}, "effect"},
		"ends before it begins":  {Terms{Effect: EffectAllow, MaySend: true, ValidFrom: &noon, ValidTo: &earlier}, "validTo"},
		"is over when it begins": {Terms{Effect: EffectAllow, MaySend: true, ValidFrom: &noon, ValidTo: &noon}, "validTo"},
		"in the year 1":          {Terms{Effect: EffectAllow, MaySend: true, ValidFrom: &old}, "validFrom, validTo"},
	} {
		found := c.terms.Check()
		require.Len(t, found, 1, name)
		require.Equal(t, c.field, found[0].Field, name)
	}
	require.Empty(t, Terms{Effect: EffectAllow, MaySend: true, ReplyOnly: true, ValidTo: &noon}.Check())
}

func TestCondition_IsNeededToChangeWhatIsThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cond   Condition
		stored int64
		want   error
	}{
		"none, absent":         {Condition{}, 0, nil},
		"none, present":        {Condition{}, 3, ErrPreconditionRequired},
		"absent, absent":       {Condition{Absent: true}, 0, nil},
		"absent, present":      {Condition{Absent: true}, 3, ErrPreconditionFailed},
		"exists, absent":       {Condition{Exists: true}, 0, ErrPreconditionFailed},
		"exists, present":      {Condition{Exists: true}, 3, nil},
		"version, absent":      {Condition{Version: 3}, 0, ErrPreconditionFailed},
		"version, the same":    {Condition{Version: 3}, 3, nil},
		"version, another":     {Condition{Version: 2}, 3, ErrPreconditionFailed},
		"on an Altinn path":    {Condition{Unconditional: true}, 3, nil},
		"two, one is not true": {Condition{Version: 3, Absent: true}, 3, ErrPreconditionFailed},
	} {
		require.ErrorIs(t, c.cond.Check(c.stored), c.want, name)
	}
}

func TestDifference_IsWhatChangesAndHowItWas(t *testing.T) {
	t.Parallel()
	have := []AccessListMember{{Organisation: "a"}, {Organisation: "b"}, {Organisation: "c", ValidTo: &noon}}
	change := MemberChange{Put: []AccessListMember{{Organisation: "a"}, {Organisation: "c"}, {Organisation: "d"}, {Organisation: "d"}}, Replace: true}
	before, after := change.Difference(have)
	require.Equal(t, []AccessListMember{have[2], have[1]}, before.Put)
	require.Equal(t, MemberChange{Put: []AccessListMember{{Organisation: "c"}, {Organisation: "d"}}, Remove: []Party{"b"}, Replace: true}, after)
	before, after = MemberChange{Remove: []Party{"b", "x"}}.Difference(have)
	require.Equal(t, []AccessListMember{have[1]}, before.Put)
	require.Equal(t, []Party{"b"}, after.Remove)
}

func TestCredentialLock_PermitsWhatItNames(t *testing.T) {
	t.Parallel()
	l := CredentialLock{Certificates: []string{"c"}, Keys: []string{"k"}, Issuers: []string{"i"}}
	for name, c := range map[string]struct {
		credential Credential
		want       bool
	}{
		"a certificate":               {Credential{Method: LoginCertificate, Thumbprint: "c"}, true},
		"a token it bought":           {Credential{Method: LoginCertificateToken, Issuer: "we", Thumbprint: "c"}, true},
		"another certificate":         {Credential{Method: LoginCertificate, Thumbprint: "k"}, false},
		"a key":                       {Credential{Method: LoginKeyToken, Thumbprint: "k"}, true},
		"another key":                 {Credential{Method: LoginKeyToken, Thumbprint: "c"}, false},
		"an issuer":                   {Credential{Method: LoginExternalToken, Issuer: "i"}, true},
		"another issuer":              {Credential{Method: LoginExternalToken, Issuer: "j"}, false},
		"a method that is unheard of": {Credential{Method: "x", Thumbprint: "c", Issuer: "i"}, false},
	} {
		require.Equal(t, c.want, l.Allows(c.credential), name)
	}
}

func TestNorwegianNumbers_HaveACheckDigit(t *testing.T) {
	t.Parallel()
	for number, right := range map[string]bool{
		"310000019": true, "991825827": true, "310000018": false, "31000001": false, "3100000190": false, "31000001x": false, "": false,
	} {
		require.Equal(t, right, ValidNorwegianNumber(number), number)
	}
}

func BenchmarkDecide_At10000Grants(b *testing.B) {
	rules := make([]Rule, 10_000)
	parties := make([]Party, len(rules))
	for i := range rules {
		parties[i] = Norwegian(string(rune('a'+i%26)) + string(rune('0'+i/26%10)) + string(rune('0'+i/260)))
		rules[i] = allow(parties[i], Terms{MaySend: true, MayReceive: true})
	}
	g := NewRegistry(Resource{}, rules, nil)
	q := sends(parties[17], parties[9_000])
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Decide(q); err != nil {
			b.Fatal(errors.Unwrap(err))
		}
	}
}
