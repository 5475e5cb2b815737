package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func (b *bundle) ask(p models.Party) contract.AccessRequest {
	b.t.Helper()
	var r contract.AccessRequest
	b.call(p, "POST", "/resource/"+svc+"/access-requests", `{"send":true,"text":"please"}`).is(http.StatusCreated, "").json(&r)
	return r
}

func TestAccessRequest_IsAnsweredByTheOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	asked := b.ask(mallory)
	require.Equal(t, contract.AccessRequestState("pending"), asked.State)
	b.call(mallory, "POST", "/resource/"+svc+"/access-requests", `{"receive":true}`).is(http.StatusConflict, "FMD-00035")
	path := "/access-requests/" + asked.ID.String()
	for p, status := range map[models.Party]int{mallory: http.StatusOK, owner: http.StatusOK, bob: http.StatusNotFound} {
		b.call(p, "GET", path, "").is(status, "")
	}
	b.call(owner, "POST", path+"/approve", `{}`).is(http.StatusPreconditionRequired, "FMD-00024")
	b.call(owner, "POST", path+"/approve", `{"validTo":"yesterday"}`, "If-Match", asked.Etag).is(http.StatusBadRequest, "FMD-00001")
	var answered contract.AccessRequest
	b.call(owner, "POST", path+"/approve", `{"text":"welcome","validTo":"2099-01-01T00:00:00Z"}`, "If-Match", asked.Etag).is(http.StatusOK, "").json(&answered)
	require.Equal(t, "welcome", answered.Answer)
	require.NotNil(t, answered.Answered)
	var g contract.Grant
	b.call(owner, "GET", grants+"/"+mallory.Number(), "").is(http.StatusOK, "").json(&g)
	require.True(t, g.Send)
	require.False(t, g.Receive)
	require.Equal(t, 2099, g.ValidTo.Year())
	b.call(owner, "POST", path+"/deny", `{}`, "If-Match", "*").is(http.StatusConflict, "FMD-00033")

	denied := b.ask(mallory)
	b.call(owner, "POST", "/access-requests/"+denied.ID.String()+"/deny", `{"text":"no"}`, "If-Match", "*").is(http.StatusOK, "").json(&answered)
	require.Equal(t, contract.AccessRequestState("denied"), answered.State)
	require.True(t, b.may(models.ActionSend, mallory), "a denial takes nothing")
}

func TestAccessRequests_AreListedForWhomTheyConcern(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var first contract.AccessRequest
	for i := range 5 {
		r := b.ask(models.Norwegian(number(i)))
		if i == 0 {
			first = r
		}
	}
	b.call(owner, "POST", "/access-requests/"+first.ID.String()+"/approve", `{}`, "If-Match", "*").is(http.StatusOK, "")
	count := func(by models.Party, path string) (n int) {
		for next := path; next != ""; {
			a := b.call(by, "GET", next, "").is(http.StatusOK, "")
			var page contract.AccessRequestList
			a.json(&page)
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
		b.call(owner, "GET", all+"?"+query, "").is(http.StatusBadRequest, "FMD-00001")
	}
}

func TestAccessRequest_RefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := "/resource/" + svc + "/access-requests"
	for body, field := range map[string]string{`{}`: "send, receive", `{"send":true,"text":"` + strings.Repeat("x", 1001) + `"}`: "text", `{"send":true,"state":"approved"}`: "state"} {
		require.Contains(t, b.call(mallory, "POST", path, body).is(http.StatusBadRequest, "FMD-00001").problem().Errors, field)
	}
	b.call(mallory, "POST", "/resource/unknown/access-requests", `{"send":true}`).is(http.StatusBadRequest, "BRO-00025")
	withdrawn := b.call(mallory, "POST", "/resource/"+svc+"/access-requests", `{"receive":true}`).is(http.StatusCreated, "")
	var wish contract.AccessRequest
	withdrawn.json(&wish)
	b.call(mallory, "DELETE", "/access-requests/"+wish.ID.String(), "").is(http.StatusPreconditionRequired, "FMD-00024")
	b.call(bob, "DELETE", "/access-requests/"+wish.ID.String(), "", "If-Match", "*").is(http.StatusNotFound, "FMD-00026")
	b.call(mallory, "DELETE", "/access-requests/"+wish.ID.String(), "", "If-Match", wish.Etag).is(http.StatusNoContent, "")
	b.call(mallory, "GET", "/access-requests?state=withdrawn", "").is(http.StatusOK, "")
	for _, id := range []string{"x", "00000000-0000-0000-0000-000000000000"} {
		a := b.call(mallory, "GET", "/access-requests/"+id, "")
		require.Contains(t, []int{http.StatusBadRequest, http.StatusNotFound}, a.StatusCode, id)
	}
}

func TestDecision_TellsEachWhatConcernsIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	query := "/resource/" + svc + "/decision?action=send&from=310000027&to=310000035&to=310000051"
	ask := func(by models.Party, query string) contract.Decision {
		var d contract.Decision
		b.call(by, "GET", query, "").is(http.StatusOK, "").json(&d)
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
		b.call(mallory, "GET", others, "").is(http.StatusUnauthorized, "BRO-00006")
	}
	b.call(owner, "PUT", "/identity/api/v1/delegations/"+mallory.Number(), `{"receive":true}`, impersonate, certified(owner)).is(http.StatusCreated, "")
	b.call("", "GET", query, "", impersonate, certified(owner, through(mallory))).is(http.StatusUnauthorized, "BRO-00006")
	b.call(carol, "GET", query, "").is(http.StatusUnauthorized, "BRO-00006")
	for bad, field := range map[string]string{
		"action=send": "from", "action=receive": "to", "action=receive&to=310000027&to=310000035": "to", "action=fly&from=310000027": "action",
		"from=310000027": "action", "action=send&from=x": "from", "action=send&from=310000027&to=x": "to", "action=send&from=310000027&supplier=x": "supplier", "action=receive&to=310000027&loginMethod=bogus": "loginMethod",
		"action=send&from=310000027" + strings.Repeat("&to=310000035", maxAsked+1): "to",
	} {
		a := b.call(owner, "GET", "/resource/"+svc+"/decision?"+bad, "").is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.problem().Errors, field, bad)
	}
	b.call(owner, "GET", "/resource/unknown/decision?action=receive&to=310000027", "").is(http.StatusBadRequest, "BRO-00025")
	var d contract.Decision
	b.call(owner, "GET", "/resource/"+svc+"/decision?action=send&from=310000027&supplier=310000051", "").is(http.StatusOK, "").json(&d)
	require.Equal(t, "0192:310000027 has not delegated this to 0192:310000051.", d.Because[1].Text)
}

func TestAudit_ShowsWhatCanBeHashedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call(owner, "PUT", grants+"/"+mallory.Number(), `{"send":true}`, impersonate, certified(owner)).is(http.StatusCreated, "")
	var list contract.AuditList
	b.call(owner, "GET", "/identity/api/v1/audit", "").is(http.StatusOK, "").json(&list)
	require.Len(t, list.Entries, 6)
	prev := ""
	for i, e := range list.Entries {
		require.Equal(t, int64(i+1), e.Seq)
		require.Equal(t, prev, e.Prev)
		require.Equal(t, sha256Hex(fmt.Appendf(nil, "%s\n%d\n%s", e.Prev, e.Seq, e.Text)), e.Hash)
		prev = e.Hash
	}
	last := list.Entries[5].Entry
	require.Equal(t, "grant.put", last.Action)
	require.Equal(t, "certificate "+thumb(string(owner)), last.Credential)
	require.Nil(t, last.Before)
	require.Equal(t, true, last.After["send"])
	a := b.call(owner, "GET", "/resource/"+svc+"/audit?limit=2&after=1", "").is(http.StatusOK, "")
	a.json(&list)
	require.Len(t, list.Entries, 2)
	require.Contains(t, a.Header.Get("Link"), "after=3")
	for _, query := range []string{"after=-1", "limit=0", "after=x", "after=99999999999999999999"} {
		b.call(owner, "GET", "/resource/"+svc+"/audit?"+query, "").is(http.StatusBadRequest, "FMD-00001")
	}
}
