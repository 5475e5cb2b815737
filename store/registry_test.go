package store

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// approve asks for rights as carol and approves them as the owner.
func (b *bundle) approve(t *testing.T, wish models.AccessRequest, a models.AccessAnswer) error {
	t.Helper()
	wish.ID, wish.ResourceID, a.Approve = uuid.New(), svc, true
	r, err := b.RequestAccess(t.Context(), as(carol), wish)
	require.NoError(t, err)
	_, err = b.AnswerAccessRequest(t.Context(), as(owner), r.ID, a, always)
	if err != nil {
		require.NoError(t, b.WithdrawAccessRequest(t.Context(), as(carol), r.ID, models.Condition{Version: r.Version}))
	}
	return err
}

func TestApproval_GivesWhatWasAskedAndNothingThatEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		past, future := b.clock.read().Add(-time.Hour).Truncate(time.Second), b.clock.read().Add(time.Hour).Truncate(time.Second)
		put := func(g models.Grant) {
			t.Helper()
			g.ResourceID, g.Organisation = svc, carol
			_, _, err := b.PutGrant(ctx, as(owner), g, always)
			require.NoError(t, err)
		}
		grant := func() models.Grant {
			t.Helper()
			g, err := b.GrantOf(ctx, owner, svc, carol)
			require.NoError(t, err)
			return g
		}
		receive := models.AccessRequest{MayReceive: true}

		put(models.Grant{Terms: models.Terms{Effect: models.EffectAllow, MaySend: true, ValidTo: &past}})
		require.NoError(t, b.approve(t, receive, models.AccessAnswer{}))
		require.False(t, grant().MaySend, "what ended stays ended")
		require.True(t, grant().MayReceive)

		put(models.Grant{Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}, Note: "keep me"})
		require.ErrorIs(t, b.approve(t, receive, models.AccessAnswer{ValidTo: &future}), models.ErrGrantInTheWay, "the other right would end too")
		require.Nil(t, grant().ValidTo)
		require.NoError(t, b.approve(t, receive, models.AccessAnswer{}))
		require.Equal(t, "keep me", grant().Note)
		require.True(t, grant().MaySend && grant().MayReceive)

		put(models.Grant{Terms: models.Terms{Effect: models.EffectBlock, MaySend: true, MayReceive: true}, Note: "fraud"})
		require.ErrorIs(t, b.approve(t, receive, models.AccessAnswer{}), models.ErrGrantInTheWay, "a block is lifted by who knows of it")
		require.Equal(t, models.EffectBlock, grant().Effect)

		put(models.Grant{Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}, Supplier: bob})
		require.ErrorIs(t, b.approve(t, receive, models.AccessAnswer{}), models.ErrGrantInTheWay)
	})
}

func TestWithdrawAccessRequest_IsForWhoAskedBeforeTheAnswer(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		ask := func() models.AccessRequest {
			r, err := b.RequestAccess(ctx, as(carol), models.AccessRequest{ID: uuid.New(), ResourceID: svc, MaySend: true})
			require.NoError(t, err)
			return r
		}
		r := ask()
		require.ErrorIs(t, b.WithdrawAccessRequest(ctx, as(bob), r.ID, always), models.ErrEntryNotFound)
		require.ErrorIs(t, b.WithdrawAccessRequest(ctx, as(carol), r.ID, models.Condition{}), models.ErrPreconditionRequired)
		require.NoError(t, b.WithdrawAccessRequest(ctx, as(carol), r.ID, models.Condition{Version: r.Version}))
		_, err := b.AnswerAccessRequest(ctx, as(owner), r.ID, models.AccessAnswer{Approve: true}, always)
		require.ErrorIs(t, err, models.ErrAnswered)
		r = ask() // a place is free again
		_, err = b.AnswerAccessRequest(ctx, as(owner), r.ID, models.AccessAnswer{}, always)
		require.NoError(t, err)
		require.ErrorIs(t, b.WithdrawAccessRequest(ctx, as(carol), r.ID, always), models.ErrAnswered)
	})
}

// A credential may be locked out while a request of it is under way.
func TestRegistry_RefusesACredentialThatWasLockedOutMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		with := func(thumbprint string) models.Caller {
			by := as(owner)
			by.Credential = models.Credential{Method: models.LoginCertificate, Thumbprint: thumbprint}
			return by
		}
		_, _, err := b.PutCredentialLock(ctx, with("good"), models.CredentialLock{Certificates: []string{"good"}}, models.Condition{})
		require.NoError(t, err)
		stolen := with("stolen")
		_, _, err = b.PutCredentialLock(ctx, stolen, models.CredentialLock{Certificates: []string{"stolen"}}, always)
		require.ErrorIs(t, err, models.ErrUnauthenticated)
		require.ErrorIs(t, b.DeleteCredentialLock(ctx, stolen, always), models.ErrUnauthenticated)
		_, _, err = b.PutDelegation(ctx, stolen, models.Delegation{Supplier: bob, MaySend: true}, models.Condition{})
		require.ErrorIs(t, err, models.ErrUnauthenticated)
		_, err = b.PutClient(ctx, stolen, models.Client{ID: "c", Name: "n", Keys: "{}"}, models.Condition{})
		require.ErrorIs(t, err, models.ErrUnauthenticated)
		_, _, err = b.PutGrant(ctx, stolen, models.Grant{ResourceID: svc, Organisation: carol, Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}}, always)
		require.ErrorIs(t, err, models.ErrUnauthenticated)
		_, err = b.PutResource(ctx, stolen, svc, models.ResourcePatch{}, always)
		require.ErrorIs(t, err, models.ErrUnauthenticated)
		_, err = b.PutResource(ctx, with("good"), svc, models.ResourcePatch{}, always)
		require.NoError(t, err)
	})
}

