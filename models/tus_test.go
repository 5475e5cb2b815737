package models

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestHashState_GoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("abc"))
	sum5 := md5.Sum([]byte("abc"))
	var state HashState
	for _, piece := range []string{"a", "", "bc"} {
		sha, md, err := state.Resume()
		require.NoError(t, err)
		_, _ = sha.Write([]byte(piece))
		_, _ = md.Write([]byte(piece))
		state, err = SaveHashes(sha, md)
		require.NoError(t, err)
	}
	require.Equal(t, int64(3), state.length())
	s, m, err := state.Sums()
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(sum[:]), s)
	require.Equal(t, hex.EncodeToString(sum5[:]), m)

	sha, md, err := HashState{NoMD5: true}.Resume()
	require.NoError(t, err)
	require.Nil(t, md)
	without, err := SaveHashes(sha, nil)
	require.NoError(t, err)
	require.True(t, without.NoMD5)
	_, m, err = without.Sums()
	require.NoError(t, err)
	require.Empty(t, m)
	require.Equal(t, int64(-1), HashState{}.length())
}

func TestHashState_RefusesWhatIsNoState(t *testing.T) {
	t.Parallel()
	_, _, err := HashState{SHA256: []byte("x")}.Resume()
	require.ErrorContains(t, err, "resume hash")
	_, _, err = HashState{MD5: []byte("x")}.Sums()
	require.ErrorContains(t, err, "resume hash")
	plain := struct{ hashOnly }{}
	require.ErrorContains(t, resume(plain, []byte("x")), "cannot be resumed")
	_, err = SaveHashes(plain, nil)
	require.ErrorContains(t, err, "cannot be resumed")
	_, err = SaveHashes(fnv.New128(), plain)
	require.ErrorContains(t, err, "cannot be resumed")
}

// hashOnly can be summed but not saved.
type hashOnly struct{}

func (hashOnly) Write(p []byte) (int, error) { return len(p), nil }
func (hashOnly) Sum(b []byte) []byte         { return b }
func (hashOnly) Reset()                      {}
func (hashOnly) Size() int                   { return 0 }
func (hashOnly) BlockSize() int              { return 1 }

func TestHashesSoFar_ReachFromTheBeginningOfTheFile(t *testing.T) {
	t.Parallel()
	sha := sha256.New()
	_, _ = sha.Write(make([]byte, 10))
	ten, err := SaveHashes(sha, nil)
	require.NoError(t, err)
	place := func(n int64) *int64 { return &n }
	for name, c := range map[string]struct {
		u    TusUpload
		held bool
	}{
		"no part":                        {TusUpload{Received: 10}, true},
		"the first part":                 {TusUpload{Part: true, Number: 1, Received: 10}, true},
		"a part without place":           {TusUpload{Part: true, Number: 2, Received: 10, SHA256State: ten.SHA256}, false},
		"a part at the beginning, empty": {TusUpload{Part: true, Number: 2, Place: place(0)}, true},
		"with those of the part before":  {TusUpload{Part: true, Number: 2, Place: place(6), Received: 4, SHA256State: ten.SHA256}, true},
		"with its own only":              {TusUpload{Part: true, Number: 2, Place: place(6), Received: 10, SHA256State: ten.SHA256}, false},
		"with none":                      {TusUpload{Part: true, Number: 2, Place: place(6), Received: 4}, false},
	} {
		h, held := c.u.HashesSoFar()
		require.Equal(t, c.held, held, name)
		require.Equal(t, c.u.Hashes(), h, name)
	}
}

func TestTusUpload_LivesUntilItExpiresOrIsWhole(t *testing.T) {
	t.Parallel()
	now, later := time.Unix(1, 0), time.Unix(9, 0)
	for name, c := range map[string]struct {
		u    TusUpload
		live bool
	}{
		"open":          {TusUpload{Expires: later}, true},
		"expires now":   {TusUpload{Expires: now}, false},
		"given up":      {TusUpload{Expires: later, Ended: &now}, false},
		"whole, late":   {TusUpload{Expires: now, Completed: &now}, true},
		"a whole part":  {TusUpload{Expires: now, Completed: &now, Part: true}, false},
		"whole, ended":  {TusUpload{Expires: later, Completed: &now, Ended: &now}, false},
		"a part, alive": {TusUpload{Expires: later, Part: true}, true},
	} {
		require.Equal(t, c.live, c.u.Live(now), name)
	}
	empty := TusUpload{Opened: now}
	require.True(t, empty.Counts(now.Add(EmptyTusPart-1)))
	require.False(t, empty.Counts(now.Add(EmptyTusPart)), "it may have been opened twice")
	empty.Received = 1
	require.True(t, empty.Counts(now.Add(EmptyTusPart)))
}

func TestTusKeys_LieUnderTheirTransfer(t *testing.T) {
	t.Parallel()
	transfer, upload := uuid.New(), uuid.New()
	require.Equal(t, TransferPrefix(transfer)+"/tus-"+upload.String(), TusPrefix(transfer, upload))
	require.Equal(t, TransferPrefix(transfer)+"/tus-parts-"+upload.String(), TusSharedPrefix(transfer, upload))
	require.Equal(t, TusSharedPrefix(transfer, upload)+"/all", TusSharedKey(transfer, upload))
	require.Equal(t, map[string]int{"sha256": 32, "md5": 16, "sha1": 20, "crc32c": 4}, ChecksumAlgorithms())
}
