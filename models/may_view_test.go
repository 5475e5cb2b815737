package models

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

const (
	sender    Party = "0192:910000001"
	recipient Party = "0192:910000002"
	another   Party = "0192:910000003"
	stranger  Party = "0192:910000009"
)

// seenBySender is a transfer to two recipients in a status, without content, as its sender sees it.
func seenBySender(s TransferStatus) TransferView {
	id := uuid.New()
	return TransferView{
		Transfer: Transfer{ID: id, Sender: sender, Status: s}, EffectiveStatus: s,
		Recipients: []RecipientView{
			{Recipient: Recipient{TransferID: id, Party: recipient, AsGiven: string(recipient)}},
			{Recipient: Recipient{TransferID: id, Party: another, AsGiven: string(another)}},
		},
	}
}

func TestMayActAsSender_IsForTheSenderInThatRole(t *testing.T) {
	t.Parallel()
	v := seenBySender(TransferInitialized)
	require.NoError(t, v.MayActAsSender(sender))
	require.ErrorIs(t, v.MayActAsSender(recipient), ErrNoAccess)
	require.ErrorIs(t, v.MayActAsSender(stranger), ErrNoAccess)
	v.Withheld = RoleSender
	require.ErrorIs(t, v.MayActAsSender(sender), ErrNoAccess, "a supplier that may not send for it")
}

func TestViewMayDownload_AsksWhoBeforeWhether(t *testing.T) {
	t.Parallel()
	for _, s := range allStatuses {
		v := seenBySender(s)
		require.ErrorIs(t, v.MayDownload(sender), ErrNoAccess, s.String())
		if MayDownload(s) == nil {
			require.NoError(t, v.MayDownload(recipient), s.String())
		} else {
			require.ErrorIs(t, v.MayDownload(recipient), ErrNotReadyForDownload, s.String())
		}
		v.Withheld = RoleRecipient
		require.ErrorIs(t, v.MayDownload(recipient), ErrNoAccess, "%s: a supplier that may not receive for it", s)
	}
}

func TestViewMayConfirm_RefusesInTheReferencesOrder(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	for _, s := range allStatuses {
		v := seenBySender(s)
		_, again, err := v.MayConfirm(sender)
		require.ErrorIs(t, err, ErrNoAccess, s.String())
		require.False(t, again)

		r, again, err := v.MayConfirm(recipient)
		require.ErrorIs(t, err, ErrNoFileYet, "%s: no content was ever accepted", s)
		require.False(t, again)
		require.Equal(t, recipient, r.Party)

		v.ContentKey = "k"
		_, _, err = v.MayConfirm(recipient)
		require.ErrorIs(t, err, MayConfirm(s, false), s.String())

		v.Recipients[0].FirstAccess = &now
		_, again, err = v.MayConfirm(recipient)
		require.Equal(t, MayConfirm(s, true), err, s.String())
		require.False(t, again)
		_, _, err = v.MayConfirm(another)
		require.ErrorIs(t, err, MayConfirm(s, false), "%s: another's download is none of its own", s)

		v.ContentKey, v.Recipients[0].Confirmed = "", &now
		r, again, err = v.MayConfirm(recipient)
		require.NoError(t, err, "%s: who confirmed may say so for ever", s)
		require.True(t, again)
		require.Equal(t, recipient, r.Party)
	}
}

func TestViewMayCancel_IsTheSendersUntilItHasEnded(t *testing.T) {
	t.Parallel()
	for _, s := range allStatuses {
		v := seenBySender(s)
		_, err := v.MayCancel(recipient)
		require.ErrorIs(t, err, ErrNoAccess, s.String())
		again, err := v.MayCancel(sender)
		require.Equal(t, s == TransferCancelled, again, s.String())
		if s == TransferPurged || s == TransferFailed {
			require.ErrorIs(t, err, ErrNotCancellable, s.String())
		} else {
			require.NoError(t, err, "%s: the workflow judges", s)
		}
		v.Withheld = RoleSender
		_, err = v.MayCancel(sender)
		require.ErrorIs(t, err, ErrNoAccess, s.String())
	}
}

func TestMayAcknowledge_IsForRecipientsOnceThereWasAFile(t *testing.T) {
	t.Parallel()
	v := seenBySender(TransferInitialized)
	require.NoError(t, v.MayAcknowledge(sender))
	require.ErrorIs(t, v.MayAcknowledge(recipient), ErrNotPublished)
	now := time.Unix(1, 0)
	v.Published, v.Status = &now, TransferPurged
	require.NoError(t, v.MayAcknowledge(recipient), "also when the file has gone")
}

func TestMayOpenUpload_LetsAWholeUploadBeAskedForAgainUntilItsContentIsAccepted(t *testing.T) {
	t.Parallel()
	for _, s := range allStatuses {
		v := seenBySender(s)
		if s == TransferUploadStarted || s == TransferUploadProcessing { // as it is stored
			v.Status = TransferInitialized
		}
		require.Equal(t, MayOffer(s), v.MayOpenUpload(false), s.String())
		require.Equal(t, MayUpload(s), v.MayOpenUpload(true), "%s: a part", s)
	}
}

