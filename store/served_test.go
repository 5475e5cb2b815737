package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestAcceptTransfer_RefusesAnMD5ThatTheServiceDoesNotCompute(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		off, on := false, true
		_, err := b.PutResource(t.Context(), as(owner), svc, models.ResourcePatch{ComputeMD5: &off}, always)
		require.NoError(t, err)
		s := submission(bob)
		s.MD5 = "5eb63bbbe01eeed093cb22bb8f5acdc3"
		_, err = b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		e, coded := models.AsError(err)
		require.True(t, coded)
		require.Equal(t, "checksum", e.Fields[0].Field)

		s.MD5 = ""
		_, err = b.AcceptTransfer(t.Context(), s, "run", time.Hour)
		require.NoError(t, err)
		_, err = b.PutResource(t.Context(), as(owner), svc, models.ResourcePatch{ComputeMD5: &on}, always)
		require.NoError(t, err)
		v, err := b.TransferFor(t.Context(), s.ID, alice)
		require.NoError(t, err)
		require.Equal(t, []models.Hash{models.HashMD5}, v.LeftOut(), "as it was when the transfer was accepted")
	})
}
