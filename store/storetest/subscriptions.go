package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// Wish is a subscription as an organisation asks for it.
func Wish() models.Subscription {
	return models.Subscription{
		EndPoint: "https://example.com/hook?token=hidden", TypeFilter: []string{}, RequestHash: "hash",
		Secrets: []models.SealedSecret{{Sealed: "k.first"}},
	}
}

// Subscribe makes a subscription.
func (b *Bundle) Subscribe(t testing.TB, p models.Party) models.Subscription {
	t.Helper()
	n, created, err := b.InsertSubscription(t.Context(), As(p), Wish())
	require.NoError(t, err)
	require.True(t, created)
	return n
}

// Validated is a subscription whose endpoint has answered.
func (b *Bundle) Validated(t testing.TB, p models.Party) models.Subscription {
	t.Helper()
	n := b.Subscribe(t, p)
	ok, err := b.ValidateSubscription(t.Context(), n)
	require.NoError(t, err)
	require.True(t, ok)
	return b.Reread(t, n.ID)
}

// Reread is a subscription as it is now.
func (b *Bundle) Reread(t testing.TB, id int64) models.Subscription {
	t.Helper()
	n, err := b.Subscription(t.Context(), id)
	require.NoError(t, err)
	return n
}

// Undelivered are the events that a subscription's endpoint has still to get.
func (b *Bundle) Undelivered(t testing.TB, n models.Subscription) []models.Event {
	t.Helper()
	events, err := b.EventsAfter(t.Context(), n.Party, n.Cursor, n.Filter(), 100)
	require.NoError(t, err)
	return events
}
