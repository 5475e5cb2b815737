package activities

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/formidling/formidling/models"
)

// fake answers as its fields say and writes down what it was asked.
type fake struct {
	Transfers
	calls    []string
	runID    string
	transfer models.Transfer
	content  models.Content
	stored   models.StoredObject
	statErr  error
	purgeErr error
	until    time.Time
}

func (f *fake) AcceptTransfer(_ context.Context, _ models.Submission, runID string, window time.Duration) (models.Acceptance, error) {
	f.runID = runID
	if window != time.Hour {
		return models.Acceptance{}, errors.New("another window")
	}
	return models.Acceptance{Recipients: 3}, nil
}

func (f *fake) PurgeTransfer(context.Context, uuid.UUID) error {
	f.calls = append(f.calls, "purge")
	return f.purgeErr
}

func (f *fake) Staged(context.Context, uuid.UUID, uuid.UUID) (models.Transfer, models.Content, error) {
	return f.transfer, f.content, nil
}

func (f *fake) UploadFacts(context.Context, uuid.UUID) (*uuid.UUID, time.Time, error) {
	return nil, f.until, nil
}

func (f *fake) Stat(context.Context, string) (models.StoredObject, error) { return f.stored, f.statErr }

func (f *fake) DeleteAll(_ context.Context, prefix string) error {
	f.calls = append(f.calls, prefix)
	return nil
}

func right() *fake {
	crc := uint32(7)
	return &fake{
		transfer: models.Transfer{DeclaredMD5: "m", DeclaredSHA256: "s", MaxFileSize: 10},
		content:  models.Content{Size: 10, Generation: 2, MD5: "m", SHA256: "s", CRC32C: crc},
		stored:   models.StoredObject{Size: 10, Generation: 2, CRC32C: &crc},
	}
}

func TestVerifyContent_ComparesWithWhatWasDeclaredAndWithWhatIsStored(t *testing.T) {
	t.Parallel()
	other := uint32(8)
	for fault, spoil := range map[string][]func(*fake){
		"": {func(*fake) {}, func(f *fake) { f.transfer.DeclaredMD5 = "" }, func(f *fake) { f.stored.CRC32C = nil }},
		models.FaultChecksum: {
			func(f *fake) { f.content.MD5 = "x" }, func(f *fake) { f.content.SHA256 = "x" },
			func(f *fake) { f.transfer.DeclaredMD5, f.content.SHA256 = "", "x" }, func(f *fake) { f.transfer.DeclaredSHA256, f.content.MD5 = "", "x" },
		},
		models.FaultSize: {func(f *fake) { f.transfer.MaxFileSize = 9 }},
		models.FaultStored: {
			func(f *fake) { f.stored.Size = 9 }, func(f *fake) { f.stored.Generation = 3 },
			func(f *fake) { f.stored.CRC32C = &other }, func(f *fake) { f.statErr = models.ErrObjectNotFound },
		},
	} {
		for _, s := range spoil {
			f := right()
			s(f)
			out, err := New(f, f, f, time.Hour).VerifyContent(t.Context(), VerifyContentInput{})
			require.NoError(t, err)
			require.Equal(t, fault, out.Fault)
			require.Equal(t, int64(10), out.Size)
		}
	}
	f := right()
	f.statErr = models.ErrUnavailable
	_, err := New(f, f, f, time.Hour).VerifyContent(t.Context(), VerifyContentInput{})
	require.ErrorIs(t, err, models.ErrUnavailable, "storage that is down is no verdict")
	require.False(t, IsRefusal(err))
}

func TestPurge_MarksTheFileBeforeItDeletesTheBytes(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	f := right()
	f.until = time.Now()
	out, err := New(f, f, f, time.Hour).Purge(t.Context(), PurgeInput{Transfer: id})
	require.NoError(t, err)
	require.Equal(t, []string{"purge", models.TransferPrefix(id)}, f.calls)
	require.Equal(t, f.until, out.RunningUntil)
	f = right()
	f.purgeErr = models.ErrMovedOn
	_, err = New(f, f, f, time.Hour).Purge(t.Context(), PurgeInput{Transfer: id})
	require.True(t, IsRefusal(err))
	require.Equal(t, []string{"purge"}, f.calls, "nothing is deleted of a transfer that moved on")
}

func TestAuthorize_NamesItsRun(t *testing.T) {
	t.Parallel()
	f := right()
	out, err := New(f, f, f, time.Hour).Authorize(t.Context(), AuthorizeInput{RunID: "run"})
	require.NoError(t, err)
	require.Equal(t, 3, out.Acceptance.Recipients)
	require.Equal(t, "run", f.runID)
}

func TestRefusal_RetriesOnlyWhatMayPass(t *testing.T) {
	t.Parallel()
	for _, e := range []*models.Error{models.ErrNoAccess, models.ErrChecksumMismatch, models.ErrMovedOn} {
		var app *temporal.ApplicationError
		require.ErrorAs(t, Refusal(e), &app)
		require.True(t, app.NonRetryable())
		require.Equal(t, e.Code, app.Type())
		require.ErrorIs(t, FromTemporal(Refusal(e)), e)
	}
	for _, e := range []error{models.ErrUnavailable, models.ErrStorageFull, models.ErrUploadFailed, errors.New("x"), nil} {
		require.Equal(t, e, Refusal(e))
		require.False(t, IsRefusal(e))
	}
	foreign := temporal.NewNonRetryableApplicationError("x", "BRO-00006", nil)
	require.Equal(t, foreign, FromTemporal(foreign))
}
