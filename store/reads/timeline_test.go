package reads_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
)

// life is a transfer that a test lives at random, with its own account of what changed.
type life struct {
	*storetest.Bundle
	id      uuid.UUID
	want    map[models.TimelineKind]int
	attempt uuid.UUID
	running []uuid.UUID
	setBack bool // the clock may be set back, so that several things happen at one moment
}

// count notes what a step that succeeded must have added. Statuses and events are counted by what the step means.
func (l *life) count(statuses, events int, kinds ...models.TimelineKind) {
	l.want[models.TimelineStatus] += statuses
	l.want[models.TimelineNotification] += events
	for _, k := range kinds {
		l.want[k]++
	}
}

// steps are what may happen to a transfer, at any moment; what is refused changes nothing.
func (l *life) steps(rt *rapid.T) map[string]func() {
	who := rapid.SampledFrom([]models.Party{storetest.Bob, storetest.Carol}).Draw(rt, "who")
	return map[string]func(){
		"upload": func() {
			attempt := uuid.New()
			if l.BeginUpload(context.Background(), storetest.AttemptOf(l.id, attempt, nil), time.Minute) != nil {
				return
			}
			l.count(0, 0, models.TimelineUpload)
			if l.StageContent(context.Background(), l.id, attempt, models.Content{Generation: 1, Size: 3, MD5: "m", SHA256: "s"}, storetest.As(storetest.Alice)) == nil {
				l.attempt = attempt
				l.count(0, 1, models.TimelineUpload)
			}
		},
		"deliver": func() {
			v, _ := l.TransferFor(context.Background(), l.id, storetest.Alice)
			if l.attempt != uuid.Nil && l.DeliverTransfer(context.Background(), l.id, l.attempt, 0) == nil && v.Status == models.TransferInitialized {
				l.count(2, 3, models.TimelineDelivery, models.TimelineDelivery) // UploadStarted too
			}
		},
		"begin": func() {
			if access, err := l.BeginAccess(context.Background(), l.id, storetest.As(who), 0, 3); err == nil {
				l.running = append(l.running, access)
				l.count(0, 0, models.TimelineAccess)
			}
		},
		"end": func() {
			if len(l.running) > 0 {
				_ = l.EndAccess(context.Background(), l.running[0], int64(rapid.IntRange(0, 3).Draw(rt, "sent")))
				l.running = l.running[1:]
			}
		},
		"confirm": func() {
			v, _ := l.TransferFor(context.Background(), l.id, who)
			all, err := l.ConfirmTransfer(context.Background(), l.id, who)
			if err != nil || v.Recipients[0].Confirmed != nil {
				return
			}
			l.count(0, 2, models.TimelineConfirmation)
			if all {
				l.count(1, 1)
			}
		},
		"say": func() {
			st := models.Statement{TransferID: l.id, Party: who, Kind: models.StatementAcknowledgement, Text: uuid.NewString()}
			if l.AppendStatement(context.Background(), st) == nil {
				l.count(0, 0, models.TimelineStatement)
			}
		},
		"notify": func() {
			if l.Note(context.Background(), models.Notification{TransferID: l.id, Party: who, Channel: uuid.NewString()}) == nil {
				l.count(0, 1)
			}
		},
		"cancel": func() { l.over(l.CancelTransfer, models.TransferCancelled) },
		"fail": func() {
			l.over(func(ctx context.Context, id uuid.UUID) error { return l.FailTransfer(ctx, id, models.FaultChecksum) }, models.TransferFailed)
		},
		"purge": func() { l.over(l.PurgeTransfer, models.TransferPurged) },
		"settle": func() {
			if l.ReceiptFacts(context.Background(), l.id) == nil {
				for l.fakeReceipts() {
				}
			}
		},
	}
}

// over ends the transfer, and counts who is told.
func (l *life) over(end func(context.Context, uuid.UUID) error, to models.TransferStatus) {
	v, _ := l.TransferDetails(context.Background(), l.id, storetest.Alice)
	if end(context.Background(), l.id) != nil || v.Status == to {
		return
	}
	statuses, events := 1, 1 // the sender is told
	if v.Status == models.TransferInitialized && v.UploadStarted != nil {
		statuses++
	}
	delivered, unconfirmed := 0, 0
	for _, r := range v.Recipients {
		if r.Delivered != nil {
			delivered++
			if r.Confirmed == nil {
				unconfirmed++
			}
		}
	}
	switch {
	case to == models.TransferCancelled:
		events += delivered
	case to == models.TransferPurged && v.Status == models.TransferPublished:
		events += 1 + unconfirmed
	}
	l.count(statuses, events)
}

