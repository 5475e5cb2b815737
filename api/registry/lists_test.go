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

const lists = "/resourceregistry/api/v1/access-lists/310000019"

func TestAccessList_GivesItsMembersRightsAtOnce(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	made := b.Call(owner, "PUT", lists+"/partners", `{"name":"Partners","description":"who signed"}`).Is(http.StatusCreated, "")
	etag := made.Header.Get("ETag")
	b.Call(owner, "PUT", lists+"/partners/resource-connections/"+svc, `{"send":true}`).Is(http.StatusCreated, "")
	require.False(t, b.May(models.ActionSend, mallory))
	b.Call(owner, "POST", lists+"/partners/members", `{"data":["310000051"]}`).Is(http.StatusPreconditionRequired, "FMD-00024")
	changed := b.Call(owner, "POST", lists+"/partners/members", `{"data":["urn:altinn:organization:identifier-no:310000051","0192:310000078"]}`, "If-Match", etag).Is(http.StatusNoContent, "").Header.Get("ETag")
	require.NotEqual(t, etag, changed)
	require.True(t, b.May(models.ActionSend, mallory))
	b.Call(owner, "POST", lists+"/partners/members", `{"data":["310000086"]}`, "If-Match", etag).Is(http.StatusPreconditionFailed, "FMD-00025")

	b.Call(owner, "POST", lists+"/partners/members", `{"data":["310000051"],"validTo":"2020-01-01T00:00:00Z"}`, "If-Match", "*").Is(http.StatusNoContent, "")
	require.False(t, b.May(models.ActionSend, mallory), "the membership has ended")
	b.Call(owner, "PUT", lists+"/partners/members", `{"data":["310000051"]}`, "If-Match", "*").Is(http.StatusNoContent, "")
	require.True(t, b.May(models.ActionSend, mallory))
	var page contract.MemberPage
	b.Call(owner, "GET", lists+"/partners/members", "").Is(http.StatusOK, "").JSON(&page)
	require.Len(t, page.Data, 1, "who is not in a PUT is no member any more")
	require.Equal(t, map[string]string{"urn:altinn:organization:identifier-no": "310000051"}, page.Data[0].Identifiers)
	b.Call(owner, "DELETE", lists+"/partners/members", `{"data":["310000051","310000094"]}`, "If-Match", "*").Is(http.StatusNoContent, "")
	require.False(t, b.May(models.ActionSend, mallory))
}

func TestAccessList_TakesRightsWithItWhenItGoes(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.OK(owner, "PUT", lists+"/partners", `{"name":"Partners"}`)
	b.Call(owner, "PUT", lists+"/partners/members", `{"data":["310000051"]}`, "If-Match", "*").Is(http.StatusNoContent, "")
	connection := lists + "/partners/resource-connections/" + svc
	var n contract.Connection
	b.Call(owner, "PUT", connection, `{"receive":true,"validFrom":"2020-01-01T00:00:00Z"}`).Is(http.StatusCreated, "").JSON(&n)
	require.Equal(t, svc, n.ResourceIdentifier)
	require.True(t, b.May(models.ActionReceive, mallory))
	b.Call(owner, "PUT", connection, `{"send":true}`).Is(http.StatusPreconditionRequired, "FMD-00024")
	b.Call(owner, "PUT", connection, `{"send":true}`, "If-Match", n.Etag).Is(http.StatusOK, "").JSON(&n)
	require.False(t, b.May(models.ActionReceive, mallory))
	b.Call(owner, "DELETE", connection, "", "If-Match", n.Etag).Is(http.StatusNoContent, "")
	require.False(t, b.May(models.ActionSend, mallory))
	b.Call(owner, "GET", connection, "").Is(http.StatusNotFound, "FMD-00026")
	b.OK(owner, "PUT", connection, `{"send":true}`)
	require.True(t, b.May(models.ActionSend, mallory))
	b.Call(owner, "DELETE", lists+"/partners", "", "If-Match", "*").Is(http.StatusNoContent, "")
	require.False(t, b.May(models.ActionSend, mallory))
	for _, path := range []string{"", "/members", "/resource-connections"} {
		b.Call(owner, "GET", lists+"/partners"+path, "").Is(http.StatusNotFound, "FMD-00026")
	}
}

func TestAccessList_ThatBlocksIsStrongerThanAGrant(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	require.True(t, b.May(models.ActionSend, alice))
	b.OK(owner, "PUT", lists+"/barred", `{"name":"Barred"}`)
	b.OK(owner, "PUT", lists+"/barred/resource-connections/"+svc, `{"effect":"block","send":true}`)
	b.Call(owner, "POST", lists+"/barred/members", `{"data":["310000027"]}`, "If-Match", "*").Is(http.StatusNoContent, "")
	require.False(t, b.May(models.ActionSend, alice))
	var d contract.Decision
	b.Call(alice, "GET", "/resource/"+svc+"/decision?action=send&from=310000027", "").Is(http.StatusOK, "").JSON(&d)
	require.Len(t, d.Because, 2)
	require.Equal(t, "barred", *d.Because[1].AccessList)
}

func TestAccessLists_AreListedInPages(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	var numbers []string
	for i := range 25 {
		b.OK(owner, "PUT", fmt.Sprintf("%s/list-%02d", lists, i), `{"name":"n"}`)
		numbers = append(numbers, `"`+number(i)+`"`)
	}
	b.Call(owner, "PUT", lists+"/list-00/members", `{"data":[`+strings.Join(numbers, ",")+`]}`, "If-Match", "*").Is(http.StatusNoContent, "")
	count := func(path string) (n int) {
		for next := path + "?limit=10"; next != ""; {
			var page struct {
				Data  []any
				Links struct{ Next string }
			}
			b.Call(owner, "GET", next, "").Is(http.StatusOK, "").JSON(&page)
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
	b := apitest.Setup(t)
	b.OK(owner, "PUT", lists+"/partners", `{"name":"Partners"}`)
	many := strings.TrimSuffix(strings.Repeat(`"310000051",`, registry.MaxMembers+1), ",")
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
		a := b.Call(owner, c.method, lists+c.path, c.body, match...).Is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.Problem().Errors, c.field, c.path)
	}
	b.Call(owner, "PUT", lists+"/partners/resource-connections/unknown", `{"send":true}`).Is(http.StatusBadRequest, "BRO-00025")
	b.Call(owner, "GET", "/resourceregistry/api/v1/access-lists/x", "").Is(http.StatusBadRequest, "FMD-00001")
	b.Call(mallory, "PUT", "/resourceregistry/api/v1/access-lists/310000051/mine", `{"name":"n"}`).Is(http.StatusBadRequest, "BRO-00024")
}
