package bytepath

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

const (
	alice = models.Party("0192:310000027")
	bob   = models.Party("0192:310000035")
	carol = models.Party("0192:310000043")
)

func TestSlots_AreNeverAllOneOrganisations(t *testing.T) {
	t.Parallel()
	for _, each := range []int{0, 3, 4, 100} {
		s := NewSlots(4, each, models.ErrTooManyUploads, models.ErrTooManyUploadsOfOne)
		var mine []func()
		for range 3 {
			release, err := s.Take(alice)
			require.NoError(t, err)
			mine = append(mine, release)
		}
		_, err := s.Take(alice)
		require.ErrorIs(t, err, models.ErrTooManyUploadsOfOne, "each %d", each)
		refused, _ := models.AsError(err)
		require.Equal(t, []int64{3, 4}, []int64{*refused.Limit, *refused.Actual})
		release, err := s.Take(carol)
		require.NoError(t, err, "there is one left for others")
		_, err = s.Take(bob)
		require.ErrorIs(t, err, models.ErrTooManyUploads)
		release()
		for _, done := range mine {
			done()
		}
		all, _ := s.Taken(alice)
		require.Zero(t, all)
	}
	s := NewSlots(1, 1, models.ErrTooManyUploads, models.ErrTooManyUploadsOfOne)
	_, err := s.Take(alice)
	require.NoError(t, err, "a single slot is anybody's")
}
