package reads_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
)

// A supplier finds the few events that are for it behind very many that are not, and hears of no subscription.
func TestEventsFor_ASupplierFindsWhatWasDelegatedInOneQuestion(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Accept(t, storetest.Carol)
		by := models.Caller{Party: storetest.Bob, Supplier: storetest.Carol}
		_, _, err := b.PutDelegation(t.Context(), storetest.As(storetest.Bob), models.Delegation{Supplier: storetest.Carol, ResourceID: storetest.Service, MayReceive: true}, storetest.Always)
		require.NoError(t, err)
		for range 100 {
			b.Notices(t, id, storetest.Service, models.Notice{To: storetest.Bob, Role: models.RoleSender, Type: models.EventPublished})
			b.Notices(t, id, "other", models.Notice{To: storetest.Bob, Role: models.RoleRecipient, Type: models.EventPublished})
		}
		b.Notices(t, id, storetest.Service, models.Notice{To: storetest.Bob, Role: models.RoleRecipient, Type: models.EventSubscriptionDisabled})
		b.Notices(t, id, storetest.Service, models.Notice{To: storetest.Bob, Role: models.RoleRecipient, Type: models.EventPublished})
		sights, err := b.Sights(t.Context(), by)
		require.NoError(t, err)
		require.Equal(t, []models.Sight{{Resource: storetest.Service, Role: models.RoleRecipient}}, sights)
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
