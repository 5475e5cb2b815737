package models

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestGiveWay_KeepsWhatHasBytesAndWhatIsTheSame(t *testing.T) {
	t.Parallel()
	now, later := time.Unix(1, 0), time.Unix(9, 0)
	ten, eleven := int64(10), int64(11)
	a, b := uuid.New(), uuid.New()
	plain := TusUpload{Length: &ten, Metadata: "m", Expires: later}
	with := func(change func(*TusUpload)) TusUpload { u := plain; change(&u); return u }
	for name, c := range map[string]struct {
		open, to TusUpload
		same     bool
		err      error
	}{
		"the same again":             {plain, plain, true, nil},
		"the same, with bytes":       {with(func(u *TusUpload) { u.Received = 5 }), plain, true, nil},
		"another length":             {plain, with(func(u *TusUpload) { u.Length = &eleven }), false, nil},
		"a deferred length":          {plain, with(func(u *TusUpload) { u.Length = nil }), false, nil},
		"both deferred":              {with(func(u *TusUpload) { u.Length = nil }), with(func(u *TusUpload) { u.Length = nil }), true, nil},
		"other metadata":             {plain, with(func(u *TusUpload) { u.Metadata = "o" }), false, nil},
		"another length, has bytes":  {with(func(u *TusUpload) { u.Received = 1 }), with(func(u *TusUpload) { u.Length = &eleven }), false, ErrUploadOpen},
		"expired, has bytes":         {with(func(u *TusUpload) { u.Received, u.Expires = 1, now }), plain, false, nil},
		"whole":                      {with(func(u *TusUpload) { u.Completed = &now }), plain, false, ErrAlreadyUploaded},
		"joined, the same parts":     {with(func(u *TusUpload) { u.Completed, u.Joins = &now, []uuid.UUID{a, b} }), TusUpload{Joins: []uuid.UUID{a, b}}, true, nil},
		"joined, in another order":   {with(func(u *TusUpload) { u.Completed, u.Joins = &now, []uuid.UUID{a, b} }), TusUpload{Joins: []uuid.UUID{b, a}}, false, ErrAlreadyUploaded},
		"open and empty, then joins": {plain, with(func(u *TusUpload) { u.Joins = []uuid.UUID{a} }), false, nil},
	} {
		same, err := c.open.GiveWay(c.to, now)
		require.Equal(t, c.same, same, name)
		require.Equal(t, c.err, err, name)
	}
}

func TestGrowthRefusal_SaysGoneBeforeOffsetBeforeUploaded(t *testing.T) {
	t.Parallel()
	now, later := time.Unix(5, 0), time.Unix(9, 0)
	open := TusUpload{Received: 3, Expires: later, Epoch: 2}
	require.ErrorIs(t, open.GrowthRefusal(3, now), ErrAlreadyUploaded)
	require.ErrorIs(t, open.GrowthRefusal(4, now), ErrUploadOffset)
	require.ErrorIs(t, open.GrowthRefusal(4, later), ErrUploadGone, "it expires at that moment")
	whole := open
	whole.Completed = &now
	require.ErrorIs(t, whole.GrowthRefusal(3, later), ErrAlreadyUploaded, "what is whole does not expire")
	ended := whole
	ended.Ended = &now
	require.ErrorIs(t, ended.GrowthRefusal(4, now), ErrUploadGone)

	require.ErrorIs(t, open.WriterRefusal(1, 3, now), ErrUploadTaken)
	require.ErrorIs(t, open.WriterRefusal(2, 4, now), ErrUploadOffset)
	require.ErrorIs(t, ended.WriterRefusal(1, 3, now), ErrUploadGone, "nobody took what was given up")
}

func TestMayWrite_FencesTheWriterOfAnOlderEpoch(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	whole, err := TusUpload{Epoch: 2}.MayWrite(2)
	require.NoError(t, err)
	require.False(t, whole)
	_, err = TusUpload{Epoch: 2}.MayWrite(1)
	require.ErrorIs(t, err, ErrUploadTaken)
	whole, err = TusUpload{Epoch: 2, Completed: &now}.MayWrite(2)
	require.NoError(t, err)
	require.True(t, whole)
	_, err = TusUpload{Epoch: 2, Completed: &now}.MayWrite(3)
	require.ErrorIs(t, err, ErrUploadTaken)
	_, err = TusUpload{Epoch: 2, Ended: &now}.MayWrite(1)
	require.ErrorIs(t, err, ErrUploadGone)
}

func TestMayEnd_LeavesAWholeUploadToTheTransfer(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	require.NoError(t, TusUpload{}.MayEnd())
	require.NoError(t, TusUpload{Part: true, Completed: &now}.MayEnd())
	require.ErrorIs(t, TusUpload{Completed: &now}.MayEnd(), ErrAlreadyUploaded)
}

func TestMayJoin_WantsWholePartsThatLive(t *testing.T) {
	t.Parallel()
	now, later := time.Unix(1, 0), time.Unix(9, 0)
	part := TusUpload{ID: uuid.New(), Part: true, Expires: later, Completed: &now}
	require.NoError(t, part.MayJoin(now))
	require.ErrorIs(t, part.MayJoin(later), ErrUploadGone)
	part.Completed = nil
	err := part.MayJoin(now)
	require.ErrorIs(t, err, ErrPartIncomplete)
	require.ErrorContains(t, err, part.ID.String())
	require.ErrorIs(t, part.MayJoin(later), ErrUploadGone, "gone is said before incomplete")
}

func TestMayLosePart_HoldsWhatIsBeingJoined(t *testing.T) {
	t.Parallel()
	part := uuid.New()
	joining := []TusUpload{{Joins: []uuid.UUID{uuid.New()}}, {Joins: []uuid.UUID{uuid.New(), part}}}
	require.ErrorIs(t, MayLosePart(TransferInitialized, part, joining), ErrAlreadyUploaded)
	require.NoError(t, MayLosePart(TransferInitialized, part, joining[:1]))
	require.NoError(t, MayLosePart(TransferInitialized, part, nil))
	for _, s := range allStatuses[3:] {
		require.NoError(t, MayLosePart(s, part, joining), s.String())
	}
}
