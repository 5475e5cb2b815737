package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/registry"
	"github.com/formidling/formidling/models"
)

func TestAccessRequest_IsAnsweredByTheOwner(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	asked := b.Ask(mallory)
	require.Equal(t, contract.AccessRequestState("pending"), asked.State)
	b.Call(mallory, "POST", "/resource/"+svc+"/access-requests", `{"receive":true}`).Is(http.StatusConflict, "FMD-00035")
	path := "/access-requests/" + asked.ID.String()
	for p, status := range map[models.Party]int{mallory: http.StatusOK, owner: http.StatusOK, bob: http.StatusNotFound} {
		b.Call(p, "GET", path, "").Is(status, "")
	}
	b.Call(owner, "POST", path+"/approve", `{}`).Is(http.StatusPreconditionRequired, "FMD-00024")
	b.Call(owner, "POST", path+"/approve", `{"validTo":"yesterday"}`, "If-Match", asked.Etag).Is(http.StatusBadRequest, "FMD-00001")
	var answered contract.AccessRequest
	b.Call(owner, "POST", path+"/approve", `{"text":"welcome","validTo":"2099-01-01T00:00:00Z"}`, "If-Match", asked.Etag).Is(http.StatusOK, "").JSON(&answered)
	require.Equal(t, "welcome", answered.Answer)
	require.NotNil(t, answered.Answered)
	var g contract.Grant
	b.Call(owner, "GET", apitest.Grants+"/"+mallory.Number(), "").Is(http.StatusOK, "").JSON(&g)
	require.True(t, g.Send)
	require.False(t, g.Receive)
	require.Equal(t, 2099, g.ValidTo.Year())
	b.Call(owner, "POST", path+"/deny", `{}`, "If-Match", "*").Is(http.StatusConflict, "FMD-00033")

	denied := b.Ask(mallory)
	b.Call(owner, "POST", "/access-requests/"+denied.ID.String()+"/deny", `{"text":"no"}`, "If-Match", "*").Is(http.StatusOK, "").JSON(&answered)
	require.Equal(t, contract.AccessRequestState("denied"), answered.State)
	require.True(t, b.May(models.ActionSend, mallory), "a denial takes nothing")
}

func TestAccessRequests_AreListedForWhomTheyConcern(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	var first contract.AccessRequest
	for i := range 5 {
		r := b.Ask(models.Norwegian(number(i)))
		if i == 0 {
			first = r
		}
	}
	b.Call(owner, "POST", "/access-requests/"+first.ID.String()+"/approve", `{}`, "If-Match", "*").Is(http.StatusOK, "")
	count := func(by models.Party, path string) (n int) {
		for next := path; next != ""; {
			a := b.Call(by, "GET", next, "").Is(http.StatusOK, "")
			var page contract.AccessRequestList
			a.JSON(&page)
			n += len(page.AccessRequests)
			next = strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(a.Header.Get("Link"), "<"), `>; rel="next"`), base)
		}
		return n
	}
	all := "/resource/" + svc + "/access-requests"
	require.Equal(t, 5, count(owner, all+"?limit=2"))
	require.Equal(t, 4, count(owner, all+"?state=pending&limit=3"))
	require.Equal(t, 1, count(owner, all+"?state=approved"))
	require.Equal(t, 1, count(models.Norwegian(number(0)), "/access-requests"))
	require.Zero(t, count(models.Norwegian(number(0)), "/access-requests?state=denied"))
	for _, query := range []string{"state=x", "cursor=eA", "limit=0"} {
		b.Call(owner, "GET", all+"?"+query, "").Is(http.StatusBadRequest, "FMD-00001")
	}
}

func TestAccessRequest_RefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	path := "/resource/" + svc + "/access-requests"
	for body, field := range map[string]string{`{}`: "send, receive", `{"send":true,"text":"` + strings.Repeat("x", 1001) + `"}`: "text", `{"send":true,"state":"approved"}`: "state"} {
		require.Contains(t, b.Call(mallory, "POST", path, body).Is(http.StatusBadRequest, "FMD-00001").Problem().Errors, field)
	}
	b.Call(mallory, "POST", "/resource/unknown/access-requests", `{"send":true}`).Is(http.StatusBadRequest, "BRO-00025")
	withdrawn := b.Call(mallory, "POST", "/resource/"+svc+"/access-requests", `{"receive":true}`).Is(http.StatusCreated, "")
	var wish contract.AccessRequest
	withdrawn.JSON(&wish)
	b.Call(mallory, "DELETE", "/access-requests/"+wish.ID.String(), "").Is(http.StatusPreconditionRequired, "FMD-00024")
	b.Call(bob, "DELETE", "/access-requests/"+wish.ID.String(), "", "If-Match", "*").Is(http.StatusNotFound, "FMD-00026")
	b.Call(mallory, "DELETE", "/access-requests/"+wish.ID.String(), "", "If-Match", wish.Etag).Is(http.StatusNoContent, "")
	b.Call(mallory, "GET", "/access-requests?state=withdrawn", "").Is(http.StatusOK, "")
	for _, id := range []string{"x", "00000000-0000-0000-0000-000000000000"} {
		a := b.Call(mallory, "GET", "/access-requests/"+id, "")
		require.Contains(t, []int{http.StatusBadRequest, http.StatusNotFound}, a.StatusCode, id)
	}
}

