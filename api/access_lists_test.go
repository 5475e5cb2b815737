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

const lists = "/resourceregistry/api/v1/access-lists/310000019"

// may tells whether an organisation may do something in the service, by the decision that anybody can ask for.
func (b *bundle) may(action models.Action, p models.Party) bool {
	b.t.Helper()
	query := "?action=receive&to=" + p.Number()
	if action == models.ActionSend {
		query = "?action=send&from=" + p.Number()
	}
	var d contract.Decision
	b.call(owner, "GET", "/resource/"+svc+"/decision"+query, "").is(http.StatusOK, "").json(&d)
	return d.Decision == contract.DecisionDecisionAllow
}

func TestAccessList_GivesItsMembersRightsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.call(owner, "PUT", lists+"/partners", `{"name":"Partners","description":"who signed"}`).is(http.StatusCreated, "")
	etag := made.Header.Get("ETag")
	b.call(owner, "PUT", lists+"/partners/resource-connections/"+svc, `{"send":true}`).is(http.StatusCreated, "")
	require.False(t, b.may(models.ActionSend, mallory))
	b.call(owner, "POST", lists+"/partners/members", `{"data":["310000051"]}`).is(http.StatusPreconditionRequired, "FMD-00024")
	changed := b.call(owner, "POST", lists+"/partners/members", `{"data":["urn:altinn:organization:identifier-no:310000051","0192:310000078"]}`, "If-Match", etag).is(http.StatusNoContent, "").Header.Get("ETag")
	require.NotEqual(t, etag, changed)
	require.True(t, b.may(models.ActionSend, mallory))
	b.call(owner, "POST", lists+"/partners/members", `{"data":["310000086"]}`, "If-Match", etag).is(http.StatusPreconditionFailed, "FMD-00025")

	b.call(owner, "POST", lists+"/partners/members", `{"data":["310000051"],"validTo":"2020-01-01T00:00:00Z"}`, "If-Match", "*").is(http.StatusNoContent, "")
	require.False(t, b.may(models.ActionSend, mallory), "the membership has ended")
	b.call(owner, "PUT", lists+"/partners/members", `{"data":["310000051"]}`, "If-Match", "*").is(http.StatusNoContent, "")
	require.True(t, b.may(models.ActionSend, mallory))
	var page contract.MemberPage
	b.call(owner, "GET", lists+"/partners/members", "").is(http.StatusOK, "").json(&page)
	require.Len(t, page.Data, 1, "who is not in a PUT is no member any more")
	require.Equal(t, map[string]string{"urn:altinn:organization:identifier-no": "310000051"}, page.Data[0].Identifiers)
	b.call(owner, "DELETE", lists+"/partners/members", `{"data":["310000051","310000094"]}`, "If-Match", "*").is(http.StatusNoContent, "")
	require.False(t, b.may(models.ActionSend, mallory))
}

func TestAccessList_TakesRightsWithItWhenItGoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ok(owner, "PUT", lists+"/partners", `{"name":"Partners"}`)
	b.call(owner, "PUT", lists+"/partners/members", `{"data":["310000051"]}`, "If-Match", "*").is(http.StatusNoContent, "")
	connection := lists + "/partners/resource-connections/" + svc
	var n contract.Connection
	b.call(owner, "PUT", connection, `{"receive":true,"validFrom":"2020-01-01T00:00:00Z"}`).is(http.StatusCreated, "").json(&n)
	require.Equal(t, svc, n.ResourceIdentifier)
	require.True(t, b.may(models.ActionReceive, mallory))
	b.call(owner, "PUT", connection, `{"send":true}`).is(http.StatusPreconditionRequired, "FMD-00024")
	b.call(owner, "PUT", connection, `{"send":true}`, "If-Match", n.Etag).is(http.StatusOK, "").json(&n)
	require.False(t, b.may(models.ActionReceive, mallory))
	b.call(owner, "DELETE", connection, "", "If-Match", n.Etag).is(http.StatusNoContent, "")
	require.False(t, b.may(models.ActionSend, mallory))
	b.call(owner, "GET", connection, "").is(http.StatusNotFound, "FMD-00026")
	b.ok(owner, "PUT", connection, `{"send":true}`)
	require.True(t, b.may(models.ActionSend, mallory))
	b.call(owner, "DELETE", lists+"/partners", "", "If-Match", "*").is(http.StatusNoContent, "")
	require.False(t, b.may(models.ActionSend, mallory))
	for _, path := range []string{"", "/members", "/resource-connections"} {
		b.call(owner, "GET", lists+"/partners"+path, "").is(http.StatusNotFound, "FMD-00026")
	}
}

