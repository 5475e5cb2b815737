package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/registry"
	"github.com/formidling/formidling/models"
)

// number makes an organisation number with a right check digit.
func number(i int) string {
	for n := 310100000 + 100*i; ; n++ {
		if s := fmt.Sprint(n); models.ValidNorwegianNumber(s) {
			return s
		}
	}
}

func TestGrant_IsWhatWasPut(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	path := apitest.Grants + "/" + mallory.Number()
	body := `{"send":true,"receive":true,"replyOnly":true,"acceptsReplies":true,"validFrom":"2026-01-01T01:00:00+01:00","validTo":"2099-01-01T00:00:00.1234567Z","supplier":"310000043","note":"agreement 7"}`
	made := b.Call(owner, "PUT", path, body).Is(http.StatusCreated, "")
	var g contract.Grant
	made.JSON(&g)
	require.Equal(t, made.Header.Get("ETag"), g.Etag)
	require.Equal(t, string(mallory), g.Organization)
	require.Equal(t, contract.GrantEffectAllow, g.Effect)
	require.True(t, g.Send && g.Receive && g.ReplyOnly && g.AcceptsReplies)
	require.Equal(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), *g.ValidFrom)
	require.Equal(t, 123456000, g.ValidTo.Nanosecond(), "in the precision that is stored")
	require.Equal(t, string(carol), *g.Supplier)
	for _, spelling := range []string{mallory.Number(), string(mallory), mallory.URN()} {
		var again contract.Grant
		b.Call(owner, "GET", apitest.Grants+"/"+spelling, "").Is(http.StatusOK, "").JSON(&again)
		require.Equal(t, g, again)
	}
	b.Call(owner, "PUT", path, `{"effect":"block","send":true}`, "If-Match", g.Etag).Is(http.StatusOK, "").JSON(&g)
	require.Equal(t, contract.GrantEffectBlock, g.Effect)
	require.False(t, g.Receive || g.ReplyOnly)
	require.Nil(t, g.ValidFrom)
	require.Nil(t, g.Supplier)
}

func TestGrant_ThatMeansNothingIsRefusedByField(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for body, field := range map[string]string{
		`{}`:                                              "send, receive",
		`{"send":false,"receive":false}`:                  "send, receive",
		`{"receive":true,"replyOnly":true}`:               "replyOnly",
		`{"send":true,"acceptsReplies":true}`:             "acceptsReplies",
		`{"effect":"forbid","send":true}`:                 "effect",
		`{"effect":"block","send":true,"replyOnly":true}`: "effect",
		`{"send":true,"validFrom":"tomorrow"}`:            "validFrom",
		`{"send":true,"validFrom":"2027-01-01T00:00:00Z","validTo":"2027-01-01T00:00:00Z"}`: "validTo",
		`{"send":true,"validTo":"0001-01-01T00:00:00Z"}`:                                    "validFrom, validTo",
		`{"send":true,"supplier":"x"}`:                                                      "supplier",
		`{"send":true,"supplier":"310000052"}`:                                              "supplier",
		`{"send":true,"supplier":"310000051"}`:                                              "supplier",
		`{"send":true,"note":"` + strings.Repeat("x", 1001) + `"}`:                          "note",
		`{"send":true,"owner":"0192:310000051"}`:                                            "owner",
		`{"send":true,"validTo":""}`:                                                        "validTo",
		`{"send":"yes"}`:                                                                    "send",
	} {
		a := b.Call(owner, "PUT", apitest.Grants+"/310000051", body).Is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.Problem().Errors, field, body)
	}
	for _, organization := range []string{"310000052", "0192:310000052", "12", "x", "0192:31000005x"} {
		a := b.Call(owner, "PUT", apitest.Grants+"/"+organization, `{"send":true}`).Is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.Problem().Errors, "organization", organization)
	}
	b.Call(owner, "PUT", apitest.Grants+"/9908:310000051", `{"send":true}`).Is(http.StatusCreated, "")
	b.Call(owner, "PUT", apitest.Grants+"/0007:310000052", `{"send":true}`).Is(http.StatusCreated, "") // another register, another check
}

