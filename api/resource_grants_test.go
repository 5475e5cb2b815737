package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

const grants = "/resource/" + svc + "/grants"

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
	b := setup(t)
	path := grants + "/" + mallory.Number()
	body := `{"send":true,"receive":true,"replyOnly":true,"acceptsReplies":true,"validFrom":"2026-01-01T01:00:00+01:00","validTo":"2099-01-01T00:00:00.1234567Z","supplier":"310000043","note":"agreement 7"}`
	made := b.call(owner, "PUT", path, body).is(http.StatusCreated, "")
	var g contract.Grant
	made.json(&g)
	require.Equal(t, made.Header.Get("ETag"), g.Etag)
	require.Equal(t, string(mallory), g.Organization)
	require.Equal(t, contract.GrantEffectAllow, g.Effect)
	require.True(t, g.Send && g.Receive && g.ReplyOnly && g.AcceptsReplies)
	require.Equal(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), *g.ValidFrom)
	require.Equal(t, 123456000, g.ValidTo.Nanosecond(), "in the precision that is stored")
	require.Equal(t, string(carol), *g.Supplier)
	for _, spelling := range []string{mallory.Number(), string(mallory), mallory.URN()} {
		var again contract.Grant
		b.call(owner, "GET", grants+"/"+spelling, "").is(http.StatusOK, "").json(&again)
		require.Equal(t, g, again)
	}
	b.call(owner, "PUT", path, `{"effect":"block","send":true}`, "If-Match", g.Etag).is(http.StatusOK, "").json(&g)
	require.Equal(t, contract.GrantEffectBlock, g.Effect)
	require.False(t, g.Receive || g.ReplyOnly)
	require.Nil(t, g.ValidFrom)
	require.Nil(t, g.Supplier)
}

func TestGrant_ThatMeansNothingIsRefusedByField(t *testing.T) {
	t.Parallel()
	b := setup(t)
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
		a := b.call(owner, "PUT", grants+"/310000051", body).is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.problem().Errors, field, body)
	}
	for _, organization := range []string{"310000052", "0192:310000052", "12", "x", "0192:31000005x"} {
		a := b.call(owner, "PUT", grants+"/"+organization, `{"send":true}`).is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.problem().Errors, "organization", organization)
	}
	b.call(owner, "PUT", grants+"/9908:310000051", `{"send":true}`).is(http.StatusCreated, "")
	b.call(owner, "PUT", grants+"/0007:310000052", `{"send":true}`).is(http.StatusCreated, "") // another register, another check
}

func TestGrant_IsChangedOnlyAsItWasRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := grants + "/" + mallory.Number()
	for header, value := range map[string]string{"If-Match": "*", "If-None-Match": `"1"`} {
		a := b.call(owner, "PUT", path, `{"send":true}`, header, value)
		require.Contains(t, []int{http.StatusPreconditionFailed, http.StatusBadRequest}, a.StatusCode, header)
	}
	first := b.call(owner, "PUT", path, `{"send":true}`, "If-None-Match", "*").is(http.StatusCreated, "").Header.Get("ETag")
	b.call(owner, "PUT", path, `{"send":true}`, "If-None-Match", "*").is(http.StatusPreconditionFailed, "FMD-00025")
	b.call(owner, "PUT", path, `{"receive":true}`).is(http.StatusPreconditionRequired, "FMD-00024")
	b.call(owner, "DELETE", path, "").is(http.StatusPreconditionRequired, "FMD-00024")
	second := b.call(owner, "PUT", path, `{"receive":true}`, "If-Match", first).is(http.StatusOK, "").Header.Get("ETag")
	b.call(owner, "PUT", path, `{"send":true}`, "If-Match", first).is(http.StatusPreconditionFailed, "FMD-00025")
	b.call(owner, "DELETE", path, "", "If-Match", first).is(http.StatusPreconditionFailed, "FMD-00025")
	b.call(owner, "DELETE", path, "", "If-Match", second).is(http.StatusNoContent, "")
	b.call(owner, "DELETE", path, "", "If-Match", "*").is(http.StatusPreconditionFailed, "FMD-00025")
	b.call(owner, "DELETE", path, "").is(http.StatusNotFound, "FMD-00026")
	b.call(owner, "GET", path, "").is(http.StatusNotFound, "FMD-00026")
	third := b.call(owner, "PUT", path, `{"send":true}`).is(http.StatusCreated, "").Header.Get("ETag")
	require.NotContains(t, []string{first, second}, third, "a version never comes back")
	for _, bad := range []string{"", "x", `W/"1"`, `"x"`, `"0"`, `"-1"`, `"1", "2"`, `"99999999999999999999"`, `"1`, "1"} {
		a := b.call(owner, "PUT", path, `{"send":true}`, "If-Match", bad)
		require.Equal(t, http.StatusBadRequest, a.StatusCode, bad)
		require.Contains(t, a.problem().Errors, "If-Match", bad)
	}
}

func TestGrants_AreListedInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var rows []string
	for i := range 120 {
		rows = append(rows, fmt.Sprintf(`{"organization":%q,"receive":true}`, number(i)))
	}
	b.call(owner, "POST", grants+"/batch", `{"rows":[`+strings.Join(rows, ",")+`]}`).is(http.StatusOK, "")
	seen := map[string]bool{}
	next, pages := grants+"?limit=50", 0
	for next != "" {
		a := b.call(owner, "GET", next, "").is(http.StatusOK, "")
		var page contract.GrantList
		a.json(&page)
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
		a := b.call(owner, "GET", grants+"?"+query, "").is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.problem().Errors, field)
	}
}