func TestAccessList_ThatBlocksIsStrongerThanAGrant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.True(t, b.may(models.ActionSend, alice))
	b.ok(owner, "PUT", lists+"/barred", `{"name":"Barred"}`)
	b.ok(owner, "PUT", lists+"/barred/resource-connections/"+svc, `{"effect":"block","send":true}`)
	b.call(owner, "POST", lists+"/barred/members", `{"data":["310000027"]}`, "If-Match", "*").is(http.StatusNoContent, "")
	require.False(t, b.may(models.ActionSend, alice))
	var d contract.Decision
	b.call(alice, "GET", "/resource/"+svc+"/decision?action=send&from=310000027", "").is(http.StatusOK, "").json(&d)
	require.Len(t, d.Because, 2)
	require.Equal(t, "barred", *d.Because[1].AccessList)
}

func TestAccessLists_AreListedInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var numbers []string
	for i := range 25 {
		b.ok(owner, "PUT", fmt.Sprintf("%s/list-%02d", lists, i), `{"name":"n"}`)
		numbers = append(numbers, `"`+number(i)+`"`)
	}
	b.call(owner, "PUT", lists+"/list-00/members", `{"data":[`+strings.Join(numbers, ",")+`]}`, "If-Match", "*").is(http.StatusNoContent, "")
	count := func(path string) (n int) {
		for next := path + "?limit=10"; next != ""; {
			var page struct {
				Data  []any
				Links struct{ Next string }
			}
			b.call(owner, "GET", next, "").is(http.StatusOK, "").json(&page)
			n += len(page.Data)
			next = page.Links.Next
		}
		return n
	}
	require.Equal(t, 25, count(lists))
	require.Equal(t, 25, count(lists+"/list-00/members"))
}

func TestAccessList_RefusesWhatItCannotHold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ok(owner, "PUT", lists+"/partners", `{"name":"Partners"}`)
	many := strings.TrimSuffix(strings.Repeat(`"310000051",`, maxMembers+1), ",")
	for _, c := range []struct{ method, path, body, field string }{
		{"PUT", "/UPPER", `{"name":"n"}`, "identifier"},
		{"PUT", "/-x", `{"name":"n"}`, "identifier"},
		{"PUT", "/" + strings.Repeat("a", 101), `{"name":"n"}`, "identifier"},
		{"PUT", "/x", `{}`, "name"},
		{"PUT", "/x", `{"name":"n","owner":"y"}`, "owner"},
		{"PUT", "/x", `{"name":"\u0000"}`, "name"},
		{"POST", "/partners/members", `{}`, "data"},
		{"POST", "/partners/members", `{"data":[` + many + `]}`, "data"},
		{"POST", "/partners/members", `{"data":["310000051","310000052"]}`, "data[1]"},
		{"POST", "/partners/members", `{"data":["310000051"],"validFrom":"x"}`, "validFrom"},
		{"PUT", "/partners/resource-connections/" + svc, `{}`, "send, receive"},
		{"PUT", "/partners/resource-connections/a:b", `{"send":true}`, "resourceId"},
	} {
		var match []string
		if strings.HasSuffix(c.path, "/members") {
			match = []string{"If-Match", "*"}
		}
		a := b.call(owner, c.method, lists+c.path, c.body, match...).is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.problem().Errors, c.field, c.path)
	}
	b.call(owner, "PUT", lists+"/partners/resource-connections/unknown", `{"send":true}`).is(http.StatusBadRequest, "BRO-00025")
	b.call(owner, "GET", "/resourceregistry/api/v1/access-lists/x", "").is(http.StatusBadRequest, "FMD-00001")
	b.call(mallory, "PUT", "/resourceregistry/api/v1/access-lists/310000051/mine", `{"name":"n"}`).is(http.StatusBadRequest, "BRO-00024")
}
