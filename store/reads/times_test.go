package reads_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/store/storetest"
)

// times are all that the database tells of a transfer and its parties, in their order.
type times struct{ history, receipts, events []time.Time }

func timesOf(t testing.TB, b *storetest.Bundle, id uuid.UUID) (out times) {
	g := b.DB().Read(context.Background())
	var changes []models.StatusChange
	require.NoError(t, g.Order("seq").Find(&changes, "transfer_id = ?", id).Error)
	for _, c := range changes {
		out.history = append(out.history, c.At)
	}
	for _, r := range b.Entries(t, id) {
		out.receipts = append(out.receipts, r.At)
	}
	var events []models.Event
	require.NoError(t, g.Order("party, seq").Find(&events, "transfer_id = ?", id).Error)
	for _, e := range events {
		out.events = append(out.events, e.At)
	}
	return out
}

// Everything that one transaction writes has one time, with a clock that steps at each reading.
func TestTransaction_HasOneTime(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		steps := map[string]func(id uuid.UUID){
			"publish": func(id uuid.UUID) { require.NoError(t, b.DeliverTransfer(t.Context(), id, b.Stage(t, id), 0)) },
			"confirm": func(id uuid.UUID) {
				_, err := b.ConfirmTransfer(t.Context(), id, storetest.Bob)
				require.NoError(t, err)
			},
			"cancel": func(id uuid.UUID) { require.NoError(t, b.CancelTransfer(t.Context(), id)) },
			"fail":   func(id uuid.UUID) { require.NoError(t, b.FailTransfer(t.Context(), id, models.FaultChecksum)) },
			"purge":  func(id uuid.UUID) { require.NoError(t, b.PurgeTransfer(t.Context(), id)) },
		}
		check := func(name string, id uuid.UUID, before times) {
			t.Helper()
			after := timesOf(t, b, id)
			last := after.history[len(after.history)-1]
			for _, at := range after.receipts[len(before.receipts):] {
				require.True(t, at.Equal(last), "%s: receipt at %s, status at %s", name, at, last)
			}
			fresh := 0
			for _, at := range after.events {
				if at.Equal(last) {
					fresh++
				}
			}
			require.GreaterOrEqual(t, fresh, 1, name)
			var v models.Transfer
			require.NoError(t, b.DB().Read(t.Context()).Take(&v, "id = ?", id).Error)
			require.True(t, v.StatusChanged.Equal(last), name)
		}
		check("accept", b.Accept(t, storetest.Bob), times{})

		published := b.Accept(t, storetest.Bob, storetest.Carol)
		before := timesOf(t, b, published)
		steps["publish"](published)
		check("publish", published, before)
		var rows []models.Recipient
		require.NoError(t, b.DB().Read(t.Context()).Find(&rows, "transfer_id = ?", published).Error)
		for _, r := range rows {
			require.True(t, r.Delivered.Equal(r.TransferStatusChanged), "delivery and publication are one moment")
		}

		one := b.Publish(t, storetest.Bob)
		b.Download(t, one, storetest.Bob)
		before = timesOf(t, b, one)
		steps["confirm"](one)
		check("confirm", one, before)
		for name, id := range map[string]uuid.UUID{"cancel": b.Publish(t, storetest.Bob), "fail": b.Accept(t, storetest.Bob), "purge": b.Publish(t, storetest.Bob)} {
			before = timesOf(t, b, id)
			steps[name](id)
			check(name, id, before)
		}
	})
}

// The acceptance of the content comes before its consignment, and publication before delivery.
func TestTimeline_TellsACauseBeforeWhatFollowsFromIt(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Publish(t, storetest.Bob)
		said := b.Entries(t, id)
		require.Equal(t, models.ReceiptAccepted, said[1].Event)
		require.Equal(t, models.ReceiptConsigned, said[2].Event)
		require.True(t, said[1].At.Equal(said[2].At), "one transaction, one time")
		_, entries, err := b.TimelineFor(t.Context(), id, models.TimelineQuery{Viewer: storetest.Alice, Limit: 100})
		require.NoError(t, err)
		place := map[string]int{}
		for i, e := range entries {
			place[string(e.Kind)+" "+e.What] = i
		}
		require.Less(t, place["status Published"], place["delivery Delivered"])
		b.Download(t, id, storetest.Bob)
		_, err = b.ConfirmTransfer(t.Context(), id, storetest.Bob)
		require.NoError(t, err)
		_, entries, err = b.TimelineFor(t.Context(), id, models.TimelineQuery{Viewer: storetest.Alice, Limit: 100})
		require.NoError(t, err)
		for i, e := range entries {
			place[string(e.Kind)+" "+e.What] = i
		}
		require.Less(t, place["confirmation DownloadConfirmed"], place["status AllConfirmedDownloaded"], "the cause comes first")
	})
}

func ordered(t require.TestingT, what string, all []time.Time) {
	for i := 1; i < len(all); i++ {
		require.False(t, all[i].Before(all[i-1]), "%s %d: %s is before %s", what, i+1, all[i], all[i-1])
	}
}

// inOrder checks that no time falls while numbers rise.
func inOrder(t require.TestingT, b *storetest.Bundle, id uuid.UUID, parties ...models.Party) {
	ctx := context.Background()
	g := b.DB().Read(ctx)
	var at []time.Time
	require.NoError(t, g.Model(&models.StatusChange{}).Order("seq").Where("transfer_id = ?", id).Pluck("at", &at).Error)
	ordered(t, "status", at)
	v, err := b.TransferDetails(ctx, id, storetest.Alice)
	require.NoError(t, err)
	at = nil
	for _, h := range v.History {
		at = append(at, h.At)
	}
	ordered(t, "history", at)
	var rows []models.ReceiptEntry
	require.NoError(t, g.Order("seq").Find(&rows, "transfer_id = ?", id).Error)
	at = nil
	for _, r := range rows {
		said, err := models.ReadReceipt(storetest.Unsigned(r.Entry))
		require.NoError(t, err)
		at = append(at, said.At)
		require.False(t, said.Occurred != nil && said.Occurred.After(said.At), "a receipt comes after what it tells of")
	}
	ordered(t, "receipt", at)
	for _, p := range parties {
		at = nil
		require.NoError(t, g.Model(&models.Event{}).Order("seq").Where("party = ?", p).Pluck("at", &at).Error)
		ordered(t, "event of "+string(p), at)
	}
}

// Replicas' clocks differ, and all write to the same parties at once.
func TestTimes_NeverFallAmongReplicas(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		late, err := store.Open(b.DB().URL(), store.Options{Now: func() time.Time { return b.Clock.Read().Add(time.Hour) }})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, late.Close()) })
		replicas := []*store.Store{b.Store, late}
		ids := make([]uuid.UUID, 12)
		var wg sync.WaitGroup
		for n := range ids {
			ids[n] = b.Publish(t, storetest.Bob, storetest.Carol)
			b.Download(t, ids[n], storetest.Bob)
			b.Download(t, ids[n], storetest.Carol)
			for i, p := range []models.Party{storetest.Bob, storetest.Carol} {
				wg.Go(func() {
					_, err := replicas[(n+i)%2].ConfirmTransfer(ctx, ids[n], p)
					require.NoError(t, err)
				})
			}
		}
		wg.Wait()
		for n, id := range ids {
			require.NoError(t, replicas[n%2].PurgeTransfer(ctx, id))
			inOrder(t, b, id, storetest.Alice, storetest.Bob, storetest.Carol)
		}
	})
}
