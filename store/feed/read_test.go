package feed_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
)

func TestEventsAfter_FindsWhatASimpleFilterFinds(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Accept(t, storetest.Bob)
		resources, types := []string{"a", "b", "c"}, models.EventTypes()
		for range 300 {
			kind := types[rand.IntN(len(types))]
			b.Notices(t, id, resources[rand.IntN(3)], models.Notice{To: []models.Party{storetest.Alice, storetest.Bob}[rand.IntN(2)], Role: []models.Role{models.RoleSender, models.RoleRecipient}[rand.IntN(2)], Type: kind})
		}
		all, err := b.EventsAfter(t.Context(), storetest.Bob, 0, models.EventFilter{}, 1000)
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
			f.Subject = []string{"", string(storetest.Bob), storetest.Bob.URN(), storetest.Bob.Number(), string(storetest.Alice)}[rand.IntN(5)]
			after, limit := rand.Int64N(int64(len(all)+5)), 1+rand.IntN(40)
			want := []models.Event{}
			for _, e := range all {
				passes := e.Seq > after && (f.Resource == "" || e.ResourceID == models.ResourceID(f.Resource)) &&
					(len(f.Types) == 0 || slices.Contains(f.Types, string(e.Type)) || slices.Contains(f.Types, e.Type.FullType())) &&
					(f.Sights == nil || slices.Contains(f.Sights, models.Sight{Resource: e.ResourceID}) || slices.Contains(f.Sights, models.Sight{Resource: e.ResourceID, Role: e.Role})) &&
					e.Type != f.Without && f.Subject != string(storetest.Alice)
				if passes && len(want) < limit {
					want = append(want, e)
				}
			}
			got, err := b.EventsAfter(t.Context(), storetest.Bob, after, f, limit)
			require.NoError(t, err)
			require.Equal(t, want, got, "round %d: %+v after %d, %d of them", round, f, after, limit)
		}
		many := models.EventFilter{}
		for i := range 70 {
			many.Sights = append(many.Sights, models.Sight{Resource: fmt.Sprintf("r%d", i)})
		}
		many.Sights = append(many.Sights, models.Sight{Resource: "a"})
		got, err := b.EventsAfter(t.Context(), storetest.Bob, 0, many, 1000)
		require.NoError(t, err)
		for _, e := range got {
			require.Equal(t, "a", e.ResourceID)
		}
		require.NotEmpty(t, got)
	})
}

// Whether an organisation was notified is nobody else's business, nor is how many events it has.
func TestEventPosition_IsOfOnesOwnEventsOnly(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		b.Publish(t, storetest.Bob)
		for _, party := range []models.Party{storetest.Alice, storetest.Bob} {
			events, err := b.EventsAfter(t.Context(), party, 0, models.EventFilter{}, 10)
			require.NoError(t, err)
			require.NotEmpty(t, events)
			for _, e := range events {
				at, err := b.EventPosition(t.Context(), party, e.ID)
				require.NoError(t, err)
				require.Equal(t, e.Seq, at)
				_, err = b.EventPosition(t.Context(), storetest.Carol, e.ID)
				require.ErrorIs(t, err, models.ErrNoSuchEvent)
			}
		}
		_, err := b.EventPosition(t.Context(), storetest.Alice, uuid.New())
		require.ErrorIs(t, err, models.ErrNoSuchEvent)
	})
}
