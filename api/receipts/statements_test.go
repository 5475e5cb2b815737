package receipts_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/receipts"
)

// What is kept of a party's words has an end; that a wrong hash confirms nothing has none.
func TestConfirm_OfOtherContentIsRefusedHoweverOften(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.Publish("hello")
	r.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(http.StatusOK, "")
	st := models.Statement{TransferID: apitest.MustUUID(t, id), Party: bob, Kind: models.StatementMismatch}
	said := error(nil)
	for n := 0; said == nil; n++ {
		require.LessOrEqual(t, n, 100)
		st.SHA256 = apitest.SHA256Hex([]byte(jsonNumber(int64(n))))
		said = r.Store.AppendStatement(t.Context(), st)
	}
	require.ErrorIs(t, said, models.ErrSaidEnough)
	body := apitest.ToJSON(t, map[string]any{"sha256": apitest.SHA256Hex([]byte("one more"))})
	r.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", body).Is(http.StatusUnprocessableEntity, "FMD-00050")
	r.Call(bob, "POST", "/filetransfer/"+id+"/acknowledgements", body).Is(http.StatusUnprocessableEntity, "FMD-00050")
	require.NotEqual(t, "DownloadConfirmed", string(r.Overview(alice, id).Recipients[0].CurrentRecipientFileTransferStatusCode))
	r.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "").Is(http.StatusNoContent, "")
}

// Only an empty body says nothing: one whose kind or length is not told is read, or refused, and never passed over.
func TestConfirm_PassesOverNoBody(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.Publish("hello")
	r.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(http.StatusOK, "")
	confirm := "/filetransfer/" + id + "/confirmdownload"
	other := apitest.ToJSON(t, map[string]any{"sha256": apitest.SHA256Hex([]byte("something else"))})
	send := func(body, kind string, chunked bool) apitest.Reply {
		q := r.Request(bob, "POST", confirm, strings.NewReader(body))
		q.Header.Del("Content-Type")
		if kind != "" {
			q.Header.Set("Content-Type", kind)
		}
		if chunked {
			q.ContentLength, q.Body = -1, io.NopCloser(strings.NewReader(body))
		}
		return r.Do(q)
	}
	for _, chunked := range []bool{false, true} {
		send(other, "", chunked).Is(http.StatusUnsupportedMediaType, "FMD-00021")
		send(other, "application/json", chunked).Is(http.StatusUnprocessableEntity, "FMD-00050")
	}
	require.NotEqual(t, "DownloadConfirmed", string(r.Overview(alice, id).Recipients[0].CurrentRecipientFileTransferStatusCode))
	for _, chunked := range []bool{true, false} {
		send("", "", chunked).Is(http.StatusNoContent, "")
		send("", "application/json", chunked).Is(http.StatusNoContent, "")
	}
}

func TestReceipts_WithoutKeysAreSaidToHaveNone(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	r.Restart(func(s *apitest.Config) { s.Evidence = nil })
	id := r.Publish("hello")
	r.Call(alice, "GET", "/filetransfer/"+id+"/receipts/bundle", "").Is(http.StatusNotFound, "FMD-00057")
	r.Call(alice, "GET", "/filetransfer/"+id+"/receipts", "").Is(http.StatusOK, "")
	for _, path := range []string{"jwks", "checkpoint", "proof/inclusion?sha256=" + apitest.SHA256Hex(nil), "proof/consistency?size=1", "tile?path=0/000"} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL+"/receipts/api/v1/"+path, nil)
		require.NoError(t, err)
		r.Do(q).Is(http.StatusNotFound, "FMD-00057")
	}
}

func TestBundle_OfMoreThanItHoldsIsRefused(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	r.Server.Evidence.(*receipts.Evidence).Max = 3
	id := r.Publish("hello")
	r.settle()
	r.Call(alice, "GET", "/filetransfer/"+id+"/receipts/bundle", "").Is(http.StatusConflict, "FMD-00055")
	r.Call(bob, "GET", "/filetransfer/"+id+"/receipts/bundle", "").Is(http.StatusOK, "")
}
