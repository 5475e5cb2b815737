package store

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestRemindOfTransfer_TellsWhoHasNotConfirmedAndTheSenderOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		id := b.publish(t, bob, carol)
		b.download(t, id, carol)
		_, err := b.ConfirmDelivery(ctx, id, carol)
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, b.RemindOfTransfer(ctx, id, 7*24*time.Hour))
		}
		require.NoError(t, b.RemindOfTransfer(ctx, id, time.Hour))
		require.NoError(t, b.RemindOfTransfer(ctx, id, 7*24*time.Hour), "also after another one")
		require.Equal(t, []string{"published", "confirmationreminder", "confirmationreminder"}, b.events(t, bob))
		require.Equal(t, []string{"published", "downloadconfirmed"}, b.events(t, carol))
		events, err := b.EventsAfter(ctx, alice, 0, models.EventFilter{Types: []string{"confirmationreminder"}}, 10)
		require.NoError(t, err)
		require.Len(t, events, 2)
		require.Equal(t, "P7D", events[0].Detail)
		require.Equal(t, "PT1H", events[1].Detail)
		require.Equal(t, models.RoleSender, events[0].Role)

		b.download(t, id, bob)
		_, err = b.ConfirmDelivery(ctx, id, bob)
		require.NoError(t, err)
		require.NoError(t, b.RemindOfTransfer(ctx, id, time.Minute), "there is nobody to wait for")
		require.Len(t, b.events(t, bob), 4)
	})
}

// Reference weakness 13, for reminders: who was not offered the file hears of none.
func TestWeakness13_OnlyWhoWasOfferedTheFileIsReminded(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		many := []models.Party{bob}
		for i := range models.GroupSize {
			p := models.Norwegian("40000" + string([]byte{byte('0' + i/100), byte('0' + i/10%10), byte('0' + i%10)}) + "0")
			b.grant(t, p, false, true)
			many = append(many, p)
		}
		id := b.accept(t, many...)
		require.NoError(t, b.RemindOfTransfer(t.Context(), id, time.Hour))
		require.Empty(t, b.events(t, bob))
		require.NoError(t, b.DeliverTransfer(t.Context(), id, b.stage(t, id), 1))
		require.NoError(t, b.RemindOfTransfer(t.Context(), id, time.Minute))
		require.Equal(t, []string{"published", "confirmationreminder"}, b.events(t, bob))
		require.Empty(t, b.events(t, many[len(many)-1]), "its group has not been served")
		require.Len(t, slices.DeleteFunc(b.events(t, alice), func(e string) bool { return e != "confirmationreminder" }), 1)

		cancelled := b.publish(t, carol)
		require.NoError(t, b.CancelTransfer(t.Context(), cancelled))
		require.NoError(t, b.RemindOfTransfer(t.Context(), cancelled, time.Hour))
		require.Equal(t, []string{"published", "cancelled"}, b.events(t, carol))
	})
}

func TestFailTransfer_TellsTheReason(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		for text, reason := range map[string]string{
			models.FaultChecksum: "checksummismatch", models.FaultSize: "filetoolarge", models.FaultStored: "storedfilediffers",
			models.FaultNoUpload: "noupload", "something else": "",
		} {
			id := b.accept(t, bob)
			require.NoError(t, b.FailTransfer(t.Context(), id, text))
			var e models.Event
			require.NoError(t, b.read.Take(&e, "transfer_id = ? AND type = ?", id, models.EventUploadFailed).Error)
			require.Equal(t, reason, e.Detail)
		}
	})
}
