package activities

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// registrar writes down what was receipted.
type registrar struct {
	Receipts
	issued  []uuid.UUID
	refused []string
	err     error
}

func (r *registrar) IssueOrLeave(_ context.Context, id uuid.UUID) { r.issued = append(r.issued, id) }

func (r *registrar) RecordRefusal(_ context.Context, _ models.Submission, _ string, refusal *models.Error) error {
	r.refused = append(r.refused, refusal.Code)
	return r.err
}

// refusing refuses every submission.
type refusing struct {
	*fake
	with error
}

func (r refusing) AcceptTransfer(context.Context, models.Submission, string, time.Duration) (models.Acceptance, error) {
	return models.Acceptance{}, r.with
}

func TestAuthorize_ReceiptsWhatItDecided(t *testing.T) {
	t.Parallel()
	f, r := right(), &registrar{}
	id := uuid.New()
	in := AuthorizeInput{RunID: "run", Submission: models.Submission{ID: id}}
	_, err := WithReceipts(New(f, f, f, time.Hour), r, nil).Authorize(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{id}, r.issued)

	no := refusing{f, models.ErrNoAccess}
	_, err = WithReceipts(New(no, f, f, time.Hour), r, nil).Authorize(t.Context(), in)
	require.True(t, IsRefusal(err))
	require.Equal(t, []string{models.ErrNoAccess.Code}, r.refused)

	r.err = models.ErrUnavailable
	_, err = WithReceipts(New(no, f, f, time.Hour), r, nil).Authorize(t.Context(), in)
	require.ErrorIs(t, err, models.ErrUnavailable, "the refusal is answered when its receipt is written down")
	require.False(t, IsRefusal(err))

	no.with = models.ErrUnavailable
	_, err = WithReceipts(New(no, f, f, time.Hour), r, nil).Authorize(t.Context(), in)
	require.ErrorIs(t, err, models.ErrUnavailable)
	require.Len(t, r.refused, 2, "an outage is no refusal")
}

func TestSealLog_DoesNothingWithoutReceipts(t *testing.T) {
	t.Parallel()
	f := right()
	require.NoError(t, New(f, f, f, time.Hour).SealLog(t.Context(), SealLogInput{}))
}
