package registry_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
)

// approve asks for rights as carol and approves them as the storetest.Owner.
func approve(b *storetest.Bundle, t *testing.T, wish models.AccessRequest, a models.AccessAnswer) error {
	t.Helper()
	wish.ID, wish.ResourceID, a.Approve = uuid.New(), storetest.Service, true
	r, err := b.RequestAccess(t.Context(), storetest.As(storetest.Carol), wish)
	require.NoError(t, err)
	_, err = b.AnswerAccessRequest(t.Context(), storetest.As(storetest.Owner), r.ID, a, storetest.Always)
	if err != nil {
		require.NoError(t, b.WithdrawAccessRequest(t.Context(), storetest.As(storetest.Carol), r.ID, models.Condition{Version: r.Version}))
	}
	return err
}

func TestApproval_GivesWhatWasAskedAndNothingThatEnded(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		past, future := b.Clock.Read().Add(-time.Hour).Truncate(time.Second), b.Clock.Read().Add(time.Hour).Truncate(time.Second)
		put := func(g models.Grant) {
			t.Helper()
			g.ResourceID, g.Organisation = storetest.Service, storetest.Carol
			_, _, err := b.PutGrant(ctx, storetest.As(storetest.Owner), g, storetest.Always)
			require.NoError(t, err)
		}
		grant := func() models.Grant {
			t.Helper()
			g, err := b.GrantOf(ctx, storetest.Owner, storetest.Service, storetest.Carol)
			require.NoError(t, err)
			return g
		}
		receive := models.AccessRequest{MayReceive: true}

		put(models.Grant{Terms: models.Terms{Effect: models.EffectAllow, MaySend: true, ValidTo: &past}})
		require.NoError(t, approve(b, t, receive, models.AccessAnswer{}))
		require.False(t, grant().MaySend, "what ended stays ended")
		require.True(t, grant().MayReceive)

		put(models.Grant{Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}, Note: "keep me"})
		require.ErrorIs(t, approve(b, t, receive, models.AccessAnswer{ValidTo: &future}), models.ErrGrantInTheWay, "the other right would end too")
		require.Nil(t, grant().ValidTo)
		require.NoError(t, approve(b, t, receive, models.AccessAnswer{}))
		require.Equal(t, "keep me", grant().Note)
		require.True(t, grant().MaySend && grant().MayReceive)

		put(models.Grant{Terms: models.Terms{Effect: models.EffectBlock, MaySend: true, MayReceive: true}, Note: "fraud"})
		require.ErrorIs(t, approve(b, t, receive, models.AccessAnswer{}), models.ErrGrantInTheWay, "a block is lifted by who knows of it")
		require.Equal(t, models.EffectBlock, grant().Effect)

		put(models.Grant{Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}, Supplier: storetest.Bob})
		require.ErrorIs(t, approve(b, t, receive, models.AccessAnswer{}), models.ErrGrantInTheWay)
	})
}

func TestWithdrawAccessRequest_IsForWhoAskedBeforeTheAnswer(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		ask := func() models.AccessRequest {
			r, err := b.RequestAccess(ctx, storetest.As(storetest.Carol), models.AccessRequest{ID: uuid.New(), ResourceID: storetest.Service, MaySend: true})
			require.NoError(t, err)
			return r
		}
		r := ask()
		require.ErrorIs(t, b.WithdrawAccessRequest(ctx, storetest.As(storetest.Bob), r.ID, storetest.Always), models.ErrEntryNotFound)
		require.ErrorIs(t, b.WithdrawAccessRequest(ctx, storetest.As(storetest.Carol), r.ID, models.Condition{}), models.ErrPreconditionRequired)
		require.NoError(t, b.WithdrawAccessRequest(ctx, storetest.As(storetest.Carol), r.ID, models.Condition{Version: r.Version}))
		_, err := b.AnswerAccessRequest(ctx, storetest.As(storetest.Owner), r.ID, models.AccessAnswer{Approve: true}, storetest.Always)
		require.ErrorIs(t, err, models.ErrAnswered)
		r = ask() // a place is free again
		_, err = b.AnswerAccessRequest(ctx, storetest.As(storetest.Owner), r.ID, models.AccessAnswer{}, storetest.Always)
		require.NoError(t, err)
		require.ErrorIs(t, b.WithdrawAccessRequest(ctx, storetest.As(storetest.Carol), r.ID, storetest.Always), models.ErrAnswered)
	})
}

