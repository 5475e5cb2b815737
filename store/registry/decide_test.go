package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/store/storetest"
)

// drawn is a random registry: grants, lists and delegations about a few organisations.
type drawn struct {
	grants      []models.Grant
	members     map[string][]models.AccessListMember
	connections []models.AccessListConnection
	delegations []models.Delegation
}

var (
	some      = []models.Party{"0192:a", "0192:b", "0192:c", "0192:d", "0192:e"}
	suppliers = []models.Party{"", "0192:s", "0192:t"}
)

func drawTime(t *rapid.T, label string, around time.Time) *time.Time {
	hours := rapid.SampledFrom([]int{0, -2, -1, 1, 2}).Draw(t, label)
	if hours == 0 {
		return nil
	}
	at := around.Add(time.Duration(hours) * time.Hour)
	return &at
}

func drawTerms(t *rapid.T, now time.Time) models.Terms {
	return rapid.Custom(func(t *rapid.T) models.Terms {
		return models.Terms{
			Effect:  rapid.SampledFrom([]models.Effect{models.EffectAllow, models.EffectAllow, models.EffectBlock}).Draw(t, "effect"),
			MaySend: rapid.Bool().Draw(t, "send"), MayReceive: rapid.Bool().Draw(t, "receive"),
			ReplyOnly: rapid.Bool().Draw(t, "replyOnly"), AcceptsReplies: rapid.Bool().Draw(t, "acceptsReplies"),
			ValidFrom: drawTime(t, "from", now), ValidTo: drawTime(t, "to", now),
		}
	}).Filter(func(x models.Terms) bool { return len(x.Check()) == 0 }).Draw(t, "terms")
}

func drawRegistry(t *rapid.T, now time.Time) drawn {
	g := drawn{members: map[string][]models.AccessListMember{}}
	for _, p := range rapid.SliceOfDistinct(rapid.SampledFrom(some), rapid.ID).Draw(t, "granted") {
		g.grants = append(g.grants, models.Grant{Organisation: p, Terms: drawTerms(t, now), Supplier: rapid.SampledFrom(suppliers).Draw(t, "supplier")})
	}
	for _, list := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"l1", "l2"}), rapid.ID).Draw(t, "lists") {
		g.connections = append(g.connections, models.AccessListConnection{ListID: list, Terms: drawTerms(t, now)})
		for _, p := range rapid.SliceOfDistinct(rapid.SampledFrom(some), rapid.ID).Draw(t, "members") {
			m := models.AccessListMember{Organisation: p, ValidFrom: drawTime(t, "from", now), ValidTo: drawTime(t, "to", now)}
			if m.Check() == nil {
				g.members[list] = append(g.members[list], m)
			}
		}
	}
	for _, p := range rapid.SliceOfDistinct(rapid.SampledFrom(some), rapid.ID).Draw(t, "principals") {
		d := models.Delegation{
			Principal: p, Supplier: "0192:s", MaySend: rapid.Bool().Draw(t, "send"), MayReceive: rapid.Bool().Draw(t, "receive"),
			ResourceID: rapid.SampledFrom([]string{"", "this", "other"}).Draw(t, "resource"),
			ValidFrom:  drawTime(t, "from", now), ValidTo: drawTime(t, "to", now),
		}
		if d.Check() == nil {
			g.delegations = append(g.delegations, d)
		}
	}
	return g
}

// keep writes the registry as the API would, into a service of its own, with parties and lists that no other has.
func keep(b *storetest.Bundle, t require.TestingT, g drawn, id string) {
	ctx := context.Background()
	_, err := b.PutResource(ctx, storetest.As(storetest.Owner), id, models.ResourcePatch{}, storetest.Always)
	require.NoError(t, err)
	for _, grant := range g.grants {
		grant.ResourceID = id
		_, _, err := b.PutGrant(ctx, storetest.As(storetest.Owner), grant, storetest.Always)
		require.NoError(t, err)
	}
	for _, c := range g.connections {
		list := id + c.ListID
		_, _, err := b.PutAccessList(ctx, storetest.As(storetest.Owner), models.AccessList{ID: list, Name: list}, storetest.Always)
		require.NoError(t, err)
		_, err = b.ChangeMembers(ctx, storetest.As(storetest.Owner), list, models.MemberChange{Put: g.members[c.ListID]}, storetest.Always)
		require.NoError(t, err)
		c.ResourceID, c.ListID = id, list
		_, _, err = b.PutAccessListConnection(ctx, storetest.As(storetest.Owner), c, storetest.Always)
		require.NoError(t, err)
	}
	for _, p := range some {
		old, err := b.Delegations(ctx, p)
		require.NoError(t, err)
		for _, d := range old {
			require.NoError(t, b.DeleteDelegation(ctx, storetest.As(p), d, storetest.Always))
		}
	}
	for _, d := range g.delegations {
		if d.ResourceID == "this" {
			d.ResourceID = id
		}
		_, _, err := b.PutDelegation(ctx, storetest.As(d.Principal), d, storetest.Always)
		require.NoError(t, err)
	}
}

