package reads_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
)

// The details show whom the model says, and no one else, with either policy.
func TestTransferDetails_ShowWhomTheModelLetsTheViewerSee(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Publish(t, storetest.Bob, storetest.Carol)
		for _, policy := range []bool{false, true} {
			_, err := b.PutResource(t.Context(), storetest.As(storetest.Owner), storetest.Service, models.ResourcePatch{RecipientsSeeEachOther: &policy}, storetest.Always)
			require.NoError(t, err)
			for _, viewer := range []models.Party{storetest.Alice, storetest.Bob, storetest.Carol} {
				v, err := b.TransferDetails(t.Context(), id, viewer)
				require.NoError(t, err)
				var seen, want []models.Party
				for _, r := range v.Recipients {
					seen = append(seen, r.Party)
				}
				for _, p := range []models.Party{storetest.Bob, storetest.Carol} {
					if models.MaySeeRecipient(viewer, storetest.Alice, p, policy) {
						want = append(want, p)
					}
				}
				require.Equal(t, want, seen, "%s sees, policy %v", viewer, policy)
			}
		}
	})
}