// A credential may be locked out while a request of it is under way.
func TestRegistry_RefusesACredentialThatWasLockedOutMeanwhile(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		with := func(thumbprint string) models.Caller {
			by := storetest.As(storetest.Owner)
			by.Credential = models.Credential{Method: models.LoginCertificate, Thumbprint: thumbprint}
			return by
		}
		_, _, err := b.PutCredentialLock(ctx, with("good"), models.CredentialLock{Certificates: []string{"good"}}, models.Condition{})
		require.NoError(t, err)
		stolen := with("stolen")
		_, _, err = b.PutCredentialLock(ctx, stolen, models.CredentialLock{Certificates: []string{"stolen"}}, storetest.Always)
		require.ErrorIs(t, err, models.ErrUnauthenticated)
		require.ErrorIs(t, b.DeleteCredentialLock(ctx, stolen, storetest.Always), models.ErrUnauthenticated)
		_, _, err = b.PutDelegation(ctx, stolen, models.Delegation{Supplier: storetest.Bob, MaySend: true}, models.Condition{})
		require.ErrorIs(t, err, models.ErrUnauthenticated)
		_, err = b.PutClient(ctx, stolen, models.Client{ID: "c", Name: "n", Keys: "{}"}, models.Condition{})
		require.ErrorIs(t, err, models.ErrUnauthenticated)
		_, _, err = b.PutGrant(ctx, stolen, models.Grant{ResourceID: storetest.Service, Organisation: storetest.Carol, Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}}, storetest.Always)
		require.ErrorIs(t, err, models.ErrUnauthenticated)
		_, err = b.PutResource(ctx, stolen, storetest.Service, models.ResourcePatch{}, storetest.Always)
		require.ErrorIs(t, err, models.ErrUnauthenticated)
		_, err = b.PutResource(ctx, with("good"), storetest.Service, models.ResourcePatch{}, storetest.Always)
		require.NoError(t, err)
	})
}

func TestRegistry_KeepsQuotasAndConditionsUnderConcurrency(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		b.Quota(t, func(q *models.Quotas) { q.Clients, q.Requests = 3, 3 })
		for i := range 8 {
			_, err := b.PutResource(t.Context(), storetest.As(storetest.Owner), fmt.Sprintf("svc-%d", i), models.ResourcePatch{}, storetest.Always)
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
				_, err := b.PutClient(t.Context(), storetest.As(storetest.Alice), models.Client{ID: uuid.NewString(), Name: "n", Keys: "{}"}, models.Condition{Absent: true})
				count("clients", err)
			})
			wg.Go(func() {
				_, err := b.PutClient(t.Context(), storetest.As(storetest.Bob), models.Client{ID: "one", Name: fmt.Sprint(i), Keys: "{}"}, models.Condition{Absent: true})
				count("one client", err)
			})
			wg.Go(func() {
				_, err := b.RequestAccess(t.Context(), storetest.As(storetest.Carol), models.AccessRequest{ID: uuid.New(), ResourceID: fmt.Sprintf("svc-%d", i), MaySend: true})
				count("requests", err)
			})
		}
		wg.Wait()
		require.Equal(t, map[string]int{"clients": 3, "one client": 1, "requests": 3}, won)
	})
}

func TestPutResource_TakesNoNameThatLooksLikeAnother(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		for _, id := range []string{"..", "svc ", " ", "a\nb", "a#b", "a?b", "a/b", "svc\u200b", "\u202esvc", "SVC-ø", ".a", "-a"} {
			_, err := b.PutResource(ctx, storetest.As(storetest.Owner), id, models.ResourcePatch{}, models.Condition{})
			e, known := models.AsError(err)
			require.True(t, known, "%q: %v", id, err)
			require.Equal(t, "resourceId", e.Fields[0].Field, id)
		}
		_, err := b.PutResource(ctx, storetest.As(storetest.Owner), "Some-Service", models.ResourcePatch{}, models.Condition{})
		require.NoError(t, err)
		_, err = b.PutResource(ctx, storetest.As(storetest.Owner), "some-service", models.ResourcePatch{}, models.Condition{})
		e, known := models.AsError(err)
		require.True(t, known, err)
		require.Equal(t, "resourceId", e.Fields[0].Field)
	})
}