// model is the same registry as the pure function sees it.
func (g drawn) model(r models.Resource) models.Registry {
	var rules []models.Rule
	for _, grant := range g.grants {
		rules = append(rules, models.Rule{Organisation: grant.Organisation, Terms: grant.Terms, Supplier: grant.Supplier})
	}
	for _, c := range g.connections {
		for _, m := range g.members[c.ListID] {
			rules = append(rules, models.NewListRule(c, m))
		}
	}
	delegations := slices.Clone(g.delegations)
	for i, d := range delegations {
		if d.ResourceID == "this" {
			delegations[i].ResourceID = r.ID
		}
	}
	return models.NewRegistry(r, rules, delegations)
}

func drawQuestion(t *rapid.T) models.Question {
	q := models.Question{
		Action: rapid.SampledFrom([]models.Action{models.ActionSend, models.ActionUpload, models.ActionReceive}).Draw(t, "action"),
		From:   rapid.SampledFrom(some).Draw(t, "sender"),
	}
	q.By = models.Caller{Party: q.From, Supplier: rapid.SampledFrom(suppliers[:2]).Draw(t, "by"), DelegationStated: rapid.Bool().Draw(t, "stated")}
	switch q.Action {
	case models.ActionSend:
		q.To = rapid.SliceOfNDistinct(rapid.SampledFrom(some), 1, 4, rapid.ID).Draw(t, "to")
	case models.ActionReceive:
		q.To = []models.Party{q.By.Party}
	case models.ActionUpload: // names no recipients
	}
	return q
}

// Invariant 24: one decision, in the model and in the SQL that enforces it.
func TestDecide_TheDatabaseAgreesWithTheModel(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		b.Quota(t, func(q *models.Quotas) { q.Services, q.Lists = 1e6, 1e6 })
		rapid.Check(t, func(t *rapid.T) {
			now := b.Clock.Read()
			g, id := drawRegistry(t, now), "random-"+uuid.NewString()
			keep(b, t, g, id)
			r, err := b.ResourceByID(context.Background(), id)
			require.NoError(t, err)
			for range 12 {
				q := drawQuestion(t)
				got := b.CheckRight(context.Background(), id, q)
				q.At = now.Add(time.Minute) // the clock moved by less; no limit lies between
				want := g.model(r).Decide(q)
				require.Equal(t, errorsOf(want), errorsOf(got), "%+v", q)
				loaded, err := b.RegistryOf(context.Background(), id, q)
				require.NoError(t, err)
				require.Equal(t, errorsOf(want), errorsOf(loaded.Decide(q)), "what is explained is what is decided")
			}
		})
	})
}

// errorsOf is an error's code and fields, without the words that each layer adds.
func errorsOf(err error) string {
	if err == nil {
		return "yes"
	}
	e, ok := models.AsError(err)
	if !ok {
		return err.Error()
	}
	return fmt.Sprint(e.Code, e.Fields)
}

