package tus_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/tus"
	"github.com/formidling/formidling/models"
)

func TestTus_PublishesWhatCameInSeveralRequests(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for _, size := range []int{0, 1, 100, 300_000, 5<<20 + 17} {
		content := apitest.Noise(size)
		id, path := b.Open(size)
		require.Equal(t, tus.Path+id, path)
		for at := 0; at < size; {
			require.Equal(t, contract.FileTransferStatusUploadStarted, b.Overview(alice, id).FileTransferStatus)
			require.Equal(t, fmt.Sprint(at), b.Offset(path))
			end := min(size, at+size/3+1)
			r := b.Patch(path, at, content[at:end]).Is(http.StatusNoContent, "")
			require.Equal(t, fmt.Sprint(end), r.Header.Get("Upload-Offset"))
			at = end
		}
		require.Equal(t, fmt.Sprint(size), b.Offset(path))
		b.Arrives(id, content)
		b.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "").Is(http.StatusNoContent, "")
		require.NoError(t, b.Objects.DeleteAll(t.Context(), models.TransferPrefix(apitest.MustUUID(t, id))))
	}
}
