package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
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

// Weakness 11 (docs/reference/altinn-broker.md 3): an answer told whether an id exists.
func TestWeakness11_ATransferOfOthersIsLikeNone(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	published := b.Publish(content)
	for _, route := range transferRoutes {
		ask := func(id string) string {
			r := b.Request(mallory, route.method, "/filetransfer/"+id+route.path, nil, "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			a := b.Do(r)
			require.Equal(t, http.StatusNotFound, a.StatusCode, route)
			a.Header.Del("Date")
			return apitest.ToJSON(t, a.Header) + string(a.Raw)
		}
		require.Equal(t, ask(uuid.NewString()), ask(published), "%v: byte for byte", route)
	}
}

func TestTransferRoutes_RefuseWhatIsNoUUID(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for _, route := range transferRoutes {
		for _, id := range []string{"x", "123", "01a20944-05be-73fd-b8b8-68aa2645487", "%00"} {
			a := b.Call(alice, route.method, "/filetransfer/"+id+route.path, "")
			require.Equal(t, http.StatusBadRequest, a.StatusCode, "%v %s", route, id)
		}
	}
}

// Weaknesses 5 and 6 (docs/reference/altinn-broker.md 3): confirming twice failed, and a caller that is no recipient got 500 or became one.
func TestWeakness5And6_ConfirmIsForRecipientsAndForEver(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Publish(content)
	confirm := "/filetransfer/" + id + "/confirmdownload"
	b.Call(bob, "POST", confirm, "").Is(http.StatusBadRequest, "BRO-00019")
	b.Call(alice, "POST", confirm, "").Is(http.StatusUnauthorized, "BRO-00006")
	for _, p := range []models.Party{bob, carol} {
		b.Call(p, "GET", "/filetransfer/"+id+"/download", "").Is(200, "")
		b.Call(p, "POST", confirm, "").Is(http.StatusNoContent, "")
	}
	require.Equal(t, contract.FileTransferStatusAllConfirmedDownloaded, b.Overview(alice, id).FileTransferStatus)
	b.Call(bob, "POST", confirm, "").Is(http.StatusNoContent, "")
	b.Call(carol, "GET", "/filetransfer/"+id+"/download", "").Is(200, "")
	require.NoError(t, b.Store.PurgeTransfer(t.Context(), uuid.MustParse(id)))
	b.Call(bob, "POST", confirm, "").Is(http.StatusNoContent, "")
	b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(http.StatusForbidden, "BRO-00007")
	require.Len(t, b.Overview(alice, id).Recipients, 2)
}

func TestConfirm_RemindsAWorkflowThatForgotWhatItPublished(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Publish(content)
	b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(200, "")
	b.Workflows.Forgot = true
	b.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "").Is(204, "")
	require.False(t, b.Workflows.Forgot)
	b.Workflows.Forgot, b.Workflows.Silent = true, true
	b.Call(carol, "GET", "/filetransfer/"+id+"/download", "").Is(200, "")
	b.Call(carol, "POST", "/filetransfer/"+id+"/confirmdownload", "").Is(503, "FMD-00002")
	b.Workflows.Silent = false
	b.Call(carol, "POST", "/filetransfer/"+id+"/confirmdownload", "").Is(204, "")
}

func TestOverview_ShowsARecipientOnlyItself(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Publish(content)
	require.Len(t, b.Overview(alice, id).Recipients, 2)
	o := b.Overview(bob, id)
	require.Len(t, o.Recipients, 1)
	require.Equal(t, string(bob), o.Recipients[0].Recipient)
	var details contract.FileTransferDetails
	b.Call(bob, "GET", "/filetransfer/"+id+"/details", "").Is(200, "").JSON(&details)
	require.Len(t, details.RecipientFileTransferStatusHistory, 1)
}

// Weakness 17 (docs/reference/altinn-broker.md 3): there was no cancel and no cursor.
func TestWeakness17_TheSenderMayCancelUntilTheFirstDownload(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Publish(content)
	cancel := func(id string) string { return "/filetransfer/" + id + "/cancel" }
	b.Call(bob, "POST", cancel(id), "").Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(alice, "POST", cancel(id), "").Is(http.StatusNoContent, "")
	b.Call(alice, "POST", cancel(id), "").Is(http.StatusNoContent, "")
	require.Equal(t, contract.FileTransferStatusCancelled, b.Overview(alice, id).FileTransferStatus)
	b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(http.StatusForbidden, "BRO-00007")
	b.Upload(id, nil).Is(http.StatusConflict, "BRO-00004")

	id = b.Publish(content)
	b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(200, "")
	b.Call(alice, "POST", cancel(id), "").Is(http.StatusConflict, "FMD-00005")
	require.Equal(t, contract.FileTransferStatusPublished, b.Overview(alice, id).FileTransferStatus)
}

