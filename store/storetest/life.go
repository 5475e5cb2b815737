package storetest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/receipts"
)

// Submission is alice's to some recipients.
func Submission(recipients ...models.Party) models.Submission {
	s := models.Submission{
		ID: uuid.New(), ResourceID: Service, Sender: models.Addressee{Party: Alice, AsGiven: string(Alice)},
		FileName: "a.zip", SendersReference: "ref", RequestHash: "hash",
	}
	for _, r := range recipients {
		s.Recipients = append(s.Recipients, models.Addressee{Party: r, AsGiven: string(r)})
	}
	return s
}

// AttemptOf is an upload attempt of a transfer.
func AttemptOf(transfer, attempt uuid.UUID, key *string) models.UploadAttempt {
	return models.UploadAttempt{ID: attempt, TransferID: &transfer, ObjectKey: models.AttemptKey(transfer, attempt), IdempotencyKey: key}
}

// Accept begins a transfer of alice.
func (b *Bundle) Accept(t testing.TB, recipients ...models.Party) uuid.UUID {
	t.Helper()
	s := Submission(recipients...)
	_, err := b.AcceptTransfer(t.Context(), s, "run", 24*time.Hour)
	require.NoError(t, err)
	return s.ID
}

// Stage makes three bytes durable, and returns the attempt.
func (b *Bundle) Stage(t testing.TB, id uuid.UUID) uuid.UUID {
	t.Helper()
	attempt := uuid.New()
	require.NoError(t, b.BeginUpload(t.Context(), AttemptOf(id, attempt, nil), time.Minute))
	require.NoError(t, b.StageContent(t.Context(), id, attempt, models.Content{Generation: 1, Size: 3, MD5: "m", SHA256: "s", CRC32C: 4_000_000_000}, As(Alice)))
	return attempt
}

// Publish is Accept, Stage and delivery.
func (b *Bundle) Publish(t testing.TB, recipients ...models.Party) uuid.UUID {
	t.Helper()
	id := b.Accept(t, recipients...)
	require.NoError(t, b.DeliverTransfer(t.Context(), id, b.Stage(t, id), 0))
	return id
}

// Download serves the whole file.
func (b *Bundle) Download(t testing.TB, id uuid.UUID, p models.Party) {
	t.Helper()
	access, err := b.BeginAccess(t.Context(), id, As(p), 0, 3)
	require.NoError(t, err)
	require.NoError(t, b.EndAccess(t.Context(), access, 3))
}

// StatusNames is the transfer's history, which has no gap.
func (b *Bundle) StatusNames(t testing.TB, id uuid.UUID) []string {
	t.Helper()
	v, err := b.TransferDetails(t.Context(), id, Alice)
	require.NoError(t, err)
	var names []string
	for i, h := range v.History {
		require.Equal(t, i+1, h.Seq)
		names = append(names, h.Status.String())
	}
	return names
}

// EventTypes is all that an organisation was notified of, in a sequence without gaps.
func (b *Bundle) EventTypes(t testing.TB, p models.Party) []string {
	t.Helper()
	var rows []models.Event
	require.NoError(t, b.DB().Read(t.Context()).Order("seq").Find(&rows, "party = ?", p).Error)
	var names []string
	for i, e := range rows {
		require.Equal(t, int64(i+1), e.Seq, "the sequence of %s has no gap", p)
		names = append(names, string(e.Type))
	}
	return names
}

// Entries reads what a transfer's chain of receipts has written down.
func (b *Bundle) Entries(t testing.TB, id uuid.UUID) []models.Receipt {
	t.Helper()
	var rows []models.ReceiptEntry
	require.NoError(t, b.DB().Read(t.Context()).Order("seq").Find(&rows, "transfer_id = ?", id).Error)
	out := make([]models.Receipt, len(rows))
	for i, r := range rows {
		require.Equal(t, i+1, r.Seq, "the chain has no gap")
		require.NoError(t, json.Unmarshal([]byte(r.Entry), &out[i]))
		require.Equal(t, out[i].Recipient, r.Recipient)
	}
	return out
}

// ReceiptNames are receipts in words: the event's name and whom it concerns.
func ReceiptNames(rs []models.Receipt) []string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = r.Event.Name()
		if r.Recipient != "" {
			out[i] += " " + r.Recipient.Number()
		}
	}
	return out
}

// Unsigned has the form of a receipt.
func Unsigned(entry string) string {
	return "x." + base64.RawURLEncoding.EncodeToString([]byte(entry)) + ".x"
}

// Note appends that a recipient was notified, as whoever notifies it does.
func (b *Bundle) Note(ctx context.Context, n models.Notification) error {
	return b.DB().Transact(ctx, "record notification", func(tx *db.Tx) error {
		n.At = tx.Now()
		return receipts.NoteNotification(tx, n)
	})
}

// Notices writes events of a transfer without a life around them.
func (b *Bundle) Notices(t testing.TB, transfer uuid.UUID, resource string, notices ...models.Notice) {
	t.Helper()
	require.NoError(t, b.DB().Transact(t.Context(), "notify", func(tx *db.Tx) error {
		for _, n := range notices {
			n.Transfer, n.Resource = transfer, resource
			tx.Event(n)
		}
		return nil
	}))
}