func TestDeleteAccessList_TellsTheAuditWhomItConcerned(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		_, _, err := b.PutAccessList(ctx, storetest.As(storetest.Owner), models.AccessList{ID: "partners", Name: "Partners"}, models.Condition{})
		require.NoError(t, err)
		_, err = b.ChangeMembers(ctx, storetest.As(storetest.Owner), "partners", models.MemberChange{Put: []models.AccessListMember{{Organisation: storetest.Bob}, {Organisation: storetest.Carol}}}, storetest.Always)
		require.NoError(t, err)
		n := models.AccessListConnection{ResourceID: storetest.Service, ListID: "partners", Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}}
		_, _, err = b.PutAccessListConnection(ctx, storetest.As(storetest.Owner), n, models.Condition{})
		require.NoError(t, err)
		before := len(chain(b, t, storetest.Owner))
		require.NoError(t, b.DeleteAccessList(ctx, storetest.As(storetest.Owner), "partners", storetest.Always))
		entries := chain(b, t, storetest.Owner)[before:]
		require.Len(t, entries, 2)
		var disconnected, deleted models.AuditText
		require.NoError(t, json.Unmarshal([]byte(entries[0].Entry), &disconnected))
		require.NoError(t, json.Unmarshal([]byte(entries[1].Entry), &deleted))
		require.Equal(t, "access-list.disconnect", disconnected.Action)
		require.Equal(t, storetest.Service, disconnected.Resource)
		require.Equal(t, "access-list.delete", deleted.Action)
		require.Contains(t, deleted.Before["members"], string(storetest.Bob))
		require.Contains(t, deleted.Before["members"], string(storetest.Carol))
	})
}

func TestChangeMembers_TakesOneOrAllOutOfAVeryLongList(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		const n = 2000
		_, _, err := b.PutAccessList(ctx, storetest.As(storetest.Owner), models.AccessList{ID: "long", Name: "Long"}, models.Condition{})
		require.NoError(t, err)
		rows := make([]models.AccessListMember, n)
		for i := range rows {
			rows[i].Organisation = models.Norwegian(fmt.Sprint(800_000_000 + i))
		}
		_, err = b.ChangeMembers(ctx, storetest.As(storetest.Owner), "long", models.MemberChange{Put: rows}, storetest.Always)
		require.NoError(t, err)
		_, err = b.ChangeMembers(ctx, storetest.As(storetest.Owner), "long", models.MemberChange{Remove: []models.Party{rows[7].Organisation, storetest.Alice}}, storetest.Always)
		require.NoError(t, err)
		members, err := b.AccessListMembers(ctx, storetest.Owner, "long", rows[5].Organisation, 2)
		require.NoError(t, err)
		require.Equal(t, []models.Party{rows[6].Organisation, rows[8].Organisation}, []models.Party{members[0].Organisation, members[1].Organisation})
		b.Quota(t, func(q *models.Quotas) { q.Members = n })
		_, err = b.ChangeMembers(ctx, storetest.As(storetest.Owner), "long", models.MemberChange{Put: []models.AccessListMember{{Organisation: storetest.Alice}, {Organisation: storetest.Bob}}}, storetest.Always)
		require.Error(t, err, "one place is free, not two")
		_, err = b.ChangeMembers(ctx, storetest.As(storetest.Owner), "long", models.MemberChange{Replace: true, Put: rows[:1]}, storetest.Always)
		require.NoError(t, err)
		members, err = b.AccessListMembers(ctx, storetest.Owner, "long", "", 10)
		require.NoError(t, err)
		require.Len(t, members, 1)
	})
}
