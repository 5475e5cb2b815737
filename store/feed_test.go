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
			b.tell(t, id, resources[rand.IntN(3)], notice{[]models.Party{alice, bob}[rand.IntN(2)], models.RoleSender, kind})
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
				f.Resources = resources[:rand.IntN(4)]
			}
			f.Subject = []string{"", string(bob), bob.URN(), bob.Number(), string(alice)}[rand.IntN(5)]
			after, limit := rand.Int64N(int64(len(all)+5)), 1+rand.IntN(40)
			want := []models.Event{}
			for _, e := range all {
				passes := e.Seq > after && (f.Resource == "" || e.ResourceID == models.ResourceID(f.Resource)) &&
					(len(f.Types) == 0 || slices.Contains(f.Types, string(e.Type)) || slices.Contains(f.Types, e.Type.FullType())) &&
					(f.Resources == nil || slices.Contains(f.Resources, e.ResourceID)) && f.Subject != string(alice)
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
			many.Resources = append(many.Resources, fmt.Sprintf("r%d", i))
		}
		many.Resources = append(many.Resources, "a")
		got, err := b.EventsAfter(t.Context(), bob, 0, many, 1000)
		require.NoError(t, err)
		for _, e := range got {
			require.Equal(t, "a", e.ResourceID)
		}
		require.NotEmpty(t, got)
	})
}