func TestRegistry_KeepsQuotasAndConditionsUnderConcurrency(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		b.quotas.Clients, b.quotas.Requests = 3, 3
		for i := range 8 {
			_, err := b.PutResource(t.Context(), as(owner), fmt.Sprintf("svc-%d", i), models.ResourcePatch{}, always)
			require.NoError(t, err)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := map[string]int{}
		count := func(what string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won[what]++
			}
		}
		for i := range 8 {
			wg.Go(func() {
				_, err := b.PutClient(t.Context(), as(alice), models.Client{ID: uuid.NewString(), Name: "n", Keys: "{}"}, models.Condition{Absent: true})
				count("clients", err)
			})
			wg.Go(func() {
				_, err := b.PutClient(t.Context(), as(bob), models.Client{ID: "one", Name: fmt.Sprint(i), Keys: "{}"}, models.Condition{Absent: true})
				count("one client", err)
			})
			wg.Go(func() {
				_, err := b.RequestAccess(t.Context(), as(carol), models.AccessRequest{ID: uuid.New(), ResourceID: fmt.Sprintf("svc-%d", i), MaySend: true})
				count("requests", err)
			})
		}
		wg.Wait()
		require.Equal(t, map[string]int{"clients": 3, "one client": 1, "requests": 3}, won)
	})
}

func TestPutResource_TakesNoNameThatLooksLikeAnother(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		for _, id := range []string{"..", "svc ", " ", "a\nb", "a#b", "a?b", "a/b", "svc\u200b", "\u202esvc", "SVC-ø", ".a", "-a"} {
			_, err := b.PutResource(ctx, as(owner), id, models.ResourcePatch{}, models.Condition{})
			e, known := models.AsError(err)
			require.True(t, known, "%q: %v", id, err)
			require.Equal(t, "resourceId", e.Fields[0].Field, id)
		}
		_, err := b.PutResource(ctx, as(owner), "Some-Service", models.ResourcePatch{}, models.Condition{})
		require.NoError(t, err)
		_, err = b.PutResource(ctx, as(owner), "some-service", models.ResourcePatch{}, models.Condition{})
		e, known := models.AsError(err)
		require.True(t, known, err)
		require.Equal(t, "resourceId", e.Fields[0].Field)
	})
}

func TestDeleteAccessList_TellsTheAuditWhomItConcerned(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		_, _, err := b.PutAccessList(ctx, as(owner), models.AccessList{ID: "partners", Name: "Partners"}, models.Condition{})
		require.NoError(t, err)
		_, err = b.ChangeMembers(ctx, as(owner), "partners", models.MemberChange{Put: []models.AccessListMember{{Organisation: bob}, {Organisation: carol}}}, always)
		require.NoError(t, err)
		n := models.AccessListConnection{ResourceID: svc, ListID: "partners", Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}}
		_, _, err = b.PutAccessListConnection(ctx, as(owner), n, models.Condition{})
		require.NoError(t, err)
		before := len(b.chain(t, owner))
		require.NoError(t, b.DeleteAccessList(ctx, as(owner), "partners", always))
		entries := b.chain(t, owner)[before:]
		require.Len(t, entries, 2)
		var disconnected, deleted models.AuditText
		require.NoError(t, json.Unmarshal([]byte(entries[0].Entry), &disconnected))
		require.NoError(t, json.Unmarshal([]byte(entries[1].Entry), &deleted))
		require.Equal(t, "access-list.disconnect", disconnected.Action)
		require.Equal(t, svc, disconnected.Resource)
		require.Equal(t, "access-list.delete", deleted.Action)
		require.Contains(t, deleted.Before["members"], string(bob))
		require.Contains(t, deleted.Before["members"], string(carol))
	})
}

func TestChangeMembers_TakesOneOrAllOutOfAVeryLongList(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		const n = 2000
		_, _, err := b.PutAccessList(ctx, as(owner), models.AccessList{ID: "long", Name: "Long"}, models.Condition{})
		require.NoError(t, err)
		rows := make([]models.AccessListMember, n)
		for i := range rows {
			rows[i].Organisation = models.Norwegian(fmt.Sprint(800_000_000 + i))
		}
		_, err = b.ChangeMembers(ctx, as(owner), "long", models.MemberChange{Put: rows}, always)
		require.NoError(t, err)
		_, err = b.ChangeMembers(ctx, as(owner), "long", models.MemberChange{Remove: []models.Party{rows[7].Organisation, alice}}, always)
		require.NoError(t, err)
		members, err := b.AccessListMembers(ctx, owner, "long", rows[5].Organisation, 2)
		require.NoError(t, err)
		require.Equal(t, []models.Party{rows[6].Organisation, rows[8].Organisation}, []models.Party{members[0].Organisation, members[1].Organisation})
		b.quotas.Members = n
		_, err = b.ChangeMembers(ctx, as(owner), "long", models.MemberChange{Put: []models.AccessListMember{{Organisation: alice}, {Organisation: bob}}}, always)
		require.Error(t, err, "one place is free, not two")
		_, err = b.ChangeMembers(ctx, as(owner), "long", models.MemberChange{Replace: true, Put: rows[:1]}, always)
		require.NoError(t, err)
		members, err = b.AccessListMembers(ctx, owner, "long", "", 10)
		require.NoError(t, err)
		require.Len(t, members, 1)
	})
}
