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
	"github.com/formidling/formidling/models"
)

func byKey(c *models.Caller) { c.Credential.Method = models.LoginKeyToken }

func other(c *models.Caller) { c.Credential.Thumbprint = apitest.Thumb("another") }

func TestMe_IsWhoTheCredentialSays(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	var me contract.Me
	b.Call(alice, "GET", apitest.IdentityPath+"/me", "", "X-Org", string(bob), "Client-Cert", ":YQ==:", "X-SSL-Client-S-DN", "CN=bob", "X-Forwarded-For", "1.2.3.4").Is(http.StatusOK, "").JSON(&me)
	require.Equal(t, string(alice), me.Organization)
	require.Equal(t, contract.MeCredentialMethod("external-token"), me.Credential.Method)
	b.Call("", "PUT", apitest.IdentityPath+"/delegations/"+mallory.Number(), `{"send":true}`, apitest.Impersonate, apitest.Certified(alice)).Is(http.StatusCreated, "")
	b.Call("", "GET", apitest.IdentityPath+"/me", "", apitest.Impersonate, apitest.Certified(alice, apitest.Through(mallory))).Is(http.StatusOK, "").JSON(&me)
	require.Equal(t, string(mallory), *me.Supplier)
	require.Equal(t, apitest.Thumb(string(alice)), *me.Credential.Thumbprint)
}

func TestLastingCredentials_TakeTheOrganisationsOwnCertificate(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for _, route := range []struct{ method, path string }{
		{"PUT", "/delegations/310000051"},
		{"DELETE", "/delegations/310000051"},
		{"PUT", "/credential-lock"},
		{"DELETE", "/credential-lock"},
		{"POST", "/clients"},
		{"PUT", "/clients/x"},
		{"DELETE", "/clients/x"},
	} {
		b.Call(alice, route.method, apitest.IdentityPath+route.path, "{}").Is(http.StatusForbidden, "FMD-00031")
		b.Call("", route.method, apitest.IdentityPath+route.path, "{}", apitest.Impersonate, apitest.Certified(alice, byKey)).Is(http.StatusForbidden, "FMD-00031")
		b.Call("", route.method, apitest.IdentityPath+route.path, "{}", apitest.Impersonate, apitest.Certified(alice, apitest.ByToken)).Is(http.StatusForbidden, "FMD-00031")
		b.Call("", route.method, apitest.IdentityPath+route.path, "{}", apitest.Impersonate, apitest.Certified(bob, apitest.Through(mallory))).Is(http.StatusForbidden, "FMD-00032")
	}
}

func TestDelegation_IsForOneServiceOrAll(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	as := []string{apitest.Impersonate, apitest.Certified(alice)}
	path := apitest.IdentityPath + "/delegations/" + mallory.Number()
	var d contract.Delegation
	b.Call("", "PUT", path, `{"send":true,"validTo":"2099-01-01T00:00:00Z"}`, as...).Is(http.StatusCreated, "").JSON(&d)
	require.Nil(t, d.Resource)
	b.Call("", "PUT", path+"?resource="+svc, `{"receive":true}`, as...).Is(http.StatusCreated, "").JSON(&d)
	require.Equal(t, svc, *d.Resource)
	b.Call("", "PUT", path, `{"receive":true}`, as...).Is(http.StatusPreconditionRequired, "FMD-00024")
	var list contract.DelegationList
	b.Call(alice, "GET", apitest.IdentityPath+"/delegations", "").Is(http.StatusOK, "").JSON(&list)
	require.Len(t, list.Delegations, 2)
	b.Call(mallory, "GET", apitest.IdentityPath+"/delegations", "").Is(http.StatusOK, "").JSON(&list)
	require.Empty(t, list.Delegations)
	b.Call(mallory, "GET", apitest.IdentityPath+"/delegations?as=supplier", "").Is(http.StatusOK, "").JSON(&list)
	require.Len(t, list.Delegations, 2)
	b.Call(alice, "GET", path+"?resource="+svc, "").Is(http.StatusOK, "").JSON(&d)
	require.True(t, d.Receive)
	b.Call("", "DELETE", path, "", append(as, "If-Match", "*")...).Is(http.StatusNoContent, "")
	b.Call(alice, "GET", path, "").Is(http.StatusNotFound, "FMD-00026")
	for given, field := range map[string]string{`{}`: "send, receive", `{"send":true,"validTo":"x"}`: "validTo", `{"send":true,"principal":"x"}`: "principal"} {
		require.Contains(t, b.Call("", "PUT", path, given, as...).Is(http.StatusBadRequest, "FMD-00001").Problem().Errors, field)
	}
	for _, bad := range []string{"x", "310000052", alice.Number()} {
		a := b.Call("", "PUT", apitest.IdentityPath+"/delegations/"+bad, `{"send":true}`, as...).Is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.Problem().Errors, "supplier", bad)
	}
	b.Call(alice, "GET", apitest.IdentityPath+"/delegations?as=x", "").Is(http.StatusBadRequest, "FMD-00001")
}

