package activities

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// steps are the ports of a transfer's activities as functions; what a test does not set is not called.
type steps struct {
	Transfers
	Uploads
	deliver   func(transfer, attempt uuid.UUID, group int) error
	confirm   func(transfer uuid.UUID, party models.Party) (bool, error)
	cancel    func(transfer uuid.UUID) error
	fail      func(transfer uuid.UUID, text string) error
	purge     func(transfer uuid.UUID) error
	remind    func(transfer uuid.UUID, left time.Duration) error
	discarded func(transfer uuid.UUID) error
	facts     func(transfer uuid.UUID) (*uuid.UUID, time.Time, error)
	staged    func(transfer, attempt uuid.UUID) (models.Transfer, models.Content, error)
	stat      func(key string) (models.StoredObject, error)
	delete    func(prefix string) error
}

func (s steps) DeliverTransfer(_ context.Context, transfer, attempt uuid.UUID, group int) error {
	return s.deliver(transfer, attempt, group)
}

func (s steps) ConfirmTransfer(_ context.Context, transfer uuid.UUID, party models.Party) (bool, error) {
	return s.confirm(transfer, party)
}

func (s steps) CancelTransfer(_ context.Context, transfer uuid.UUID) error { return s.cancel(transfer) }

func (s steps) FailTransfer(_ context.Context, transfer uuid.UUID, text string) error {
	return s.fail(transfer, text)
}

func (s steps) PurgeTransfer(_ context.Context, transfer uuid.UUID) error { return s.purge(transfer) }

func (s steps) RemindOfTransfer(_ context.Context, transfer uuid.UUID, left time.Duration) error {
	return s.remind(transfer, left)
}

func (s steps) RecordDiscarded(_ context.Context, transfer uuid.UUID) error {
	return s.discarded(transfer)
}

func (s steps) UploadFacts(_ context.Context, transfer uuid.UUID) (*uuid.UUID, time.Time, error) {
	return s.facts(transfer)
}

func (s steps) Staged(_ context.Context, transfer, attempt uuid.UUID) (models.Transfer, models.Content, error) {
	return s.staged(transfer, attempt)
}

func (s steps) Stat(_ context.Context, key string) (models.StoredObject, error) { return s.stat(key) }

func (s steps) DeleteAll(_ context.Context, prefix string) error { return s.delete(prefix) }

// with connects the activities to the ports, and to a registrar of receipts.
func with(s steps) (*Activities, *registrar) {
	r := &registrar{}
	return WithReceipts(New(s, s, s, time.Hour), r, nil), r
}

// Each step asks its one port with what it was given, receipts what was done, and receipts nothing of what was not.
func TestSteps_AskTheirPortAndReceiptWhatWasDone(t *testing.T) {
	t.Parallel()
	id, attempt := uuid.New(), uuid.New()
	for name, step := range map[string]func(err error) (asked []any, receipted int, got error){
		"deliver": func(err error) (asked []any, receipted int, got error) {
			a, r := with(steps{deliver: func(tr, at uuid.UUID, g int) error { asked = []any{tr, at, g}; return err }})
			got = a.Deliver(t.Context(), DeliverInput{Transfer: id, Attempt: attempt, Group: 3})
			require.Equal(t, []any{id, attempt, 3}, asked)
			return asked, len(r.issued), got
		},
		"confirm": func(err error) (asked []any, receipted int, got error) {
			a, r := with(steps{confirm: func(tr uuid.UUID, p models.Party) (bool, error) { asked = []any{tr, p}; return err == nil, err }})
			out, got := a.RecordConfirmation(t.Context(), RecordConfirmationInput{Transfer: id, Party: "0192:910000002"})
			require.Equal(t, []any{id, models.Party("0192:910000002")}, asked)
			require.Equal(t, err == nil, out.All)
			return asked, len(r.issued), got
		},
		"cancel": func(err error) (asked []any, receipted int, got error) {
			a, r := with(steps{cancel: func(tr uuid.UUID) error { asked = []any{tr}; return err }})
			got = a.RecordCancellation(t.Context(), RecordCancellationInput{Transfer: id})
			require.Equal(t, []any{id}, asked)
			return asked, len(r.issued), got
		},
		"fail": func(err error) (asked []any, receipted int, got error) {
			a, r := with(steps{fail: func(tr uuid.UUID, text string) error { asked = []any{tr, text}; return err }})
			got = a.RecordFailure(t.Context(), RecordFailureInput{Transfer: id, Text: models.FaultSize})
			require.Equal(t, []any{id, models.FaultSize}, asked)
			return asked, len(r.issued), got
		},
	} {
		_, receipted, err := step(nil)
		require.NoError(t, err, name)
		require.Equal(t, 1, receipted, name)

		_, receipted, err = step(models.ErrMovedOn)
		require.True(t, IsRefusal(err), "%s: a refusal is final", name)
		require.Zero(t, receipted, name)

		_, receipted, err = step(models.ErrUnavailable)
		require.ErrorIs(t, err, models.ErrUnavailable, name)
		require.False(t, IsRefusal(err), "%s: what may pass is tried again", name)
		require.Zero(t, receipted, name)
	}
}