func TestMayJoinParts_EndsWithTheLastByteOfAnUpload(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	for _, s := range allStatuses {
		v := seenBySender(s)
		require.Equal(t, MayUpload(s), v.MayJoinParts(), s.String())
		v.Staged = &now
		require.ErrorIs(t, v.MayJoinParts(), ErrAlreadyUploaded, s.String())
	}
}

func TestMayResume_SaysWhatBecameOfTheUpload(t *testing.T) {
	t.Parallel()
	now, later := time.Unix(1, 0), time.Unix(9, 0)
	open := TusUpload{ID: uuid.New(), Expires: later}
	whole := TusUpload{ID: uuid.New(), Expires: now, Completed: &now}
	part := TusUpload{ID: uuid.New(), Expires: later, Completed: &now, Part: true}
	ended := TusUpload{ID: uuid.New(), Expires: later, Ended: &now}
	type of struct {
		u          TusUpload
		key, fault string
	}
	for name, c := range map[string]struct {
		of   of
		want map[TransferStatus]error // others: gone
	}{
		"open":                    {of{u: open}, map[TransferStatus]error{TransferInitialized: nil}},
		"whole":                   {of{u: whole}, map[TransferStatus]error{TransferInitialized: nil}},
		"part":                    {of{u: part}, map[TransferStatus]error{TransferInitialized: nil}},
		"given up":                {of{u: ended}, nil},
		"whole of a wrong file":   {of{u: whole, fault: FaultChecksum}, map[TransferStatus]error{TransferInitialized: nil, TransferFailed: ErrChecksumMismatch}},
		"part of a wrong file":    {of{u: part, fault: FaultChecksum}, map[TransferStatus]error{TransferInitialized: nil}},
		"whole, but too late":     {of{u: whole, fault: FaultNoUpload}, map[TransferStatus]error{TransferInitialized: nil}},
		"open beside the content": {of{u: open, key: "another"}, map[TransferStatus]error{TransferInitialized: nil, TransferPublished: ErrAlreadyUploaded, TransferAllConfirmedDownloaded: ErrAlreadyUploaded, TransferPurged: ErrAlreadyUploaded, TransferCancelled: ErrAlreadyUploaded, TransferFailed: ErrAlreadyUploaded}},
		"part beside the content": {of{u: part, key: "another"}, map[TransferStatus]error{TransferInitialized: nil}},
		"the content itself":      {of{u: whole, key: "own"}, map[TransferStatus]error{TransferInitialized: nil, TransferPublished: nil, TransferAllConfirmedDownloaded: nil, TransferPurged: nil, TransferFailed: nil, TransferCancelled: ErrAlreadyUploaded}},
	} {
		for _, s := range []TransferStatus{TransferInitialized, TransferPublished, TransferCancelled, TransferAllConfirmedDownloaded, TransferPurged, TransferFailed} {
			v := seenBySender(s)
			v.StatusText, v.ContentKey = c.of.fault, c.of.key
			if c.of.key == "own" {
				v.ContentKey = AttemptKey(v.ID, c.of.u.ID)
			}
			want, named := c.want[s]
			if !named {
				want = ErrUploadGone
			}
			require.Equal(t, want, v.MayResume(c.of.u, now), "%s, %s", name, s)
		}
	}
	require.ErrorIs(t, seenBySender(TransferInitialized).MayResume(open, later), ErrUploadGone, "it expires at that moment")
}

func TestUploadedBefore_AnswersTheSameKeyWithWhatBecameOfTheFirst(t *testing.T) {
	t.Parallel()
	staged := uuid.New()
	for _, s := range allStatuses {
		for _, keyed := range []bool{true, false} {
			v := seenBySender(s)
			v.StatusText = FaultSize
			offer, err := v.UploadedBefore(staged, keyed)
			require.Equal(t, s == TransferUploadProcessing, offer, "%s %v", s, keyed)
			switch {
			case s == TransferUploadProcessing:
				require.NoError(t, err)
			case keyed && s == TransferFailed:
				require.ErrorIs(t, err, ErrFileTooLarge)
			case keyed && (s.Downloadable() || s == TransferPurged):
				require.NoError(t, err, s.String())
			default:
				require.ErrorIs(t, err, ErrAlreadyUploaded, "%s %v", s, keyed)
			}
			v.ContentKey = AttemptKey(v.ID, uuid.New())
			offer, err = v.UploadedBefore(staged, keyed)
			require.False(t, offer)
			require.ErrorIs(t, err, ErrAlreadyUploaded, "%s %v: the content is another attempt's", s, keyed)
			v.ContentKey = AttemptKey(v.ID, staged)
			offer, _ = v.UploadedBefore(staged, keyed)
			require.Equal(t, s == TransferUploadProcessing, offer)
		}
	}
}