// fakeReceipts signs, without a key, whatever is outstanding.
func (l *life) fakeReceipts() bool {
	chain, rows, err := l.OutstandingReceipts(context.Background(), l.id, 1)
	if err != nil || len(rows) == 0 {
		return false
	}
	jws := storetest.Unsigned(rows[0].Entry)
	row := models.SignedReceipt{TransferID: l.id, Seq: rows[0].Seq, Recipient: rows[0].Recipient, JWS: jws, Hash: models.ReceiptHash(jws)}
	inserted, err := l.InsertReceipts(context.Background(), chain, []models.SignedReceipt{row})
	if err == nil && inserted {
		l.count(0, 0, models.TimelineReceipt)
	}
	return err == nil
}

func TestTimeline_HasOneEntryForEachChangeAndNoTimeFalls(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		rapid.Check(t, func(rt *rapid.T) {
			l := &life{Bundle: b, want: map[models.TimelineKind]int{}, setBack: rapid.IntRange(0, 2).Draw(rt, "set back") == 0}
			sub := storetest.Submission(storetest.Bob, storetest.Carol)
			_, err := b.AcceptTransfer(context.Background(), sub, "run", time.Hour)
			require.NoError(rt, err)
			l.id = sub.ID
			l.count(1, 1)
			names := []string{"upload", "deliver", "begin", "end", "confirm", "say", "notify", "settle", "cancel", "fail", "purge"}
			likely := append(append([]string{"upload", "deliver"}, names[:8]...), names...) // ends are rarer
			for range rapid.IntRange(1, 25).Draw(rt, "steps") {
				l.steps(rt)[rapid.SampledFrom(likely).Draw(rt, "step")]()
				passes := time.Second
				if l.setBack {
					passes = time.Duration(rapid.IntRange(-3, 3).Draw(rt, "passes")) * time.Second
				}
				b.Clock.Advance(passes)
			}
			l.steps(rt)["settle"]()
			l.check(rt)
			inOrder(rt, b, l.id, storetest.Alice, storetest.Bob, storetest.Carol)
		})
	})
}

func (l *life) check(rt *rapid.T) {
	view, entries, err := l.TimelineFor(context.Background(), l.id, models.TimelineQuery{Viewer: storetest.Alice, Limit: 10_000})
	require.NoError(rt, err)
	require.Equal(rt, models.TimelineOfSender, view)
	l.readInPages(rt, storetest.Alice, entries)
	got := map[models.TimelineKind]int{}
	seen := map[models.TimelineEntry]bool{}
	for i, e := range entries {
		require.False(rt, seen[e] && !l.setBack, "twice: %+v", e)
		seen[e] = true
		got[e.Kind]++
		require.True(rt, i == 0 || !e.At.Before(entries[i-1].At), "in order")
		require.NotEmpty(rt, e.Cause+e.What)
	}
	for k, n := range l.want {
		if n == 0 {
			delete(l.want, k)
		}
	}
	require.Equal(rt, l.want, got)
	_, owners, err := l.TimelineFor(context.Background(), l.id, models.TimelineQuery{Viewer: storetest.Owner, Limit: 10_000})
	require.NoError(rt, err)
	require.Len(rt, owners, len(entries))
	l.readInPages(rt, storetest.Owner, owners)
	_, own, err := l.TimelineFor(context.Background(), l.id, models.TimelineQuery{Viewer: storetest.Bob, Limit: 10_000})
	require.NoError(rt, err)
	l.readInPages(rt, storetest.Bob, own)
	for _, e := range own {
		require.NotEqual(rt, storetest.Carol, e.Actor)
		require.NotEqual(rt, storetest.Carol, e.Recipient)
	}
	_, _, err = l.TimelineFor(context.Background(), l.id, models.TimelineQuery{Viewer: "0192:999999999", Limit: 10_000})
	require.ErrorIs(rt, err, models.ErrTransferNotFound)
}

// readInPages reads page by page what was read at once.
func (l *life) readInPages(rt *rapid.T, by models.Party, want []models.TimelineEntry) {
	q := models.TimelineQuery{Viewer: by, Limit: rapid.IntRange(2, 30).Draw(rt, "limit")}
	var got []models.TimelineEntry
	for {
		_, page, err := l.TimelineFor(context.Background(), l.id, q)
		require.NoError(rt, err)
		require.LessOrEqual(rt, len(page), q.Limit)
		got, q.From = append(got, page...), q.From.Behind(page)
		if len(page) == 0 {
			break
		}
	}
	require.Equal(rt, want, got)
}
