package api

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/receipts"
)

// What is kept of a party's words has an end; that a wrong hash confirms nothing has none.
func TestConfirm_OfOtherContentIsRefusedHoweverOften(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.publish("hello")
	r.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusOK, "")
	st := models.Statement{TransferID: mustUUID(t, id), Party: bob, Kind: models.StatementMismatch}
	said := error(nil)
	for n := 0; said == nil; n++ {
		require.LessOrEqual(t, n, 100)
		st.SHA256 = sha256Hex([]byte(jsonNumber(int64(n))))
		said = r.store.State(t.Context(), st)
	}
	require.ErrorIs(t, said, models.ErrSaidEnough)
	body := toJSON(t, map[string]any{"sha256": sha256Hex([]byte("one more"))})
	r.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", body).is(http.StatusUnprocessableEntity, "FMD-00050")
	r.call(bob, "POST", "/filetransfer/"+id+"/acknowledgements", body).is(http.StatusUnprocessableEntity, "FMD-00050")
	require.NotEqual(t, "DownloadConfirmed", string(r.overview(alice, id).Recipients[0].CurrentRecipientFileTransferStatusCode))
	r.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "").is(http.StatusNoContent, "")
}

// Only an empty body says nothing: one whose kind or length is not told is read, or refused, and never passed over.
func TestConfirm_PassesOverNoBody(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.publish("hello")
	r.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusOK, "")
	confirm := "/filetransfer/" + id + "/confirmdownload"
	other := toJSON(t, map[string]any{"sha256": sha256Hex([]byte("something else"))})
	send := func(body, kind string, chunked bool) reply {
		q := r.request(bob, "POST", confirm, strings.NewReader(body))
		q.Header.Del("Content-Type")
		if kind != "" {
			q.Header.Set("Content-Type", kind)
		}
		if chunked {
			q.ContentLength, q.Body = -1, io.NopCloser(strings.NewReader(body))
		}
		return r.do(q)
	}
	for _, chunked := range []bool{false, true} {
		send(other, "", chunked).is(http.StatusUnsupportedMediaType, "FMD-00021")
		send(other, "application/json", chunked).is(http.StatusUnprocessableEntity, "FMD-00050")
	}
	require.NotEqual(t, "DownloadConfirmed", string(r.overview(alice, id).Recipients[0].CurrentRecipientFileTransferStatusCode))
	for _, chunked := range []bool{true, false} {
		send("", "", chunked).is(http.StatusNoContent, "")
		send("", "application/json", chunked).is(http.StatusNoContent, "")
	}
}

func TestReceipts_WithoutKeysAreSaidToHaveNone(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	r.server.Evidence = nil
	id := r.publish("hello")
	r.call(alice, "GET", "/filetransfer/"+id+"/receipts/bundle", "").is(http.StatusNotFound, "FMD-00057")
	r.call(alice, "GET", "/filetransfer/"+id+"/receipts", "").is(http.StatusOK, "")
	for _, path := range []string{"jwks", "checkpoint", "proof/inclusion?sha256=" + sha256Hex(nil), "proof/consistency?size=1", "tile?path=0/000"} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/receipts/api/v1/"+path, nil)
		require.NoError(t, err)
		r.do(q).is(http.StatusNotFound, "FMD-00057")
	}
}

func TestBundle_OfMoreThanItHoldsIsRefused(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	r.server.Evidence.(*receipts.Evidence).Max = 3
	id := r.publish("hello")
	r.settle()
	r.call(alice, "GET", "/filetransfer/"+id+"/receipts/bundle", "").is(http.StatusConflict, "FMD-00055")
	r.call(bob, "GET", "/filetransfer/"+id+"/receipts/bundle", "").is(http.StatusOK, "")
}