func TestDecision_TellsEachWhatConcernsIt(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	query := "/resource/" + svc + "/decision?action=send&from=310000027&to=310000035&to=310000051"
	ask := func(by models.Party, query string) contract.Decision {
		var d contract.Decision
		b.Call(by, "GET", query, "").Is(http.StatusOK, "").JSON(&d)
		require.Equal(t, contract.DecisionDecisionDeny, d.Decision)
		require.Equal(t, "BRO-00028", *d.Code)
		return d
	}
	about := func(d contract.Decision) (out []string) {
		for _, r := range d.Because {
			out = append(out, r.Organization)
		}
		return out
	}
	require.Equal(t, []string{string(alice), string(bob), string(mallory)}, about(ask(owner, query)))
	require.Equal(t, []string{string(alice)}, about(ask(alice, query)))
	require.Equal(t, []string{string(mallory)}, about(ask(mallory, "/resource/"+svc+"/decision?action=send&from=310000027&to=310000051")))
	for _, others := range []string{
		query, // whom alice may send to besides
		"/resource/" + svc + "/decision?action=send&from=310000027&to=310000051&supplier=310000043", // to whom alice delegated
	} {
		b.Call(mallory, "GET", others, "").Is(http.StatusUnauthorized, "BRO-00006")
	}
	b.Call(owner, "PUT", "/identity/api/v1/delegations/"+mallory.Number(), `{"receive":true}`, apitest.Impersonate, apitest.Certified(owner)).Is(http.StatusCreated, "")
	b.Call("", "GET", query, "", apitest.Impersonate, apitest.Certified(owner, apitest.Through(mallory))).Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(carol, "GET", query, "").Is(http.StatusUnauthorized, "BRO-00006")
	for bad, field := range map[string]string{
		"action=send": "from", "action=receive": "to", "action=receive&to=310000027&to=310000035": "to", "action=fly&from=310000027": "action",
		"from=310000027": "action", "action=send&from=x": "from", "action=send&from=310000027&to=x": "to", "action=send&from=310000027&supplier=x": "supplier", "action=receive&to=310000027&loginMethod=bogus": "loginMethod",
		"action=send&from=310000027" + strings.Repeat("&to=310000035", registry.MaxAsked+1): "to",
	} {
		a := b.Call(owner, "GET", "/resource/"+svc+"/decision?"+bad, "").Is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.Problem().Errors, field, bad)
	}
	b.Call(owner, "GET", "/resource/unknown/decision?action=receive&to=310000027", "").Is(http.StatusBadRequest, "BRO-00025")
	var d contract.Decision
	b.Call(owner, "GET", "/resource/"+svc+"/decision?action=send&from=310000027&supplier=310000051", "").Is(http.StatusOK, "").JSON(&d)
	require.Equal(t, "0192:310000027 has not delegated this to 0192:310000051.", d.Because[1].Text)
}

func TestAudit_ShowsWhatCanBeHashedAgain(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Call(owner, "PUT", apitest.Grants+"/"+mallory.Number(), `{"send":true}`, apitest.Impersonate, apitest.Certified(owner)).Is(http.StatusCreated, "")
	var list contract.AuditList
	b.Call(owner, "GET", "/identity/api/v1/audit", "").Is(http.StatusOK, "").JSON(&list)
	require.Len(t, list.Entries, 6)
	prev := ""
	for i, e := range list.Entries {
		require.Equal(t, int64(i+1), e.Seq)
		require.Equal(t, prev, e.Prev)
		require.Equal(t, apitest.SHA256Hex(fmt.Appendf(nil, "%s\n%d\n%s", e.Prev, e.Seq, e.Text)), e.Hash)
		prev = e.Hash
	}
	last := list.Entries[5].Entry
	require.Equal(t, "grant.put", last.Action)
	require.Equal(t, "certificate "+apitest.Thumb(string(owner)), last.Credential)
	require.Nil(t, last.Before)
	require.Equal(t, true, last.After["send"])
	a := b.Call(owner, "GET", "/resource/"+svc+"/audit?limit=2&after=1", "").Is(http.StatusOK, "")
	a.JSON(&list)
	require.Len(t, list.Entries, 2)
	require.Contains(t, a.Header.Get("Link"), "after=3")
	for _, query := range []string{"after=-1", "limit=0", "after=x", "after=99999999999999999999"} {
		b.Call(owner, "GET", "/resource/"+svc+"/audit?"+query, "").Is(http.StatusBadRequest, "FMD-00001")
	}
}