// Invariant 17: what is accepted after a revocation was answered was accepted without right.
func TestAcceptTransfer_IsNeverLateAfterARevocation(t *testing.T) {
	t.Parallel()
	s, err := store.Open(testenv.Postgres(t), store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	b := storetest.Prepare(t, &storetest.Bundle{Store: s})
	const rounds, senders, each = 15, 20, 150
	var slowest time.Duration
	for range rounds {
		b.Grant(t, storetest.Alice, true, false)
		var revoked atomic.Bool
		var late, accepted, refused atomic.Int64
		var wg sync.WaitGroup
		half := make(chan struct{})
		for range senders {
			wg.Go(func() {
				for range each {
					already := revoked.Load()
					_, err := b.AcceptTransfer(t.Context(), storetest.Submission(storetest.Bob), "run", time.Hour)
					switch {
					case errors.Is(err, models.ErrNoAccess):
						refused.Add(1)
					case err != nil:
						t.Errorf("accept: %v", err)
					default:
						if accepted.Add(1) == senders {
							close(half)
						}
						if already {
							late.Add(1)
						}
					}
				}
			})
		}
		<-half // the race is on
		began := time.Now()
		require.NoError(t, b.DeleteGrant(t.Context(), storetest.As(storetest.Owner), storetest.Service, storetest.Alice, storetest.Always))
		revoked.Store(true)
		slowest = max(slowest, time.Since(began))
		wg.Wait()
		require.Zero(t, late.Load())
		require.EqualValues(t, senders*each, accepted.Load()+refused.Load())
		require.Positive(t, refused.Load(), "the revocation came in the middle")
	}
	t.Logf("the slowest of %d revocations took %s", rounds, slowest)
}

func TestAcceptTransfer_IsNeverLateAfterADelegationWasTakenBack(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		sub := func() models.Submission {
			s := storetest.Submission(storetest.Bob)
			s.By = models.Caller{Party: storetest.Alice, Supplier: storetest.Carol}
			return s
		}
		for range 5 {
			_, _, err := b.PutDelegation(t.Context(), storetest.As(storetest.Alice), models.Delegation{Supplier: storetest.Carol, MaySend: true}, storetest.Always)
			require.NoError(t, err)
			var revoked atomic.Bool
			var wg sync.WaitGroup
			for range 6 {
				wg.Go(func() {
					for range 10 {
						already := revoked.Load()
						_, err := b.AcceptTransfer(t.Context(), sub(), "run", time.Hour)
						if err == nil && already {
							t.Error("late")
						}
					}
				})
			}
			require.NoError(t, b.DeleteDelegation(t.Context(), storetest.As(storetest.Alice), models.Delegation{Supplier: storetest.Carol}, storetest.Always))
			revoked.Store(true)
			wg.Wait()
			_, err = b.AcceptTransfer(t.Context(), sub(), "run", time.Hour)
			require.ErrorIs(t, err, models.ErrNoAccess)
		}
	})
}

func TestPermit_IsAskedAtTheCommitOfAnUploadAndAtEachDownload(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		published, waiting := b.Publish(t, storetest.Bob, storetest.Carol), b.Accept(t, storetest.Bob)
		attempt := uuid.New()
		require.NoError(t, b.BeginUpload(t.Context(), storetest.AttemptOf(waiting, attempt, nil), time.Minute))
		b.Grant(t, storetest.Alice, false, true)
		require.ErrorIs(t, b.StageContent(t.Context(), waiting, attempt, models.Content{}, storetest.As(storetest.Alice)), models.ErrNoAccess)
		require.NoError(t, b.DeleteGrant(t.Context(), storetest.As(storetest.Owner), storetest.Service, storetest.Bob, storetest.Always))
		_, err := b.BeginAccess(t.Context(), published, storetest.As(storetest.Bob), 0, 3)
		require.ErrorIs(t, err, models.ErrNoAccess)
		_, err = b.BeginAccess(t.Context(), published, storetest.As(storetest.Carol), 0, 3)
		require.NoError(t, err, "the others go on")
		b.Grant(t, storetest.Alice, true, false)
		require.NoError(t, b.StageContent(t.Context(), waiting, attempt, models.Content{Size: 3}, storetest.As(storetest.Alice)), "the right came back in time")
	})
}

func TestPermit_HeedsTheCredentialLock(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		by := models.Caller{Party: storetest.Alice, Credential: models.Credential{Method: models.LoginCertificate, Thumbprint: "one"}}
		other := by
		other.Credential.Thumbprint = "two"
		_, _, err := b.PutCredentialLock(t.Context(), other, models.CredentialLock{Certificates: []string{"one"}}, storetest.Always)
		require.ErrorIs(t, err, models.ErrLocksOut)
		require.NoError(t, b.CheckCaller(t.Context(), other))
		_, _, err = b.PutCredentialLock(t.Context(), by, models.CredentialLock{Certificates: []string{"one"}}, storetest.Always)
		require.NoError(t, err)
		require.NoError(t, b.CheckCaller(t.Context(), by))
		require.ErrorIs(t, b.CheckCaller(t.Context(), other), models.ErrUnauthenticated)
		sub := storetest.Submission(storetest.Bob)
		sub.By = other
		_, err = b.AcceptTransfer(t.Context(), sub, "run", time.Hour)
		require.ErrorIs(t, err, models.ErrUnauthenticated, "also when it was accepted at the door before")
		require.NoError(t, b.DeleteCredentialLock(t.Context(), by, storetest.Always))
		require.NoError(t, b.CheckCaller(t.Context(), other))
	})
}

