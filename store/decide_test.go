package store

import (
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
)

// registry is a random one: grants, lists and delegations about a few organisations.
type registry struct {
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

func drawRegistry(t *rapid.T, now time.Time) registry {
	g := registry{members: map[string][]models.AccessListMember{}}
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
func (b *bundle) keep(t require.TestingT, g registry, id string) {
	ctx := background
	_, err := b.PutResource(ctx, as(owner), id, models.ResourcePatch{}, always)
	require.NoError(t, err)
	for _, grant := range g.grants {
		grant.ResourceID = id
		_, _, err := b.PutGrant(ctx, as(owner), grant, always)
		require.NoError(t, err)
	}
	for _, c := range g.connections {
		list := id + c.ListID
		_, _, err := b.PutAccessList(ctx, as(owner), models.AccessList{ID: list, Name: list}, always)
		require.NoError(t, err)
		_, err = b.ChangeMembers(ctx, as(owner), list, models.MemberChange{Put: g.members[c.ListID]}, always)
		require.NoError(t, err)
		c.ResourceID, c.ListID = id, list
		_, _, err = b.PutAccessListConnection(ctx, as(owner), c, always)
		require.NoError(t, err)
	}
	for _, p := range some {
		old, err := b.Delegations(ctx, p)
		require.NoError(t, err)
		for _, d := range old {
			require.NoError(t, b.DeleteDelegation(ctx, as(p), d, always))
		}
	}
	for _, d := range g.delegations {
		if d.ResourceID == "this" {
			d.ResourceID = id
		}
		_, _, err := b.PutDelegation(ctx, as(d.Principal), d, always)
		require.NoError(t, err)
	}
}

// model is the same registry as the pure function sees it.
func (g registry) model(r models.Resource) models.Registry {
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

// DESIGN 8: one decision, in the model and in the SQL that enforces it.
func TestDecide_TheDatabaseAgreesWithTheModel(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		quotas := models.DefaultQuotas()
		quotas.Services, quotas.Lists = 1e6, 1e6
		b.quotas = quotas
		rapid.Check(t, func(t *rapid.T) {
			now := b.clock.read()
			g, id := drawRegistry(t, now), "random-"+uuid.NewString()
			b.keep(t, g, id)
			r, err := b.ResourceByID(background, id)
			require.NoError(t, err)
			for range 12 {
				q := drawQuestion(t)
				got := b.Permit(background, id, q)
				q.At = now.Add(time.Minute) // the clock moved by less; no limit lies between
				want := g.model(r).Decide(q)
				require.Equal(t, errorsOf(want), errorsOf(got), "%+v", q)
				loaded, err := b.RegistryOf(background, id, q)
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

// DESIGN 8: what is accepted after a revocation was answered was accepted without right.
func TestAcceptTransfer_IsNeverLateAfterARevocation(t *testing.T) {
	t.Parallel()
	s, err := Open(testenv.Postgres(t), Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	b := prepare(t, &bundle{Store: s})
	const rounds, senders, each = 15, 20, 150
	var slowest time.Duration
	for range rounds {
		b.grant(t, alice, true, false)
		var revoked atomic.Bool
		var late, accepted, refused atomic.Int64
		var wg sync.WaitGroup
		half := make(chan struct{})
		for range senders {
			wg.Go(func() {
				for range each {
					already := revoked.Load()
					_, err := b.AcceptTransfer(t.Context(), submission(bob), "run", time.Hour)
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
		require.NoError(t, b.DeleteGrant(t.Context(), as(owner), svc, alice, always))
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
	onBoth(t, func(t *testing.T, b *bundle) {
		sub := func() models.Submission {
			s := submission(bob)
			s.By = models.Caller{Party: alice, Supplier: carol}
			return s
		}
		for range 5 {
			_, _, err := b.PutDelegation(t.Context(), as(alice), models.Delegation{Supplier: carol, MaySend: true}, always)
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
			require.NoError(t, b.DeleteDelegation(t.Context(), as(alice), models.Delegation{Supplier: carol}, always))
			revoked.Store(true)
			wg.Wait()
			_, err = b.AcceptTransfer(t.Context(), sub(), "run", time.Hour)
			require.ErrorIs(t, err, models.ErrNoAccess)
		}
	})
}

func TestPermit_IsAskedAtTheCommitOfAnUploadAndAtEachDownload(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		published, waiting := b.publish(t, bob, carol), b.accept(t, bob)
		attempt := uuid.New()
		require.NoError(t, b.BeginUpload(t.Context(), attemptOf(waiting, attempt, nil), time.Minute))
		b.grant(t, alice, false, true)
		require.ErrorIs(t, b.StageContent(t.Context(), waiting, attempt, models.Content{}, as(alice)), models.ErrNoAccess)
		require.NoError(t, b.DeleteGrant(t.Context(), as(owner), svc, bob, always))
		_, err := b.BeginAccess(t.Context(), published, as(bob), 0, 3)
		require.ErrorIs(t, err, models.ErrNoAccess)
		_, err = b.BeginAccess(t.Context(), published, as(carol), 0, 3)
		require.NoError(t, err, "the others go on")
		b.grant(t, alice, true, false)
		require.NoError(t, b.StageContent(t.Context(), waiting, attempt, models.Content{Size: 3}, as(alice)), "the right came back in time")
	})
}

func TestPermit_HeedsTheCredentialLock(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		by := models.Caller{Party: alice, Credential: models.Credential{Method: models.LoginCertificate, Thumbprint: "one"}}
		other := by
		other.Credential.Thumbprint = "two"
		_, _, err := b.PutCredentialLock(t.Context(), other, models.CredentialLock{Certificates: []string{"one"}}, always)
		require.ErrorIs(t, err, models.ErrLocksOut)
		require.NoError(t, b.CheckCaller(t.Context(), other))
		_, _, err = b.PutCredentialLock(t.Context(), by, models.CredentialLock{Certificates: []string{"one"}}, always)
		require.NoError(t, err)
		require.NoError(t, b.CheckCaller(t.Context(), by))
		require.ErrorIs(t, b.CheckCaller(t.Context(), other), models.ErrUnauthenticated)
		sub := submission(bob)
		sub.By = other
		_, err = b.AcceptTransfer(t.Context(), sub, "run", time.Hour)
		require.ErrorIs(t, err, models.ErrUnauthenticated, "also when it was accepted at the door before")
		require.NoError(t, b.DeleteCredentialLock(t.Context(), by, always))
		require.NoError(t, b.CheckCaller(t.Context(), other))
	})
}

func TestCheckCaller_AsksForADelegationUnlessAnIssuerStatesIt(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		by := models.Caller{Party: alice, Supplier: carol}
		require.ErrorIs(t, b.CheckCaller(t.Context(), by), models.ErrUnauthenticated)
		_, _, err := b.PutDelegation(t.Context(), as(alice), models.Delegation{Supplier: carol, MayReceive: true, ResourceID: "x"}, always)
		require.NoError(t, err)
		require.NoError(t, b.CheckCaller(t.Context(), by))
		stated := models.Caller{Party: bob, Supplier: carol, DelegationStated: true, Credential: models.Credential{Method: models.LoginExternalToken, Issuer: "i"}}
		require.NoError(t, b.CheckCaller(t.Context(), stated))
		own := models.Caller{Party: bob, Credential: models.Credential{Method: models.LoginCertificate, Thumbprint: "c"}}
		_, _, err = b.PutCredentialLock(t.Context(), own, models.CredentialLock{Certificates: []string{"c"}}, always)
		require.NoError(t, err)
		require.ErrorIs(t, b.CheckCaller(t.Context(), stated), models.ErrUnauthenticated, "bob's lock does not name the issuer")
	})
}

func TestLookAs_IsForSuppliersWhatWasDelegated(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		by := models.Caller{Party: alice, Supplier: carol}
		mayLook := func(resource string, by models.Caller) error {
			_, err := b.LookAs(t.Context(), resource, by)
			return err
		}
		require.NoError(t, mayLook("anything", as(alice)))
		require.ErrorIs(t, mayLook(svc, by), models.ErrNoAccess)
		_, _, err := b.PutDelegation(t.Context(), as(alice), models.Delegation{Supplier: carol, ResourceID: "other", MaySend: true, MayReceive: true}, always)
		require.NoError(t, err)
		require.ErrorIs(t, mayLook(svc, by), models.ErrNoAccess, "it was delegated elsewhere")
		_, _, err = b.PutDelegation(t.Context(), as(alice), models.Delegation{Supplier: carol, ResourceID: svc, MayReceive: true}, always)
		require.NoError(t, err)
		roles, err := b.LookAs(t.Context(), svc, by)
		require.NoError(t, err)
		require.Equal(t, []models.Role{models.RoleRecipient}, roles)
		require.ErrorIs(t, mayLook("unknown", by), models.ErrNoAccess)
		none := string(models.SuppliersNone)
		_, err = b.PutResource(t.Context(), as(owner), svc, models.ResourcePatch{Suppliers: &none}, always)
		require.NoError(t, err)
		require.ErrorIs(t, mayLook(svc, by), models.ErrSupplierRefused)
		stated := by
		stated.DelegationStated = true
		require.ErrorIs(t, mayLook(svc, stated), models.ErrSupplierRefused, "whoever vouches for it")
	})
}
