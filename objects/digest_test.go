package objects

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func TestDigest_DoesNotComputeWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	require.NotNil(t, newDigest().md5)
	require.Len(t, newDigest().lanes(), 3)
	d := newDigest(models.HashMD5)
	require.Nil(t, d.md5)
	require.Len(t, d.lanes(), 2)
	require.Nil(t, d.md5Sum())
	require.Empty(t, d.content("k", 1).MD5)
	require.NotEmpty(t, d.content("k", 1).SHA256)
}