func TestCheckCaller_AsksForADelegationUnlessAnIssuerStatesIt(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		by := models.Caller{Party: storetest.Alice, Supplier: storetest.Carol}
		require.ErrorIs(t, b.CheckCaller(t.Context(), by), models.ErrUnauthenticated)
		_, _, err := b.PutDelegation(t.Context(), storetest.As(storetest.Alice), models.Delegation{Supplier: storetest.Carol, MayReceive: true, ResourceID: "x"}, storetest.Always)
		require.NoError(t, err)
		require.NoError(t, b.CheckCaller(t.Context(), by))
		stated := models.Caller{Party: storetest.Bob, Supplier: storetest.Carol, DelegationStated: true, Credential: models.Credential{Method: models.LoginExternalToken, Issuer: "i"}}
		require.NoError(t, b.CheckCaller(t.Context(), stated))
		own := models.Caller{Party: storetest.Bob, Credential: models.Credential{Method: models.LoginCertificate, Thumbprint: "c"}}
		_, _, err = b.PutCredentialLock(t.Context(), own, models.CredentialLock{Certificates: []string{"c"}}, storetest.Always)
		require.NoError(t, err)
		require.ErrorIs(t, b.CheckCaller(t.Context(), stated), models.ErrUnauthenticated, "bob's lock does not name the issuer")
	})
}

func TestLookAs_IsForSuppliersWhatWasDelegated(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		by := models.Caller{Party: storetest.Alice, Supplier: storetest.Carol}
		mayLook := func(resource string, by models.Caller) error {
			_, err := b.LookAs(t.Context(), resource, by)
			return err
		}
		require.NoError(t, mayLook("anything", storetest.As(storetest.Alice)))
		require.ErrorIs(t, mayLook(storetest.Service, by), models.ErrNoAccess)
		_, _, err := b.PutDelegation(t.Context(), storetest.As(storetest.Alice), models.Delegation{Supplier: storetest.Carol, ResourceID: "other", MaySend: true, MayReceive: true}, storetest.Always)
		require.NoError(t, err)
		require.ErrorIs(t, mayLook(storetest.Service, by), models.ErrNoAccess, "it was delegated elsewhere")
		_, _, err = b.PutDelegation(t.Context(), storetest.As(storetest.Alice), models.Delegation{Supplier: storetest.Carol, ResourceID: storetest.Service, MayReceive: true}, storetest.Always)
		require.NoError(t, err)
		roles, err := b.LookAs(t.Context(), storetest.Service, by)
		require.NoError(t, err)
		require.Equal(t, []models.Role{models.RoleRecipient}, roles)
		require.ErrorIs(t, mayLook("unknown", by), models.ErrNoAccess)
		none := string(models.SuppliersNone)
		_, err = b.PutResource(t.Context(), storetest.As(storetest.Owner), storetest.Service, models.ResourcePatch{Suppliers: &none}, storetest.Always)
		require.NoError(t, err)
		require.ErrorIs(t, mayLook(storetest.Service, by), models.ErrSupplierRefused)
		stated := by
		stated.DelegationStated = true
		require.ErrorIs(t, mayLook(storetest.Service, stated), models.ErrSupplierRefused, "whoever vouches for it")
	})
}

func TestCheckCaller_KnowsWhenADelegationHolds(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		by := models.Caller{Party: storetest.Alice, Supplier: storetest.Carol}
		from := b.Clock.Read().Add(time.Hour)
		until := from.Add(time.Hour)
		d := models.Delegation{Supplier: storetest.Carol, MayReceive: true, ValidFrom: &from, ValidTo: &until}
		_, _, err := b.PutDelegation(t.Context(), storetest.As(storetest.Alice), d, storetest.Always)
		require.NoError(t, err)
		require.ErrorIs(t, b.CheckCaller(t.Context(), by), models.ErrUnauthenticated, "it does not hold yet")
		b.Clock.Advance(90 * time.Minute)
		require.NoError(t, b.CheckCaller(t.Context(), by))
		b.Clock.Advance(time.Hour)
		require.ErrorIs(t, b.CheckCaller(t.Context(), by), models.ErrUnauthenticated, "it has expired")
	})
}