func TestCredentialLock_LetsOnlyItsOwnAct(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	path := apitest.IdentityPath + "/credential-lock"
	own, stranger := []string{apitest.Impersonate, apitest.Certified(alice)}, []string{apitest.Impersonate, apitest.Certified(alice, other)}
	b.Call("", "GET", path, "", own...).Is(http.StatusNotFound, "FMD-00026")
	lock := fmt.Sprintf(`{"certificates":[%q]}`, apitest.Thumb(string(alice)))
	b.Call("", "PUT", path, lock, stranger...).Is(http.StatusConflict, "FMD-00034")
	etag := b.Call("", "PUT", path, lock, own...).Is(http.StatusCreated, "").Header.Get("ETag")
	b.Call("", "GET", path, "", stranger...).Is(http.StatusUnauthorized, "FMD-00008")
	b.Call(alice, "GET", path, "").Is(http.StatusUnauthorized, "FMD-00008") // a token of an issuer that the lock does not name
	b.Call("", "GET", path, "", own...).Is(http.StatusOK, "")
	b.Call("", "DELETE", path, "", append(own, "If-Match", etag)...).Is(http.StatusNoContent, "")
	b.Call("", "GET", path, "", stranger...).Is(http.StatusNotFound, "FMD-00026")
	for given, field := range map[string]string{
		`{"certificates":["x"]}`: "certificates[0]", `{"keys":[""]}`: "keys[0]", `{"issuers":[""]}`: "issuers[0]", `{"certificate":[]}`: "certificate",
		`{"issuers":[` + strings.TrimSuffix(strings.Repeat(`"i",`, 51), ",") + `]}`: "issuers",
	} {
		require.Contains(t, b.Call("", "PUT", path, given, own...).Is(http.StatusBadRequest, "FMD-00001").Problem().Errors, field)
	}
}

const publicKey = `{"kty":"EC","crv":"P-256","kid":"k1","use":"sig","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`

func TestClient_IsTheOrganisationsOwn(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	as := []string{apitest.Impersonate, apitest.Certified(alice)}
	body := `{"name":"nightly","jwks":{"keys":[` + publicKey + `]}}`
	var c contract.Client
	made := b.Call("", "POST", apitest.IdentityPath+"/clients", body, append(as, "Idempotency-Key", "k")...).Is(http.StatusCreated, "")
	made.JSON(&c)
	require.WithinDuration(t, time.Now().Add(models.MaxClientLife), c.Expires, time.Minute)
	var again contract.Client
	b.Call("", "POST", apitest.IdentityPath+"/clients", body, append(as, "Idempotency-Key", "k")...).Is(http.StatusCreated, "").JSON(&again)
	require.Equal(t, c.ClientID, again.ClientID)
	b.Call("", "POST", apitest.IdentityPath+"/clients", strings.Replace(body, "nightly", "daily", 1), append(as, "Idempotency-Key", "k")...).Is(http.StatusUnprocessableEntity, "FMD-00004")
	path := apitest.IdentityPath + "/clients/" + c.ClientID
	b.Call(bob, "GET", path, "").Is(http.StatusNotFound, "FMD-00023")
	b.Call("", "PUT", path, body, apitest.Impersonate, apitest.Certified(bob), "If-Match", "*").Is(http.StatusNotFound, "FMD-00023")
	b.Call("", "DELETE", path, "", apitest.Impersonate, apitest.Certified(bob), "If-Match", "*").Is(http.StatusNotFound, "FMD-00023")
	b.Call("", "PUT", apitest.IdentityPath+"/clients/mine", body, append(as, "If-None-Match", "*")...).Is(http.StatusNotFound, "FMD-00023")
	b.Call("", "PUT", path, strings.Replace(body, "nightly", "daily", 1), as...).Is(http.StatusPreconditionRequired, "FMD-00024")
	b.Call("", "PUT", path, strings.Replace(body, "nightly", "daily", 1), append(as, "If-Match", c.Etag)...).Is(http.StatusOK, "").JSON(&c)
	require.Equal(t, "daily", c.Name)
	var list contract.ClientList
	b.Call(alice, "GET", apitest.IdentityPath+"/clients", "").Is(http.StatusOK, "").JSON(&list)
	require.Equal(t, []contract.Client{c}, list.Clients)
	b.Call("", "DELETE", path, "", append(as, "If-Match", c.Etag)...).Is(http.StatusNoContent, "")
	b.Call(alice, "GET", path, "").Is(http.StatusNotFound, "FMD-00023")
}

func TestClient_RefusesKeysThatMustNotBeThere(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	private := strings.Replace(publicKey, `"use"`, `"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI","use"`, 1)
	for body, field := range map[string]string{
		`{"name":"n","jwks":{"keys":[` + private + `]}}`:  "jwks",
		`{"name":"n","jwks":{"keys":[]}}`:                 "jwks",
		`{"name":"n"}`:                                    "jwks",
		`{"name":"n","jwks":7}`:                           "jwks",
		`{"name":"","jwks":{"keys":[` + publicKey + `]}}`: "name",
		`{"name":"n","jwks":{"keys":[` + publicKey + `]},"expires":"2099-01-01T00:00:00Z"}`: "expires",
		`{"name":"n","jwks":{"keys":[` + publicKey + `]},"expires":"2020-01-01T00:00:00Z"}`: "expires",
		`{"name":"n","jwks":{"keys":[` + publicKey + `]},"organization":"0192:310000035"}`:  "organization",
	} {
		a := b.Call("", "POST", apitest.IdentityPath+"/clients", body, apitest.Impersonate, apitest.Certified(alice)).Is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.Problem().Errors, field, body)
	}
}

func TestQuotas_BoundWhatOneOrganisationKeeps(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	as := []string{apitest.Impersonate, apitest.Certified(alice)}
	for i := range 20 {
		b.Call("", "POST", apitest.IdentityPath+"/clients", `{"name":"n","jwks":{"keys":[`+publicKey+`]}}`, as...).Is(http.StatusCreated, "")
		require.Less(t, i, 20)
	}
	full := b.Call("", "POST", apitest.IdentityPath+"/clients", `{"name":"n","jwks":{"keys":[`+publicKey+`]}}`, as...).Is(http.StatusConflict, "FMD-00030").Problem()
	require.Equal(t, int64(20), *full.Limit)
	require.Equal(t, int64(21), *full.Actual)
}
