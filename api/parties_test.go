package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// transferRoutes are all operations on one transfer.
var transferRoutes = []struct{ method, path string }{
	{"GET", ""},
	{"GET", "/details"},
	{"GET", "/download"},
	{"HEAD", "/download"},
	{"POST", "/upload"},
	{"POST", "/confirmdownload"},
	{"POST", "/cancel"},
}

// Reference weakness 11: an answer told whether an id exists.
func TestWeakness11_ATransferOfOthersIsLikeNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	published := b.publish(content)
	for _, route := range transferRoutes {
		ask := func(id string) string {
			r := b.request(mallory, route.method, "/filetransfer/"+id+route.path, nil, "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			a := b.do(r)
			require.Equal(t, http.StatusNotFound, a.StatusCode, route)
			a.Header.Del("Date")
			return toJSON(t, a.Header) + string(a.body)
		}
		require.Equal(t, ask(uuid.NewString()), ask(published), "%v: byte for byte", route)
	}
}

func TestTransferRoutes_RefuseWhatIsNoUUID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, route := range transferRoutes {
		for _, id := range []string{"x", "123", "01a20944-05be-73fd-b8b8-68aa2645487", "%00"} {
			a := b.call(alice, route.method, "/filetransfer/"+id+route.path, "")
			require.Equal(t, http.StatusBadRequest, a.StatusCode, "%v %s", route, id)
		}
	}
}

// Reference weaknesses 5 and 6: confirming twice failed, and a caller that is no recipient got 500 or became one.
func TestWeakness5And6_ConfirmIsForRecipientsAndForEver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish(content)
	confirm := "/filetransfer/" + id + "/confirmdownload"
	b.call(bob, "POST", confirm, "").is(http.StatusBadRequest, "BRO-00019")
	b.call(alice, "POST", confirm, "").is(http.StatusUnauthorized, "BRO-00006")
	for _, p := range []models.Party{bob, carol} {
		b.call(p, "GET", "/filetransfer/"+id+"/download", "").is(200, "")
		b.call(p, "POST", confirm, "").is(http.StatusNoContent, "")
	}
	require.Equal(t, contract.FileTransferStatusAllConfirmedDownloaded, b.overview(alice, id).FileTransferStatus)
	b.call(bob, "POST", confirm, "").is(http.StatusNoContent, "")
	b.call(carol, "GET", "/filetransfer/"+id+"/download", "").is(200, "")
	require.NoError(t, b.store.PurgeTransfer(t.Context(), uuid.MustParse(id)))
	b.call(bob, "POST", confirm, "").is(http.StatusNoContent, "")
	b.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusForbidden, "BRO-00007")
	require.Len(t, b.overview(alice, id).Recipients, 2)
}

func TestConfirm_RemindsAWorkflowThatForgotWhatItPublished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish(content)
	b.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(200, "")
	b.door.forgot = true
	b.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "").is(204, "")
	require.False(t, b.door.forgot)
	b.door.forgot, b.door.silent = true, true
	b.call(carol, "GET", "/filetransfer/"+id+"/download", "").is(200, "")
	b.call(carol, "POST", "/filetransfer/"+id+"/confirmdownload", "").is(503, "FMD-00002")
	b.door.silent = false
	b.call(carol, "POST", "/filetransfer/"+id+"/confirmdownload", "").is(204, "")
}

func TestOverview_ShowsARecipientOnlyItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish(content)
	require.Len(t, b.overview(alice, id).Recipients, 2)
	o := b.overview(bob, id)
	require.Len(t, o.Recipients, 1)
	require.Equal(t, string(bob), o.Recipients[0].Recipient)
	var details contract.FileTransferDetails
	b.call(bob, "GET", "/filetransfer/"+id+"/details", "").is(200, "").json(&details)
	require.Len(t, details.RecipientFileTransferStatusHistory, 1)
}

// Reference weakness 17: there was no cancel and no cursor.
func TestWeakness17_TheSenderMayCancelUntilTheFirstDownload(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish(content)
	cancel := func(id string) string { return "/filetransfer/" + id + "/cancel" }
	b.call(bob, "POST", cancel(id), "").is(http.StatusUnauthorized, "BRO-00006")
	b.call(alice, "POST", cancel(id), "").is(http.StatusNoContent, "")
	b.call(alice, "POST", cancel(id), "").is(http.StatusNoContent, "")
	require.Equal(t, contract.FileTransferStatusCancelled, b.overview(alice, id).FileTransferStatus)
	b.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusForbidden, "BRO-00007")
	b.upload(id, nil).is(http.StatusConflict, "BRO-00004")

	id = b.publish(content)
	b.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(200, "")
	b.call(alice, "POST", cancel(id), "").is(http.StatusConflict, "FMD-00005")
	require.Equal(t, contract.FileTransferStatusPublished, b.overview(alice, id).FileTransferStatus)
}

