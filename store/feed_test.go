package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// tell writes events of a transfer without a life around them.
func (b *bundle) tell(t testing.TB, transfer uuid.UUID, resource string, notices ...notice) {
	t.Helper()
	require.NoError(t, b.transact(background, "tell", func(tx *gorm.DB) error {
		return appendEvents(tx, models.Transfer{ID: transfer, ResourceID: resource}, b.Store.clock(), notices)
	}))
}

func TestEventsAfter_FindsWhatASimpleFilterFinds(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.accept(t, bob)
		resources, types := []string{"a", "b", "c"}, models.EventTypes()
		for range 300 {
			kind := types[rand.IntN(len(types))]
			b.tell(t, id, resources[rand.IntN(3)], notice{[]models.Party{alice, bob}[rand.IntN(2)], []models.Role{models.RoleSender, models.RoleRecipient}[rand.IntN(2)], kind})
		}
		all, err := b.EventsAfter(t.Context(), bob, 0, models.EventFilter{}, 1000)
		require.NoError(t, err)
		for i, e := range all {
			require.EqualValues(t, i+1, e.Seq)
		}
		pick := func(n int) []string { return []string{"", "a", "urn:altinn:resource:b", "none"}[n : n+1] }
		for round := range 200 {
			f := models.EventFilter{Resource: pick(rand.IntN(4))[0]}
			for range rand.IntN(3) {
				kind := types[rand.IntN(len(types))]
				f.Types = append(f.Types, []string{string(kind), kind.FullType()}[rand.IntN(2)])
			}
			if rand.IntN(3) == 0 {
				f.Sights = []models.Sight{}
				for _, r := range resources[:rand.IntN(4)] {
					f.Sights = append(f.Sights, models.Sight{Resource: r, Role: []models.Role{"", models.RoleSender, models.RoleRecipient}[rand.IntN(3)]})
				}
				for i := range rand.IntN(2) * 70 {
					f.Sights = append(f.Sights, models.Sight{Resource: fmt.Sprintf("r%d", i), Role: models.RoleSender})
				}
			}
			if rand.IntN(3) == 0 {
				f.Without = types[rand.IntN(len(types))]
			}
			f.Subject = []string{"", string(bob), bob.URN(), bob.Number(), string(alice)}[rand.IntN(5)]
			after, limit := rand.Int64N(int64(len(all)+5)), 1+rand.IntN(40)
			want := []models.Event{}
			for _, e := range all {
				passes := e.Seq > after && (f.Resource == "" || e.ResourceID == models.ResourceID(f.Resource)) &&
					(len(f.Types) == 0 || slices.Contains(f.Types, string(e.Type)) || slices.Contains(f.Types, e.Type.FullType())) &&
					(f.Sights == nil || slices.Contains(f.Sights, models.Sight{Resource: e.ResourceID}) || slices.Contains(f.Sights, models.Sight{Resource: e.ResourceID, Role: e.Role})) &&
					e.Type != f.Without && f.Subject != string(alice)
				if passes && len(want) < limit {
					want = append(want, e)
				}
			}
			got, err := b.EventsAfter(t.Context(), bob, after, f, limit)
			require.NoError(t, err)
			require.Equal(t, want, got, "round %d: %+v after %d, %d of them", round, f, after, limit)
		}
		many := models.EventFilter{}
		for i := range 70 {
			many.Sights = append(many.Sights, models.Sight{Resource: fmt.Sprintf("r%d", i)})
		}
		many.Sights = append(many.Sights, models.Sight{Resource: "a"})
		got, err := b.EventsAfter(t.Context(), bob, 0, many, 1000)
		require.NoError(t, err)
		for _, e := range got {
			require.Equal(t, "a", e.ResourceID)
		}
		require.NotEmpty(t, got)
	})
}

// A supplier finds the few events that are for it behind very many that are not, and hears of no subscription.
func TestEventsFor_ASupplierFindsWhatWasDelegatedInOneQuestion(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.accept(t, carol)
		by := models.Caller{Party: bob, Supplier: carol}
		_, _, err := b.PutDelegation(t.Context(), as(bob), models.Delegation{Supplier: carol, ResourceID: svc, MayReceive: true}, always)
		require.NoError(t, err)
		for range 100 {
			b.tell(t, id, svc, notice{bob, models.RoleSender, models.EventPublished})
			b.tell(t, id, "other", notice{bob, models.RoleRecipient, models.EventPublished})
		}
		b.tell(t, id, svc, notice{bob, models.RoleRecipient, models.EventSubscriptionDisabled})
		b.tell(t, id, svc, notice{bob, models.RoleRecipient, models.EventPublished})
		sights, err := b.sights(t.Context(), by)
		require.NoError(t, err)
		require.Equal(t, []models.Sight{{Resource: svc, Role: models.RoleRecipient}}, sights)
		query, _ := feedQuery(bob, 0, models.EventFilter{Sights: sights}, 1)
		require.Contains(t, query, "role = ?", "the database chooses, not page after page")
		events, err := b.EventsFor(t.Context(), by, 0, models.EventFilter{}, 1)
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.Equal(t, models.EventPublished, events[0].Type)
		require.EqualValues(t, 202, events[0].Seq)
		events, err = b.EventsFor(t.Context(), by, 0, models.EventFilter{Types: []string{string(models.EventSubscriptionDisabled)}}, 10)
		require.NoError(t, err)
		require.Empty(t, events)
	})
}
