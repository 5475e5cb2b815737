package receipts_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/receipts"
)

// backlog is transfers that wait, oldest first, and which of them are broken.
type backlog struct {
	receipts.Chains
	waiting []uuid.UUID
	broken  map[uuid.UUID]bool
	done    []uuid.UUID
	away    error
}

func (b *backlog) TransfersWithFacts(_ context.Context, without []uuid.UUID, limit int) ([]uuid.UUID, error) {
	var out []uuid.UUID
	for _, id := range b.waiting {
		if len(out) < limit && !slices.Contains(without, id) {
			out = append(out, id)
		}
	}
	return out, b.away
}

func (b *backlog) ReceiptFacts(_ context.Context, id uuid.UUID) error {
	if b.broken[id] {
		return errors.New("it is broken")
	}
	b.done = append(b.done, id)
	b.waiting = slices.DeleteFunc(b.waiting, func(w uuid.UUID) bool { return w == id })
	return nil
}

func TestSettle_GoesOnWithTheOthersHoweverManyAreBroken(t *testing.T) {
	t.Parallel()
	b := &backlog{broken: map[uuid.UUID]bool{}}
	var good []uuid.UUID
	for n := range 700 { // the oldest 250 are broken: more than are looked up at once
		id := uuid.New()
		b.waiting = append(b.waiting, id)
		if b.broken[id] = n < 250; n >= 250 {
			good = append(good, id)
		}
	}
	issuer := &receipts.Issuer{Chains: b, Log: slog.New(slog.DiscardHandler)}
	err := issuer.Settle(t.Context(), time.Minute)
	require.ErrorContains(t, err, "it is broken (and of 249 others)")
	require.Equal(t, good, b.done, "in order of age, each once")
	b.away = errors.New("the database is away")
	require.ErrorIs(t, issuer.Settle(t.Context(), time.Minute), b.away)
	require.NoError(t, issuer.Settle(t.Context(), 0))
}

func TestSettle_SignsWhatWaitsLongestFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		keys := b.keys
		b.issuer.Keys = nil
		older, newer := b.live(), b.live()
		// the older transfer's receipts are signed, and then it gets another one
		order := func(want ...uuid.UUID) {
			t.Helper()
			got, err := b.UnsignedChains(ctx, nil, 10)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		order(older, newer)
		rest, err := b.UnsignedChains(ctx, []uuid.UUID{older}, 10)
		require.NoError(t, err)
		require.Equal(t, []uuid.UUID{newer}, rest)
		b.use(keys)
		require.NoError(t, b.issuer.Issue(ctx, older))
		order(newer)
		require.NoError(t, b.PurgeTransfer(ctx, older))
		order(newer, older)
		require.NoError(t, b.issuer.Settle(ctx, time.Minute))
		none, err := b.UnsignedChains(ctx, nil, 10)
		require.NoError(t, err)
		require.Empty(t, none)
		for n, id := range []uuid.UUID{newer, older} {
			require.NoError(t, b.AppendStatement(ctx, models.Statement{TransferID: id, Party: bob, Kind: models.StatementAcknowledgement, Text: string(rune('a' + n))}))
		}
		with, err := b.TransfersWithFacts(ctx, nil, 10)
		require.NoError(t, err)
		require.Equal(t, []uuid.UUID{newer, older}, with)
		with, err = b.TransfersWithFacts(ctx, []uuid.UUID{newer}, 10)
		require.NoError(t, err)
		require.Equal(t, []uuid.UUID{older}, with)
	})
}