func TestSearch_FiltersAndPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var ids []string
	for i := range 7 {
		ids = append(ids, b.initialize(func(d map[string]any) { d["sendersFileTransferReference"] = "ref-" + string(rune('0'+i)) }))
	}
	b.upload(ids[6], []byte("x")).is(200, "")
	require.Equal(t, []string{ids[6], ids[5]}, b.found(alice, "")[:2], "newest first")
	require.Equal(t, ids, b.found(bob, "&orderAscending=true"))
	require.Equal(t, []string{ids[3]}, b.found(alice, "&sendersFileTransferReference=ref-3"))
	require.Equal(t, []string{ids[6]}, b.found(bob, "&status=published"))
	require.Len(t, b.found(bob, "&status=Initialized"), 6)
	require.Empty(t, b.found(bob, "&role=Sender"))
	require.Len(t, b.found(bob, "&role=recipient"), 7)
	require.Empty(t, b.found(alice, "&recipientStatus=Initialized"))
	require.Len(t, b.found(bob, "&recipientStatus=initialized&role=Sender"), 7)
	created := b.overview(alice, ids[4]).Created
	require.Len(t, b.found(alice, "&from="+created.Format("2006-01-02T15:04:05.999999Z")), 2)
	require.Len(t, b.found(alice, "&from=2020-01-01%2000:00:00&to=2099-01-01T00:00:00%2B02:00"), 7)
	require.Len(t, b.found(alice, "&from=2020-01-01T00:00:00+02:00&to=2099-01-01"), 7, "a plus that was not escaped")

	var paged []string
	next := "/filetransfer?resourceId=" + svc + "&limit=3"
	for next != "" {
		a := b.call(alice, "GET", next, "").is(200, "")
		var page []string
		a.json(&page)
		require.LessOrEqual(t, len(page), 3)
		paged = append(paged, page...)
		next = ""
		if link := a.Header.Get("Link"); link != "" {
			next = strings.TrimPrefix(strings.TrimSuffix(link, `>; rel="next"`), "<"+base)
		}
	}
	require.Equal(t, b.found(alice, ""), paged)
}

func TestSearch_RefusesBadParameters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for query, field := range map[string]string{
		"": "resourceId", "resourceId=": "resourceId", "resourceId=x&status=Open": "status", "resourceId=x&recipientStatus=Open": "recipientStatus",
		"resourceId=x&from=yesterday": "from", "resourceId=x&to=1": "to", "resourceId=x&role=Owner": "role", "resourceId=x&limit=0": "limit",
		"resourceId=x&limit=101": "limit", "resourceId=x&limit=many": "limit", "resourceId=x&cursor=!": "cursor", "resourceId=x&orderAscending=2": "orderAscending",
	} {
		p := b.call(alice, "GET", "/filetransfer?"+query, "").is(http.StatusBadRequest, "FMD-00001").problem()
		require.Contains(t, p.Errors, field, query)
	}
	b.call(mallory, "GET", "/filetransfer?resourceId="+svc, "").is(http.StatusUnauthorized, "BRO-00006")
}

func TestAuthentication_AsksForATokenWithTheScope(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish(content)
	r := b.request(alice, "GET", "/filetransfer/"+id, nil)
	r.Header.Del("Authorization")
	a := b.do(r).is(http.StatusUnauthorized, "FMD-00008")
	require.Equal(t, "Bearer", a.Header.Get("WWW-Authenticate"))
	r.Header.Set("Authorization", "Bearer "+b.token(alice)+"x")
	b.do(r).is(http.StatusUnauthorized, "FMD-00008")
	r.Header.Set("Authorization", "Bearer "+b.token(alice, models.ScopeServiceOwner))
	b.do(r).is(http.StatusForbidden, "FMD-00009")
	expired, err := b.issuer.Token(alice, []string{models.ScopeRead}, -time.Second)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+expired)
	b.do(r).is(http.StatusUnauthorized, "FMD-00008")
}

func TestAuthentication_RefusesTwoCredentials(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.request(alice, "GET", "/filetransfer/"+b.publish(content), nil)
	r.Header.Add("Authorization", "Bearer "+b.token(mallory))
	b.do(r).is(http.StatusUnauthorized, "FMD-00008")
}
