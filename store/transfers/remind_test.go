package transfers_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
)

func TestRemindOfTransfer_TellsWhoHasNotConfirmedAndTheSenderOnce(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		id := b.Publish(t, storetest.Bob, storetest.Carol)
		b.Download(t, id, storetest.Carol)
		_, err := b.ConfirmTransfer(ctx, id, storetest.Carol)
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, b.RemindOfTransfer(ctx, id, 7*24*time.Hour))
		}
		require.NoError(t, b.RemindOfTransfer(ctx, id, time.Hour))
		require.NoError(t, b.RemindOfTransfer(ctx, id, 7*24*time.Hour), "also after another one")
		require.Equal(t, []string{"published", "confirmationreminder", "confirmationreminder"}, b.EventTypes(t, storetest.Bob))
		require.Equal(t, []string{"published", "downloadconfirmed"}, b.EventTypes(t, storetest.Carol))
		events, err := b.EventsAfter(ctx, storetest.Alice, 0, models.EventFilter{Types: []string{"confirmationreminder"}}, 10)
		require.NoError(t, err)
		require.Len(t, events, 2)
		require.Equal(t, "P7D", events[0].Detail)
		require.Equal(t, "PT1H", events[1].Detail)
		require.Equal(t, models.RoleSender, events[0].Role)

		b.Download(t, id, storetest.Bob)
		_, err = b.ConfirmTransfer(ctx, id, storetest.Bob)
		require.NoError(t, err)
		require.NoError(t, b.RemindOfTransfer(ctx, id, time.Minute), "there is nobody to wait for")
		require.Len(t, b.EventTypes(t, storetest.Bob), 4)
	})
}

// Weakness 13 (docs/reference/altinn-broker.md 3), for reminders: who was not offered the file hears of none.
func TestWeakness13_OnlyWhoWasOfferedTheFileIsReminded(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		many := []models.Party{storetest.Bob}
		for i := range models.GroupSize {
			p := models.Norwegian("40000" + string([]byte{byte('0' + i/100), byte('0' + i/10%10), byte('0' + i%10)}) + "0")
			b.Grant(t, p, false, true)
			many = append(many, p)
		}
		id := b.Accept(t, many...)
		require.NoError(t, b.RemindOfTransfer(t.Context(), id, time.Hour))
		require.Empty(t, b.EventTypes(t, storetest.Bob))
		require.NoError(t, b.DeliverTransfer(t.Context(), id, b.Stage(t, id), 1))
		require.NoError(t, b.RemindOfTransfer(t.Context(), id, time.Minute))
		require.Equal(t, []string{"published", "confirmationreminder"}, b.EventTypes(t, storetest.Bob))
		require.Empty(t, b.EventTypes(t, many[len(many)-1]), "its group has not been served")
		require.Len(t, slices.DeleteFunc(b.EventTypes(t, storetest.Alice), func(e string) bool { return e != "confirmationreminder" }), 1)

		cancelled := b.Publish(t, storetest.Carol)
		require.NoError(t, b.CancelTransfer(t.Context(), cancelled))
		require.NoError(t, b.RemindOfTransfer(t.Context(), cancelled, time.Hour))
		require.Equal(t, []string{"published", "cancelled"}, b.EventTypes(t, storetest.Carol))
	})
}

func TestFailTransfer_TellsTheReason(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		for text, reason := range map[string]string{
			models.FaultChecksum: "checksummismatch", models.FaultSize: "filetoolarge", models.FaultStored: "storedfilediffers",
			models.FaultNoUpload: "noupload", "something else": "",
		} {
			id := b.Accept(t, storetest.Bob)
			require.NoError(t, b.FailTransfer(t.Context(), id, text))
			var e models.Event
			require.NoError(t, b.DB().Read(t.Context()).Take(&e, "transfer_id = ? AND type = ?", id, models.EventUploadFailed).Error)
			require.Equal(t, reason, e.Detail)
		}
	})
}
