package models

import (
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// allStatuses is every status of a transfer, in the order of their numbers.
var allStatuses = []TransferStatus{
	TransferInitialized, TransferUploadStarted, TransferUploadProcessing, TransferPublished,
	TransferCancelled, TransferAllConfirmedDownloaded, TransferPurged, TransferFailed,
}

func TestRules_AllowEachStepInTheseStatusesOnly(t *testing.T) {
	t.Parallel()
	require.Len(t, allStatuses, len(transferStatusNames))
	awaiting := []TransferStatus{TransferInitialized, TransferUploadStarted}
	unpublished := append(slices.Clone(awaiting), TransferUploadProcessing)
	there := []TransferStatus{TransferPublished, TransferAllConfirmedDownloaded}
	for name, c := range map[string]struct {
		rule      func(TransferStatus) error
		allowed   []TransferStatus
		otherwise error
	}{
		"upload":                {MayUpload, awaiting, ErrAlreadyUploaded},
		"stage":                 {func(s TransferStatus) error { return MayStage(s, false) }, awaiting, ErrAlreadyUploaded},
		"stage a second":        {func(s TransferStatus) error { return MayStage(s, true) }, nil, ErrAlreadyUploaded},
		"offer":                 {MayOffer, unpublished, ErrAlreadyUploaded},
		"deliver this content":  {func(s TransferStatus) error { return MayDeliver(Transfer{Status: s, ContentKey: "k"}, "k") }, append(slices.Clone(unpublished), there...), ErrAlreadyUploaded},
		"deliver another":       {func(s TransferStatus) error { return MayDeliver(Transfer{Status: s, ContentKey: "o"}, "k") }, unpublished, ErrAlreadyUploaded},
		"download":              {MayDownload, there, ErrNotReadyForDownload},
		"confirm":               {func(s TransferStatus) error { return MayConfirm(s, true) }, there[:1], ErrNotPublished},
		"cancel":                {func(s TransferStatus) error { return MayCancel(s, false) }, append(slices.Clone(unpublished), TransferPublished), ErrNotCancellable},
		"cancel after download": {func(s TransferStatus) error { return MayCancel(s, true) }, nil, ErrNotCancellable},
		"purge":                 {MayPurge, there, ErrMovedOn},
		"remind":                {MayRemind, there[:1], ErrNotPublished},
		"discard":               {MayDiscard, []TransferStatus{TransferCancelled, TransferFailed}, ErrMovedOn},
	} {
		for _, s := range allStatuses {
			if slices.Contains(c.allowed, s) {
				require.NoError(t, c.rule(s), "%s: %s", name, s)
			} else {
				require.ErrorIs(t, c.rule(s), c.otherwise, "%s: %s", name, s)
			}
		}
	}
}

func TestMayConfirm_SaysFirstThatThereIsNoFileThenThatNobodyDownloadedIt(t *testing.T) {
	t.Parallel()
	for _, s := range allStatuses {
		want := ErrNotPublished
		if s == TransferPublished {
			want = ErrNotDownloaded
		}
		require.ErrorIs(t, MayConfirm(s, false), want, s.String())
	}
}

func TestMoveRefusal_NamesBothStatuses(t *testing.T) {
	t.Parallel()
	for _, from := range allStatuses {
		for _, to := range allStatuses {
			err := CheckTransition(from, to)
			if MayTransition(from, to) {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, ErrMovedOn)
			require.ErrorContains(t, err, "It is "+from.String()+" and cannot become "+to.String()+".")
		}
	}
}

// The rules of ends are the table of moves seen from the other side: none may allow what the table does not know.
func TestRules_AgreeWithTheTableOfMoves(t *testing.T) {
	t.Parallel()
	for _, s := range allStatuses {
		require.Equal(t, MayTransition(s, TransferCancelled), MayCancel(s, false) == nil, s.String())
		require.Equal(t, MayTransition(s, TransferAllConfirmedDownloaded), MayConfirm(s, true) == nil, s.String())
		require.Equal(t, s.Downloadable(), MayPurge(s) == nil, "%s: what may be fetched is what may be purged", s)
	}
}

func TestMayDeliver_RefusesAnAttemptOfAnotherKey(t *testing.T) {
	t.Parallel()
	id, attempt := uuid.New(), uuid.New()
	published := Transfer{ID: id, Status: TransferPublished, ContentKey: AttemptKey(id, attempt)}
	require.NoError(t, MayDeliver(published, AttemptKey(id, attempt)))
	require.ErrorIs(t, MayDeliver(published, AttemptKey(id, uuid.New())), ErrAlreadyUploaded)
}