func TestSearch_FiltersAndPages(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	var ids []string
	for i := range 7 {
		ids = append(ids, b.Initialize(func(d map[string]any) { d["sendersFileTransferReference"] = "ref-" + string(rune('0'+i)) }))
	}
	b.Upload(ids[6], []byte("x")).Is(200, "")
	require.Equal(t, []string{ids[6], ids[5]}, b.Found(alice, "")[:2], "newest first")
	require.Equal(t, ids, b.Found(bob, "&orderAscending=true"))
	require.Equal(t, []string{ids[3]}, b.Found(alice, "&sendersFileTransferReference=ref-3"))
	require.Equal(t, []string{ids[6]}, b.Found(bob, "&status=published"))
	require.Len(t, b.Found(bob, "&status=Initialized"), 6)
	require.Empty(t, b.Found(bob, "&role=Sender"))
	require.Len(t, b.Found(bob, "&role=recipient"), 7)
	require.Empty(t, b.Found(alice, "&recipientStatus=Initialized"))
	require.Len(t, b.Found(bob, "&recipientStatus=initialized&role=Sender"), 7)
	created := b.Overview(alice, ids[4]).Created
	require.Len(t, b.Found(alice, "&from="+created.Format("2006-01-02T15:04:05.999999Z")), 2)
	require.Len(t, b.Found(alice, "&from=2020-01-01%2000:00:00&to=2099-01-01T00:00:00%2B02:00"), 7)
	require.Len(t, b.Found(alice, "&from=2020-01-01T00:00:00+02:00&to=2099-01-01"), 7, "a plus that was not escaped")

	var paged []string
	next := "/filetransfer?resourceId=" + svc + "&limit=3"
	for next != "" {
		a := b.Call(alice, "GET", next, "").Is(200, "")
		var page []string
		a.JSON(&page)
		require.LessOrEqual(t, len(page), 3)
		paged = append(paged, page...)
		next = ""
		if link := a.Header.Get("Link"); link != "" {
			next = strings.TrimPrefix(strings.TrimSuffix(link, `>; rel="next"`), "<"+base)
		}
	}
	require.Equal(t, b.Found(alice, ""), paged)
}

func TestSearch_RefusesBadParameters(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for query, field := range map[string]string{
		"": "resourceId", "resourceId=": "resourceId", "resourceId=x&status=Open": "status", "resourceId=x&recipientStatus=Open": "recipientStatus",
		"resourceId=x&from=yesterday": "from", "resourceId=x&to=1": "to", "resourceId=x&role=Owner": "role", "resourceId=x&limit=0": "limit",
		"resourceId=x&limit=101": "limit", "resourceId=x&limit=many": "limit", "resourceId=x&cursor=!": "cursor", "resourceId=x&orderAscending=2": "orderAscending",
	} {
		p := b.Call(alice, "GET", "/filetransfer?"+query, "").Is(http.StatusBadRequest, "FMD-00001").Problem()
		require.Contains(t, p.Errors, field, query)
	}
	b.Call(mallory, "GET", "/filetransfer?resourceId="+svc, "").Is(http.StatusUnauthorized, "BRO-00006")
}

func TestAuthentication_AsksForATokenWithTheScope(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Publish(content)
	r := b.Request(alice, "GET", "/filetransfer/"+id, nil)
	r.Header.Del("Authorization")
	a := b.Do(r).Is(http.StatusUnauthorized, "FMD-00008")
	require.Equal(t, "Bearer", a.Header.Get("WWW-Authenticate"))
	r.Header.Set("Authorization", "Bearer "+b.Token(alice)+"x")
	b.Do(r).Is(http.StatusUnauthorized, "FMD-00008")
	r.Header.Set("Authorization", "Bearer "+b.Token(alice, models.ScopeServiceOwner))
	b.Do(r).Is(http.StatusForbidden, "FMD-00009")
	expired, err := b.Issuer.Token(alice, []string{models.ScopeRead}, -time.Second)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+expired)
	b.Do(r).Is(http.StatusUnauthorized, "FMD-00008")
}

func TestAuthentication_RefusesTwoCredentials(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	r := b.Request(alice, "GET", "/filetransfer/"+b.Publish(content), nil)
	r.Header.Add("Authorization", "Bearer "+b.Token(mallory))
	b.Do(r).Is(http.StatusUnauthorized, "FMD-00008")
}