func TestGrant_IsChangedOnlyAsItWasRead(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	path := apitest.Grants + "/" + mallory.Number()
	for header, value := range map[string]string{"If-Match": "*", "If-None-Match": `"1"`} {
		a := b.Call(owner, "PUT", path, `{"send":true}`, header, value)
		require.Contains(t, []int{http.StatusPreconditionFailed, http.StatusBadRequest}, a.StatusCode, header)
	}
	first := b.Call(owner, "PUT", path, `{"send":true}`, "If-None-Match", "*").Is(http.StatusCreated, "").Header.Get("ETag")
	b.Call(owner, "PUT", path, `{"send":true}`, "If-None-Match", "*").Is(http.StatusPreconditionFailed, "FMD-00025")
	b.Call(owner, "PUT", path, `{"receive":true}`).Is(http.StatusPreconditionRequired, "FMD-00024")
	b.Call(owner, "DELETE", path, "").Is(http.StatusPreconditionRequired, "FMD-00024")
	second := b.Call(owner, "PUT", path, `{"receive":true}`, "If-Match", first).Is(http.StatusOK, "").Header.Get("ETag")
	b.Call(owner, "PUT", path, `{"send":true}`, "If-Match", first).Is(http.StatusPreconditionFailed, "FMD-00025")
	b.Call(owner, "DELETE", path, "", "If-Match", first).Is(http.StatusPreconditionFailed, "FMD-00025")
	b.Call(owner, "DELETE", path, "", "If-Match", second).Is(http.StatusNoContent, "")
	b.Call(owner, "DELETE", path, "", "If-Match", "*").Is(http.StatusPreconditionFailed, "FMD-00025")
	b.Call(owner, "DELETE", path, "").Is(http.StatusNotFound, "FMD-00026")
	b.Call(owner, "GET", path, "").Is(http.StatusNotFound, "FMD-00026")
	third := b.Call(owner, "PUT", path, `{"send":true}`).Is(http.StatusCreated, "").Header.Get("ETag")
	require.NotContains(t, []string{first, second}, third, "a version never comes back")
	for _, bad := range []string{"", "x", `W/"1"`, `"x"`, `"0"`, `"-1"`, `"1", "2"`, `"99999999999999999999"`, `"1`, "1"} {
		a := b.Call(owner, "PUT", path, `{"send":true}`, "If-Match", bad)
		require.Equal(t, http.StatusBadRequest, a.StatusCode, bad)
		require.Contains(t, a.Problem().Errors, "If-Match", bad)
	}
}