func TestRemind_TellsHowLongIsLeft(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	var left time.Duration
	a, r := with(steps{remind: func(tr uuid.UUID, l time.Duration) error { require.Equal(t, id, tr); left = l; return nil }})
	require.NoError(t, a.Remind(t.Context(), RemindInput{Transfer: id, Left: 36 * time.Hour}))
	require.Equal(t, 36*time.Hour, left)
	require.Empty(t, r.issued, "a reminder has no receipt")
	a, _ = with(steps{remind: func(uuid.UUID, time.Duration) error { return models.ErrTransferNotFound }})
	require.True(t, IsRefusal(a.Remind(t.Context(), RemindInput{Transfer: id})))
}

func TestFindUpload_TellsWhatIsStagedAndUntilWhenOneRuns(t *testing.T) {
	t.Parallel()
	id, attempt, until := uuid.New(), uuid.New(), time.Unix(9, 0)
	a, _ := with(steps{facts: func(tr uuid.UUID) (*uuid.UUID, time.Time, error) {
		require.Equal(t, id, tr)
		return &attempt, until, nil
	}})
	out, err := a.FindUpload(t.Context(), FindUploadInput{Transfer: id})
	require.NoError(t, err)
	require.Equal(t, FindUploadResult{Staged: &attempt, RunningUntil: until}, out)
	a, _ = with(steps{facts: func(uuid.UUID) (*uuid.UUID, time.Time, error) { return nil, time.Time{}, models.ErrUnavailable }})
	_, err = a.FindUpload(t.Context(), FindUploadInput{Transfer: id})
	require.ErrorIs(t, err, models.ErrUnavailable)
}

func TestVerifyContent_RefusesWhatIsNotStaged(t *testing.T) {
	t.Parallel()
	a, _ := with(steps{staged: func(uuid.UUID, uuid.UUID) (models.Transfer, models.Content, error) {
		return models.Transfer{}, models.Content{}, models.ErrNoFileYet
	}})
	_, err := a.VerifyContent(t.Context(), VerifyContentInput{Transfer: uuid.New()})
	require.ErrorIs(t, FromTemporal(err), models.ErrNoFileYet)
	require.True(t, IsRefusal(err))
}

func TestDiscardContent_TellsThatTheBytesAreGoneOnceNoUploadRuns(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	down := errors.New("disk")
	none := func(uuid.UUID) (*uuid.UUID, time.Time, error) { return nil, time.Time{}, nil }
	var order []string
	s := steps{
		facts:     none,
		delete:    func(prefix string) error { order = append(order, "delete "+prefix); return nil },
		discarded: func(uuid.UUID) error { order = append(order, "told"); return nil },
	}
	a, r := with(s)
	out, err := a.DiscardContent(t.Context(), DiscardContentInput{Transfer: id})
	require.NoError(t, err)
	require.Zero(t, out.RunningUntil)
	require.Equal(t, []string{"delete " + models.TransferPrefix(id), "told"}, order, "it is said after it is so")
	require.Equal(t, []uuid.UUID{id}, r.issued)

	order = nil
	running := s
	running.facts = func(uuid.UUID) (*uuid.UUID, time.Time, error) { return nil, time.Unix(9, 0), nil }
	a, r = with(running)
	out, err = a.DiscardContent(t.Context(), DiscardContentInput{Transfer: id})
	require.NoError(t, err)
	require.Equal(t, time.Unix(9, 0), out.RunningUntil)
	require.Equal(t, []string{"delete " + models.TransferPrefix(id)}, order, "an upload that runs may leave more")
	require.Empty(t, r.issued)

	for name, spoil := range map[string]func(*steps){
		"facts": func(s *steps) {
			s.facts = func(uuid.UUID) (*uuid.UUID, time.Time, error) { return nil, time.Time{}, down }
		},
		"delete": func(s *steps) { s.delete = func(string) error { return down } },
		"told":   func(s *steps) { s.discarded = func(uuid.UUID) error { return down } },
	} {
		broken := s
		spoil(&broken)
		a, r = with(broken)
		_, err = a.DiscardContent(t.Context(), DiscardContentInput{Transfer: id})
		require.ErrorIs(t, err, down, name)
		require.Empty(t, r.issued, name)
	}
	unknown := s
	unknown.discarded = func(uuid.UUID) error { return models.ErrTransferNotFound }
	a, _ = with(unknown)
	_, err = a.DiscardContent(t.Context(), DiscardContentInput{Transfer: id})
	require.NoError(t, err, "of a refused submission there is nothing to tell")
}

func (r *registrar) Settle(context.Context, time.Duration) error { return r.err }

// sealer is the log as a function.
type sealer func() error

func (s sealer) SealFor(context.Context, time.Duration) error { return s() }

func TestSealLog_SealsAlsoWhenNotAllCouldBeSigned(t *testing.T) {
	t.Parallel()
	unsigned, unsealed := errors.New("no keys"), errors.New("no log")
	sealed := 0
	a := WithReceipts(New(steps{}, steps{}, steps{}, time.Hour), &registrar{err: unsigned}, sealer(func() error { sealed++; return unsealed }))
	err := a.SealLog(t.Context(), SealLogInput{})
	require.ErrorIs(t, err, unsigned)
	require.ErrorIs(t, err, unsealed)
	require.Equal(t, 1, sealed)
	a = WithReceipts(a, &registrar{}, sealer(func() error { return nil }))
	require.NoError(t, a.SealLog(t.Context(), SealLogInput{}))
}
