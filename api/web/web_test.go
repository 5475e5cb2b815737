package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func answerOf(t *testing.T, err error) (int, contract.Problem) {
	t.Helper()
	w := httptest.NewRecorder()
	c, _ := gin.CreateTestContext(w)
	c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	Problem(c, err)
	var p contract.Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	return w.Code, p
}

func TestProblem_GivesEachKindItsStatus(t *testing.T) {
	t.Parallel()
	for kind := models.KindInternal; kind <= models.KindVersion; kind++ {
		want, known := statuses[kind]
		require.True(t, known, "kind %d has no status", kind)
		status, p := answerOf(t, &models.Error{Kind: kind, Code: "FMD-00000", Message: "m"})
		require.Equal(t, want.status, status, kind)
		require.Equal(t, want.status, p.Status)
		require.Equal(t, "https://www.rfc-editor.org/rfc/rfc9110#"+want.section, p.Type)
		require.NotEmpty(t, p.Title)
	}
}

func TestProblem_KeepsWhatAnUnknownErrorSays(t *testing.T) {
	t.Parallel()
	status, p := answerOf(t, errors.New("a secret path"))
	require.Equal(t, http.StatusInternalServerError, status)
	require.Equal(t, models.ErrInternal.Code, p.Code)
	require.Equal(t, models.ErrInternal.Message, p.Detail)
}

func TestAuthorize_AdmitsNobodyByTheZeroRule(t *testing.T) {
	t.Parallel()
	certified := models.Caller{Party: "0192:310000019", Scopes: models.AllScopes(), Credential: models.Credential{Method: models.LoginCertificate}}
	require.ErrorIs(t, Authorize(contract.RuleOf("GET /forgotten"), certified), models.ErrMissingScope)
	require.ErrorIs(t, Authorize(contract.Rule{Operation: "X", Scopes: []string{}}, certified), models.ErrMissingScope)
	require.NoError(t, Authorize(contract.Rule{AnyScope: true}, certified))
	certified.Scopes = []string{"altinn:other"}
	require.ErrorIs(t, Authorize(contract.Rule{AnyScope: true}, certified), models.ErrMissingScope, "every scope is one of ours")
}

func TestCondition_TakesOneTagOfOursOrAny(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	got, err := Condition(text(` "17" `), nil)
	require.NoError(t, err)
	require.Equal(t, models.Condition{Version: 17}, got)
	got, err = Condition(text("*"), nil)
	require.NoError(t, err)
	require.Equal(t, models.Condition{Exists: true}, got)
	got, err = Condition(nil, text("*"))
	require.NoError(t, err)
	require.Equal(t, models.Condition{Absent: true}, got)
	for _, bad := range []string{"", "17", `W/"17"`, `"0"`, `"x"`, `"1", "2"`} {
		_, err = Condition(text(bad), nil)
		require.ErrorContains(t, err, "FMD-00001", bad)
	}
	_, err = Condition(nil, text(`"17"`))
	require.ErrorContains(t, err, "FMD-00001", "none but * makes sense")
	require.Equal(t, `"17"`, Tag(17))
}

func TestPageOf_ReadsWhatCutWrote(t *testing.T) {
	t.Parallel()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/list?limit=2&x=y", nil)
	limit := 2
	p, err := PageOf(nil, &limit)
	require.NoError(t, err)
	rows, next := Cut(c, []string{"a", "b", "c"}, p, func(s string) string { return s })
	require.Equal(t, []string{"a", "b"}, rows)
	again := httptest.NewRequestWithContext(t.Context(), http.MethodGet, next, nil).URL.Query()
	require.Equal(t, "y", again.Get("x"))
	cursor := again.Get("cursor")
	p, err = PageOf(&cursor, &limit)
	require.NoError(t, err)
	require.Equal(t, Page{After: "b", Limit: 2}, p)
	rows, next = Cut(c, []string{"c"}, p, func(s string) string { return s })
	require.Equal(t, []string{"c"}, rows)
	require.Empty(t, next, "it is the last one")
}