func TestGrants_AreListedInPages(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	var rows []string
	for i := range 120 {
		rows = append(rows, fmt.Sprintf(`{"organization":%q,"receive":true}`, number(i)))
	}
	b.Call(owner, "POST", apitest.Grants+"/batch", `{"rows":[`+strings.Join(rows, ",")+`]}`).Is(http.StatusOK, "")
	seen := map[string]bool{}
	next, pages := apitest.Grants+"?limit=50", 0
	for next != "" {
		a := b.Call(owner, "GET", next, "").Is(http.StatusOK, "")
		var page contract.GrantList
		a.JSON(&page)
		for _, g := range page.Grants {
			require.False(t, seen[g.Organization])
			seen[g.Organization] = true
		}
		pages++
		link := a.Header.Get("Link")
		next = strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`), base)
	}
	require.Len(t, seen, 123)
	require.Equal(t, 3, pages)
	for query, field := range map[string]string{"limit=0": "limit", "limit=1001": "limit", "limit=-1": "limit", "cursor=%21": "cursor", "cursor=AA": "cursor"} {
		a := b.Call(owner, "GET", apitest.Grants+"?"+query, "").Is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.Problem().Errors, field)
	}
}

func TestBatch_AnswersForEachRow(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	var bobs contract.Grant
	b.Call(owner, "GET", apitest.Grants+"/"+bob.Number(), "").Is(http.StatusOK, "").JSON(&bobs)
	rows := `"rows":[{"organization":"310000051","send":true},{"organization":"310000027","receive":true},` +
		`{"organization":"310000035","delete":true,"ifMatch":` + apitest.ToJSON(t, bobs.Etag) + `},{"organization":"310000078","delete":true},{"organization":"310000086"},` +
		`{"organization":"310000043","receive":true,"ifMatch":"*"}]`
	statuses := func(body string) (out []string, applied int) {
		var r contract.GrantBatchResult
		b.Call(owner, "POST", apitest.Grants+"/batch", body).Is(http.StatusOK, "").JSON(&r)
		for _, row := range r.Results {
			s := string(row.Status)
			if row.Code != nil {
				s += " " + *row.Code
			}
			require.Equal(t, row.Status == contract.GrantRowResultStatusCreated || row.Status == contract.GrantRowResultStatusChanged, row.Etag != nil)
			out = append(out, s)
		}
		return out, r.Applied
	}
	all, applied := statuses("{" + rows + "}")
	require.Zero(t, applied, "all or nothing, unless it is said otherwise")
	require.Equal(t, []string{"refused FMD-00036", "refused FMD-00024", "refused FMD-00036", "refused FMD-00026", "refused FMD-00001", "refused FMD-00036"}, all)
	b.Call(owner, "GET", apitest.Grants+"/310000051", "").Is(http.StatusNotFound, "")
	some, applied := statuses(`{"allOrNothing":false,` + rows + "}")
	require.Equal(t, 3, applied)
	require.Equal(t, []string{"created", "refused FMD-00024", "deleted", "refused FMD-00026", "refused FMD-00001", "changed"}, some)
	b.Call(owner, "GET", apitest.Grants+"/310000035", "").Is(http.StatusNotFound, "")
}

func TestBatch_NamesRowsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	a := b.Call(owner, "POST", apitest.Grants+"/batch", `{"rows":[{"organization":"310000051","send":true},{"organization":"x"},{"organization":"0192:310000051","send":true},{"organization":"310000078","send":true,"ifMatch":"7"}]}`)
	errors := a.Is(http.StatusBadRequest, "FMD-00001").Problem().Errors
	for _, field := range []string{"rows[1].organization", "rows[2].organization", "rows[3].ifMatch"} {
		require.Contains(t, errors, field)
	}
	require.Len(t, errors, 3)
	var r contract.GrantBatchResult
	b.Call(owner, "POST", apitest.Grants+"/batch", `{"allOrNothing":false,"rows":[{"organization":"310000051","send":true},{"organization":"x"},{"organization":"0192:310000051","send":true},{"organization":"310000078","send":true,"validTo":"soon"}]}`).
		Is(http.StatusOK, "").JSON(&r)
	require.Equal(t, 1, r.Applied, "one that cannot be read refuses no other")
	require.Equal(t, contract.GrantRowResultStatusCreated, r.Results[0].Status)
	for i, field := range map[int]string{1: "organization", 2: "organization", 3: "validTo"} {
		require.Equal(t, contract.GrantRowResultStatusRefused, r.Results[i].Status)
		require.Contains(t, r.Results[i].Errors, field)
	}
	require.Equal(t, "x", r.Results[1].Organization)
	var many []string
	for range registry.MaxGrantRows + 1 {
		many = append(many, `{"organization":"310000051","send":true}`)
	}
	for _, body := range []string{`{"rows":[]}`, `{}`, `{"rows":[` + strings.Join(many, ",") + `]}`} {
		require.Contains(t, b.Call(owner, "POST", apitest.Grants+"/batch", body).Is(http.StatusBadRequest, "FMD-00001").Problem().Errors, "rows")
	}
}

func TestService_IsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.OK(bob, "POST", "/serviceowner", `{"name":"Bob"}`)
	b.OK(bob, "PUT", "/resource/bobs", `{}`)
	lists := func(p models.Party) string { return "/resourceregistry/api/v1/access-lists/" + p.Number() }
	b.OK(owner, "PUT", lists(owner)+"/partners", `{"name":"Partners"}`)
	b.OK(bob, "PUT", lists(bob)+"/friends", `{"name":"Friends"}`)
	var request contract.AccessRequest
	b.Call(mallory, "POST", "/resource/"+svc+"/access-requests", `{"send":true}`).Is(http.StatusCreated, "").JSON(&request)
	for _, c := range []struct{ method, path, body string }{
		{"GET", apitest.Grants, ""},
		{"GET", apitest.Grants + "/" + alice.Number(), ""},
		{"PUT", apitest.Grants + "/" + bob.Number(), `{"send":true}`},
		{"DELETE", apitest.Grants + "/" + alice.Number(), ""},
		{"POST", apitest.Grants + "/batch", `{"rows":[{"organization":"310000035","send":true}]}`},
		{"GET", "/resource/" + svc, ""},
		{"PUT", "/resource/" + svc, `{"closed":true}`},
		{"DELETE", "/resource/" + svc, ""},
		{"GET", "/resource/" + svc + "/audit", ""},
		{"GET", "/resource/" + svc + "/access-requests", ""},
		{"GET", lists(owner), ""},
		{"GET", lists(owner) + "/partners", ""},
		{"PUT", lists(owner) + "/partners", `{"name":"Mine"}`},
		{"DELETE", lists(owner) + "/partners", ""},
		{"POST", lists(owner) + "/partners/members", `{"data":["310000035"]}`},
		{"PUT", lists(owner) + "/partners/resource-connections/bobs", `{"send":true}`},
		{"PUT", lists(bob) + "/friends/resource-connections/" + svc, `{"send":true}`},
		{"DELETE", lists(bob) + "/friends/resource-connections/" + svc, ""},
	} {
		b.Call(bob, c.method, c.path, c.body, "If-Match", "*").Is(http.StatusUnauthorized, "BRO-00006")
	}
	b.Call(bob, "PUT", lists(bob)+"/partners/resource-connections/bobs", `{"send":true}`).Is(http.StatusNotFound, "FMD-00026")
	b.Call(bob, "GET", "/access-requests/"+request.ID.String(), "").Is(http.StatusNotFound, "FMD-00026")
	b.Call(bob, "POST", "/access-requests/"+request.ID.String()+"/approve", `{}`, "If-Match", "*").Is(http.StatusNotFound, "FMD-00026")
	b.Call(owner, "PUT", "/resource/"+svc, `{"owner":"0192:310000035","version":99,"created":"2000-01-01T00:00:00Z","resourceId":"bobs"}`).Is(http.StatusNoContent, "")
	var r contract.Resource
	b.Call(owner, "GET", "/resource/"+svc, "").Is(http.StatusOK, "").JSON(&r)
	require.Equal(t, string(owner), r.Owner)
	require.Equal(t, svc, r.ResourceID)
	require.NotEqual(t, 2000, r.Created.Year())
}
