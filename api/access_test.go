package api_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// promise is what openapi.yaml says of who may call an operation, read without the generator.
type promise struct {
	method, path                string
	public                      bool
	scopes                      []string // nil with a credential: any
	certificateOnly, noSupplier bool
	anyAccept, lateToken        bool
}

func (p promise) route() string {
	return p.method + " " + regexp.MustCompile(`\{(\w+)\}`).ReplaceAllString(p.path, ":$1")
}

func (p promise) admits(scope string) bool {
	return len(p.scopes) == 0 || slices.Contains(p.scopes, scope)
}

func promises(t *testing.T) []promise {
	t.Helper()
	var out []promise
	for path, item := range apitest.Document(t).Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			p := promise{method: strings.ToUpper(method), path: path, public: op.Security != nil && len(op.Security) == 0}
			for _, requirement := range op.Security {
				p.scopes = append(p.scopes, requirement.Requirements.GetOrZero("bearer")...)
			}
			is := func(name string) bool { _, there := op.Extensions.Get(name); return there }
			p.certificateOnly, p.noSupplier = is("x-certificate-only"), is("x-no-supplier")
			p.lateToken, p.anyAccept = is("x-late-token"), is("x-any-accept")
			out = append(out, p)
		}
	}
	require.Greater(t, len(out), 90)
	return out
}

func TestAccess_IsWhatTheContractSaysOfEachRoute(t *testing.T) {
	t.Parallel()
	rules := contract.Rules()
	for _, p := range promises(t) {
		rule, known := rules[p.route()]
		require.True(t, known, p.route())
		require.Equal(t, p.public, rule.Public, p.route())
		require.Equal(t, p.scopes, rule.Scopes, p.route())
		require.Equal(t, !p.public && len(p.scopes) == 0, rule.AnyScope, p.route())
		require.Equal(t, p.certificateOnly, rule.CertificateOnly, p.route())
		require.Equal(t, p.noSupplier, rule.NoSupplier, p.route())
		require.Equal(t, p.lateToken, rule.LateToken, p.route())
		require.Equal(t, p.anyAccept, rule.AnyAccept, p.route())
		delete(rules, p.route())
	}
	require.Empty(t, rules, "rules of what is no operation")
}

// pages are what the server shows to people beside its operations.
var pages = []string{"GET /", "HEAD /", "GET /docs", "HEAD /docs", "GET /docs/*asset", "HEAD /docs/*asset"}

func TestAccess_EveryRouteOfTheServerHasARule(t *testing.T) {
	t.Parallel()
	r, err := api.New(api.Ports{}, api.Settings{}).Routes()
	require.NoError(t, err)
	var served []string
	for _, route := range r.Routes() {
		if key := route.Method + " " + route.Path; !slices.Contains(pages, key) {
			served = append(served, key)
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(contract.Rules())), served)
}

func TestAccess_ARouteWithoutARuleAnswersNobody(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	r, err := b.Server.Routes()
	require.NoError(t, err)
	r.GET("/forgotten", func(c *gin.Context) { c.Status(http.StatusOK) })
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/forgotten", nil)
	request.Header.Set(apitest.Impersonate, apitest.Certified(owner))
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request)
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Contains(t, w.Body.String(), models.ErrMissingScope.Code)
}

// values stand for the parameters of paths.
var values = map[string]string{
	"resourceId": svc, "owner": owner.Number(), "identifier": "any", "resourceIdentifier": svc, "organization": alice.Number(),
	"supplier": mallory.Number(), "clientId": "any", "subscriptionId": "1",
}

// code drives an operation as a caller and returns the code of the problem that it answers with; empty when it is none.
func code(b *apitest.Bundle, p promise, as string) string {
	b.T.Helper()
	path := regexp.MustCompile(`\{(\w+)\}`).ReplaceAllStringFunc(p.path, func(name string) string {
		if v := values[name[1:len(name)-1]]; v != "" {
			return v
		}
		return uuid.NewString()
	})
	r, err := http.NewRequestWithContext(b.T.Context(), p.method, b.URL+path, nil)
	require.NoError(b.T, err)
	r.Header.Set("Tus-Resumable", "1.0.0")
	if as != "" {
		r.Header.Set(apitest.Impersonate, as)
	}
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	require.NoError(b.T, err)
	defer func() { require.NoError(b.T, response.Body.Close()) }()
	raw, err := io.ReadAll(response.Body)
	require.NoError(b.T, err)
	var problem contract.Problem
	if json.Unmarshal(raw, &problem) != nil || p.method == http.MethodHead {
		problem.Code = map[int]string{http.StatusUnauthorized: models.ErrUnauthenticated.Code, http.StatusForbidden: models.ErrMissingScope.Code}[response.StatusCode]
	}
	return problem.Code
}

func TestAccess_EachScopeOpensExactlyWhatTheContractSays(t *testing.T) {
	t.Parallel()
	b, _ := apitest.SetupSubscriptions(t)
	for _, p := range promises(t) {
		if p.public {
			require.NotEqual(t, models.ErrUnauthenticated.Code, code(b, p, ""), p.route())
			continue
		}
		require.Equal(t, models.ErrUnauthenticated.Code, code(b, p, ""), p.route())
		for _, scope := range append(models.AllScopes(), "altinn:other", "") {
			code := code(b, p, apitest.Certified(mallory, func(c *models.Caller) { c.Scopes = []string{scope} }))
			if slices.Contains(models.AllScopes(), scope) && p.admits(scope) {
				require.NotEqual(t, models.ErrMissingScope.Code, code, "%s with %q", p.route(), scope)
			} else {
				require.Equal(t, models.ErrMissingScope.Code, code, "%s with %q", p.route(), scope)
			}
		}
	}
}

// A scope for events alone, which a system gets that only listens, must not show anything else.
func TestAccess_EventsScopeOpensTheFeedAndSubscriptionsOnly(t *testing.T) {
	t.Parallel()
	for _, p := range promises(t) {
		if slices.Contains(p.scopes, models.ScopeEvents) {
			require.True(t, p.path == "/events/api/v1/events" || strings.HasPrefix(p.path, "/events/api/v1/subscriptions"), p.path)
		}
	}
}

func TestAccess_SuppliersAndLesserCredentialsAreRefusedWhereTheContractSays(t *testing.T) {
	t.Parallel()
	b, _ := apitest.SetupSubscriptions(t)
	for _, p := range promises(t) {
		if p.public {
			continue
		}
		supplied := code(b, p, apitest.Certified(mallory, apitest.Through(bob)))
		token := code(b, p, apitest.Certified(mallory, apitest.ByToken))
		if p.method == http.MethodHead { // it has no body that tells one refusal from another
			continue
		}
		require.Equal(t, p.noSupplier, supplied == models.ErrNotForSuppliers.Code, "%s: %s", p.route(), supplied)
		require.Equal(t, p.certificateOnly, token == models.ErrOwnCertificate.Code, "%s: %s", p.route(), token)
	}
}

func TestOwnAudit_IsReadWithAnyScopeOfTheContract(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for _, scope := range []string{models.ScopeRead, models.ScopeWrite, models.ScopeServiceOwner} {
		b.Call("", "GET", "/identity/api/v1/audit", "", "Authorization", "Bearer "+b.Token(alice, scope)).Is(http.StatusOK, "")
	}
	b.Call("", "GET", "/identity/api/v1/audit", "", "Authorization", "Bearer "+b.Token(alice, models.ScopeEvents)).Is(http.StatusForbidden, "FMD-00009")
}