func TestBatch_AnswersForEachRow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var bobs contract.Grant
	b.call(owner, "GET", grants+"/"+bob.Number(), "").is(http.StatusOK, "").json(&bobs)
	rows := `"rows":[{"organization":"310000051","send":true},{"organization":"310000027","receive":true},` +
		`{"organization":"310000035","delete":true,"ifMatch":` + toJSON(t, bobs.Etag) + `},{"organization":"310000078","delete":true},{"organization":"310000086"},` +
		`{"organization":"310000043","receive":true,"ifMatch":"*"}]`
	statuses := func(body string) (out []string, applied int) {
		var r contract.GrantBatchResult
		b.call(owner, "POST", grants+"/batch", body).is(http.StatusOK, "").json(&r)
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
	b.call(owner, "GET", grants+"/310000051", "").is(http.StatusNotFound, "")
	some, applied := statuses(`{"allOrNothing":false,` + rows + "}")
	require.Equal(t, 3, applied)
	require.Equal(t, []string{"created", "refused FMD-00024", "deleted", "refused FMD-00026", "refused FMD-00001", "changed"}, some)
	b.call(owner, "GET", grants+"/310000035", "").is(http.StatusNotFound, "")
}

func TestBatch_NamesRowsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.call(owner, "POST", grants+"/batch", `{"rows":[{"organization":"310000051","send":true},{"organization":"x"},{"organization":"0192:310000051","send":true},{"organization":"310000078","send":true,"ifMatch":"7"}]}`)
	errors := a.is(http.StatusBadRequest, "FMD-00001").problem().Errors
	for _, field := range []string{"rows[1].organization", "rows[2].organization", "rows[3].ifMatch"} {
		require.Contains(t, errors, field)
	}
	require.Len(t, errors, 3)
	var r contract.GrantBatchResult
	b.call(owner, "POST", grants+"/batch", `{"allOrNothing":false,"rows":[{"organization":"310000051","send":true},{"organization":"x"},{"organization":"0192:310000051","send":true},{"organization":"310000078","send":true,"validTo":"soon"}]}`).
		is(http.StatusOK, "").json(&r)
	require.Equal(t, 1, r.Applied, "one that cannot be read refuses no other")
	require.Equal(t, contract.GrantRowResultStatusCreated, r.Results[0].Status)
	for i, field := range map[int]string{1: "organization", 2: "organization", 3: "validTo"} {
		require.Equal(t, contract.GrantRowResultStatusRefused, r.Results[i].Status)
		require.Contains(t, r.Results[i].Errors, field)
	}
	require.Equal(t, "x", r.Results[1].Organization)
	var many []string
	for range maxGrantRows + 1 {
		many = append(many, `{"organization":"310000051","send":true}`)
	}
	for _, body := range []string{`{"rows":[]}`, `{}`, `{"rows":[` + strings.Join(many, ",") + `]}`} {
		require.Contains(t, b.call(owner, "POST", grants+"/batch", body).is(http.StatusBadRequest, "FMD-00001").problem().Errors, "rows")
	}
}

func TestService_IsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ok(bob, "POST", "/serviceowner", `{"name":"Bob"}`)
	b.ok(bob, "PUT", "/resource/bobs", `{}`)
	lists := func(p models.Party) string { return "/resourceregistry/api/v1/access-lists/" + p.Number() }
	b.ok(owner, "PUT", lists(owner)+"/partners", `{"name":"Partners"}`)
	b.ok(bob, "PUT", lists(bob)+"/friends", `{"name":"Friends"}`)
	var request contract.AccessRequest
	b.call(mallory, "POST", "/resource/"+svc+"/access-requests", `{"send":true}`).is(http.StatusCreated, "").json(&request)
	for _, c := range []struct{ method, path, body string }{
		{"GET", grants, ""},
		{"GET", grants + "/" + alice.Number(), ""},
		{"PUT", grants + "/" + bob.Number(), `{"send":true}`},
		{"DELETE", grants + "/" + alice.Number(), ""},
		{"POST", grants + "/batch", `{"rows":[{"organization":"310000035","send":true}]}`},
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
		b.call(bob, c.method, c.path, c.body, "If-Match", "*").is(http.StatusUnauthorized, "BRO-00006")
	}
	b.call(bob, "PUT", lists(bob)+"/partners/resource-connections/bobs", `{"send":true}`).is(http.StatusNotFound, "FMD-00026")
	b.call(bob, "GET", "/access-requests/"+request.ID.String(), "").is(http.StatusNotFound, "FMD-00026")
	b.call(bob, "POST", "/access-requests/"+request.ID.String()+"/approve", `{}`, "If-Match", "*").is(http.StatusNotFound, "FMD-00026")
	b.call(owner, "PUT", "/resource/"+svc, `{"owner":"0192:310000035","version":99,"created":"2000-01-01T00:00:00Z","resourceId":"bobs"}`).is(http.StatusNoContent, "")
	var r contract.Resource
	b.call(owner, "GET", "/resource/"+svc, "").is(http.StatusOK, "").json(&r)
	require.Equal(t, string(owner), r.Owner)
	require.Equal(t, svc, r.ResourceID)
	require.NotEqual(t, 2000, r.Created.Year())
}
