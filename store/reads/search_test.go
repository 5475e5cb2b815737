package reads_test

import (
	"cmp"
	"fmt"
	"math/rand"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/store/storetest"
)

// TestSearchTransfers_FindsWhatASimpleFilterFinds compares every query with a filter in Go.
func TestSearchTransfers_FindsWhatASimpleFilterFinds(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		b.Grant(t, storetest.Carol, true, true)
		var all []models.TransferView
		for i := range 30 {
			var id uuid.UUID
			to := [][]models.Party{{storetest.Bob}, {storetest.Bob, storetest.Carol}, {storetest.Carol}}[i%3]
			switch i % 6 {
			case 0, 1:
				id = b.Accept(t, to...)
			case 2:
				id = b.Accept(t, to...)
				require.NoError(t, b.BeginUpload(ctx, storetest.AttemptOf(id, uuid.New(), nil), time.Minute))
			case 3:
				id = b.Accept(t, to...)
				b.Stage(t, id)
			case 4:
				id = b.Publish(t, to...)
				b.Download(t, id, to[0])
			case 5:
				id = b.Publish(t, to...)
				b.Download(t, id, to[0])
				_, err := b.ConfirmTransfer(ctx, id, to[0])
				require.NoError(t, err)
			}
			v, err := b.TransferDetails(ctx, id, storetest.Alice)
			require.NoError(t, err)
			all = append(all, v)
		}
		random := rand.New(rand.NewSource(1))
		for range 300 {
			q := randomSearch(random, all)
			want := filter(all, q)
			require.Equal(t, want, collect(t, b, q), "%+v", q)
		}
	})
}

func randomSearch(r *rand.Rand, all []models.TransferView) models.Search {
	q := models.Search{
		Caller: []models.Party{storetest.Alice, storetest.Bob, storetest.Carol, storetest.Owner}[r.Intn(4)], ResourceID: storetest.Service, Limit: 1 + r.Intn(8), Ascending: r.Intn(2) == 0,
		Role: []models.Role{"", models.RoleSender, models.RoleRecipient}[r.Intn(3)],
	}
	if r.Intn(2) == 0 {
		s := models.TransferStatus(r.Intn(8))
		q.Status = &s
	}
	if r.Intn(3) == 0 {
		s := models.RecipientStatus(r.Intn(3))
		q.RecipientStatus = &s
	}
	if r.Intn(3) == 0 {
		q.From = &all[r.Intn(len(all))].Created
	}
	if r.Intn(3) == 0 {
		q.To = &all[r.Intn(len(all))].EffectiveSince
	}
	return q
}

func filter(all []models.TransferView, q models.Search) []uuid.UUID {
	type hit struct {
		id uuid.UUID
		at time.Time
	}
	var hits []hit
	for _, v := range all {
		at := v.Created
		if q.Status != nil {
			at = v.EffectiveSince
		}
		r, received := v.RecipientFor(q.Caller)
		sent := v.Sender == q.Caller
		mine := sent && q.Role != models.RoleRecipient || received && q.Role != models.RoleSender
		if q.RecipientStatus != nil {
			mine = received && r.Status() == *q.RecipientStatus
		}
		within := (q.From == nil || at.After(*q.From)) && (q.To == nil || at.Before(*q.To))
		if q.From != nil && q.To != nil {
			within = !at.Before(*q.From) && !at.After(*q.To)
		}
		if mine && within && (q.Status == nil || v.EffectiveStatus == *q.Status) {
			hits = append(hits, hit{v.ID, at})
		}
	}
	slices.SortFunc(hits, func(a, b hit) int {
		c := cmp.Or(a.at.Compare(b.at), slices.Compare(a.id[:], b.id[:]))
		if q.Ascending {
			return c
		}
		return -c
	})
	ids := []uuid.UUID{}
	for _, h := range hits {
		ids = append(ids, h.id)
	}
	return ids
}

// collect follows the pages to the last.
func collect(t *testing.T, b *storetest.Bundle, q models.Search) []uuid.UUID {
	t.Helper()
	ids := []uuid.UUID{}
	for range 100 {
		page, err := b.SearchTransfers(t.Context(), q)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.IDs), q.Limit)
		ids = append(ids, page.IDs...)
		if q.After = page.Next; page.Next == nil {
			return ids
		}
	}
	require.Fail(t, "the pages do not end")
	return nil
}

func TestSearchTransfers_FindsASendersReference(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		var ids []uuid.UUID
		for i := range 3 {
			s := storetest.Submission(storetest.Bob)
			s.SendersReference = fmt.Sprintf("ref-%d", i)
			_, err := b.AcceptTransfer(t.Context(), s, "run", time.Hour)
			require.NoError(t, err)
			ids = append(ids, s.ID)
		}
		for _, caller := range []models.Party{storetest.Alice, storetest.Bob} {
			page, err := b.SearchTransfers(t.Context(), models.Search{Caller: caller, ResourceID: storetest.Service, SendersReference: "ref-1", Limit: 10})
			require.NoError(t, err)
			require.Equal(t, []uuid.UUID{ids[1]}, page.IDs)
		}
	})
}

func TestSearchTransfers_LooksInOneServiceOnly(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		const other = "customs-files"
		_, err := b.PutResource(t.Context(), storetest.As(storetest.Owner), other, models.ResourcePatch{}, storetest.Always)
		require.NoError(t, err)
		for p, send := range map[models.Party]bool{storetest.Alice: true, storetest.Bob: false} {
			g := models.Grant{ResourceID: other, Organisation: p, Terms: models.Terms{Effect: models.EffectAllow, MaySend: send, MayReceive: !send}}
			_, _, err := b.PutGrant(t.Context(), storetest.As(storetest.Owner), g, storetest.Always)
			require.NoError(t, err)
		}
		here := b.Accept(t, storetest.Bob)
		there := storetest.Submission(storetest.Bob)
		there.ResourceID = other
		_, err = b.AcceptTransfer(t.Context(), there, "run", time.Hour)
		require.NoError(t, err)
		for _, caller := range []models.Party{storetest.Alice, storetest.Bob} {
			for service, id := range map[string]uuid.UUID{storetest.Service: here, other: there.ID} {
				require.Equal(t, []uuid.UUID{id}, collect(t, b, models.Search{Caller: caller, ResourceID: service, Limit: 10}), "%s in %s", caller, service)
			}
			require.Empty(t, collect(t, b, models.Search{Caller: caller, ResourceID: "unknown", Limit: 10}))
		}
	})
}

// Many transfers may be made at one moment; then their ids decide, on both sides of a page.
func TestSearchTransfers_PagesThroughOneMoment(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s, err := store.Open("sqlite:"+filepath.Join(t.TempDir(), "test.db"), store.Options{Now: func() time.Time { return at }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	b := storetest.Prepare(t, &storetest.Bundle{Store: s})
	b.Grant(t, storetest.Alice, true, true)
	ids := make([]uuid.UUID, 9)
	for i := range ids {
		ids[i] = b.Accept(t, []models.Party{storetest.Alice, storetest.Bob}[i%2])
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	q := models.Search{Caller: storetest.Alice, ResourceID: storetest.Service, Limit: 2, Ascending: true}
	require.Equal(t, ids, collect(t, b, q))
	slices.Reverse(ids)
	q.Ascending = false
	require.Equal(t, ids, collect(t, b, q))
}
