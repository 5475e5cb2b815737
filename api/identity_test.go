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

const identityPath = "/identity/api/v1"

func byKey(c *models.Caller) { c.Credential.Method = models.LoginKeyToken }

// byToken is a token that a certificate bought: it may have leaked.
func byToken(c *models.Caller) { c.Credential.Method = models.LoginCertificateToken }

func other(c *models.Caller) { c.Credential.Thumbprint = thumb("another") }

func TestMe_IsWhoTheCredentialSays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var me contract.Me
	b.call(alice, "GET", identityPath+"/me", "", "X-Org", string(bob), "Client-Cert", ":YQ==:", "X-SSL-Client-S-DN", "CN=bob", "X-Forwarded-For", "1.2.3.4").is(http.StatusOK, "").json(&me)
	require.Equal(t, string(alice), me.Organization)
	require.Equal(t, contract.MeCredentialMethod("external-token"), me.Credential.Method)
	b.call("", "PUT", identityPath+"/delegations/"+mallory.Number(), `{"send":true}`, impersonate, certified(alice)).is(http.StatusCreated, "")
	b.call("", "GET", identityPath+"/me", "", impersonate, certified(alice, through(mallory))).is(http.StatusOK, "").json(&me)
	require.Equal(t, string(mallory), *me.Supplier)
	require.Equal(t, thumb(string(alice)), *me.Credential.Thumbprint)
}

func TestLastingCredentials_TakeTheOrganisationsOwnCertificate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, route := range []struct{ method, path string }{
		{"PUT", "/delegations/310000051"},
		{"DELETE", "/delegations/310000051"},
		{"PUT", "/credential-lock"},
		{"DELETE", "/credential-lock"},
		{"POST", "/clients"},
		{"PUT", "/clients/x"},
		{"DELETE", "/clients/x"},
	} {
		b.call(alice, route.method, identityPath+route.path, "{}").is(http.StatusForbidden, "FMD-00031")
		b.call("", route.method, identityPath+route.path, "{}", impersonate, certified(alice, byKey)).is(http.StatusForbidden, "FMD-00031")
		b.call("", route.method, identityPath+route.path, "{}", impersonate, certified(alice, byToken)).is(http.StatusForbidden, "FMD-00031")
		b.call("", route.method, identityPath+route.path, "{}", impersonate, certified(bob, through(mallory))).is(http.StatusForbidden, "FMD-00032")
	}
}

func TestDelegation_IsForOneServiceOrAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	as := []string{impersonate, certified(alice)}
	path := identityPath + "/delegations/" + mallory.Number()
	var d contract.Delegation
	b.call("", "PUT", path, `{"send":true,"validTo":"2099-01-01T00:00:00Z"}`, as...).is(http.StatusCreated, "").json(&d)
	require.Nil(t, d.Resource)
	b.call("", "PUT", path+"?resource="+svc, `{"receive":true}`, as...).is(http.StatusCreated, "").json(&d)
	require.Equal(t, svc, *d.Resource)
	b.call("", "PUT", path, `{"receive":true}`, as...).is(http.StatusPreconditionRequired, "FMD-00024")
	var list contract.DelegationList
	b.call(alice, "GET", identityPath+"/delegations", "").is(http.StatusOK, "").json(&list)
	require.Len(t, list.Delegations, 2)
	b.call(mallory, "GET", identityPath+"/delegations", "").is(http.StatusOK, "").json(&list)
	require.Empty(t, list.Delegations)
	b.call(mallory, "GET", identityPath+"/delegations?as=supplier", "").is(http.StatusOK, "").json(&list)
	require.Len(t, list.Delegations, 2)
	b.call(alice, "GET", path+"?resource="+svc, "").is(http.StatusOK, "").json(&d)
	require.True(t, d.Receive)
	b.call("", "DELETE", path, "", append(as, "If-Match", "*")...).is(http.StatusNoContent, "")
	b.call(alice, "GET", path, "").is(http.StatusNotFound, "FMD-00026")
	for given, field := range map[string]string{`{}`: "send, receive", `{"send":true,"validTo":"x"}`: "validTo", `{"send":true,"principal":"x"}`: "principal"} {
		require.Contains(t, b.call("", "PUT", path, given, as...).is(http.StatusBadRequest, "FMD-00001").problem().Errors, field)
	}
	for _, bad := range []string{"x", "310000052", alice.Number()} {
		a := b.call("", "PUT", identityPath+"/delegations/"+bad, `{"send":true}`, as...).is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.problem().Errors, "supplier", bad)
	}
	b.call(alice, "GET", identityPath+"/delegations?as=x", "").is(http.StatusBadRequest, "FMD-00001")
}

func TestCredentialLock_LetsOnlyItsOwnAct(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := identityPath + "/credential-lock"
	own, stranger := []string{impersonate, certified(alice)}, []string{impersonate, certified(alice, other)}
	b.call("", "GET", path, "", own...).is(http.StatusNotFound, "FMD-00026")
	lock := fmt.Sprintf(`{"certificates":[%q]}`, thumb(string(alice)))
	b.call("", "PUT", path, lock, stranger...).is(http.StatusConflict, "FMD-00034")
	etag := b.call("", "PUT", path, lock, own...).is(http.StatusCreated, "").Header.Get("ETag")
	b.call("", "GET", path, "", stranger...).is(http.StatusUnauthorized, "FMD-00008")
	b.call(alice, "GET", path, "").is(http.StatusUnauthorized, "FMD-00008") // a token of an issuer that the lock does not name
	b.call("", "GET", path, "", own...).is(http.StatusOK, "")
	b.call("", "DELETE", path, "", append(own, "If-Match", etag)...).is(http.StatusNoContent, "")
	b.call("", "GET", path, "", stranger...).is(http.StatusNotFound, "FMD-00026")
	for given, field := range map[string]string{
		`{"certificates":["x"]}`: "certificates[0]", `{"keys":[""]}`: "keys[0]", `{"issuers":[""]}`: "issuers[0]", `{"certificate":[]}`: "certificate",
		`{"issuers":[` + strings.TrimSuffix(strings.Repeat(`"i",`, 51), ",") + `]}`: "issuers",
	} {
		require.Contains(t, b.call("", "PUT", path, given, own...).is(http.StatusBadRequest, "FMD-00001").problem().Errors, field)
	}
}

const publicKey = `{"kty":"EC","crv":"P-256","kid":"k1","use":"sig","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`

func TestClient_IsTheOrganisationsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	as := []string{impersonate, certified(alice)}
	body := `{"name":"nightly","jwks":{"keys":[` + publicKey + `]}}`
	var c contract.Client
	made := b.call("", "POST", identityPath+"/clients", body, append(as, "Idempotency-Key", "k")...).is(http.StatusCreated, "")
	made.json(&c)
	require.WithinDuration(t, time.Now().Add(models.MaxClientLife), c.Expires, time.Minute)
	var again contract.Client
	b.call("", "POST", identityPath+"/clients", body, append(as, "Idempotency-Key", "k")...).is(http.StatusCreated, "").json(&again)
	require.Equal(t, c.ClientID, again.ClientID)
	b.call("", "POST", identityPath+"/clients", strings.Replace(body, "nightly", "daily", 1), append(as, "Idempotency-Key", "k")...).is(http.StatusUnprocessableEntity, "FMD-00004")
	path := identityPath + "/clients/" + c.ClientID
	b.call(bob, "GET", path, "").is(http.StatusNotFound, "FMD-00023")
	b.call("", "PUT", path, body, impersonate, certified(bob), "If-Match", "*").is(http.StatusNotFound, "FMD-00023")
	b.call("", "DELETE", path, "", impersonate, certified(bob), "If-Match", "*").is(http.StatusNotFound, "FMD-00023")
	b.call("", "PUT", identityPath+"/clients/mine", body, append(as, "If-None-Match", "*")...).is(http.StatusNotFound, "FMD-00023")
	b.call("", "PUT", path, strings.Replace(body, "nightly", "daily", 1), as...).is(http.StatusPreconditionRequired, "FMD-00024")
	b.call("", "PUT", path, strings.Replace(body, "nightly", "daily", 1), append(as, "If-Match", c.Etag)...).is(http.StatusOK, "").json(&c)
	require.Equal(t, "daily", c.Name)
	var list contract.ClientList
	b.call(alice, "GET", identityPath+"/clients", "").is(http.StatusOK, "").json(&list)
	require.Equal(t, []contract.Client{c}, list.Clients)
	b.call("", "DELETE", path, "", append(as, "If-Match", c.Etag)...).is(http.StatusNoContent, "")
	b.call(alice, "GET", path, "").is(http.StatusNotFound, "FMD-00023")
}

func TestClient_RefusesKeysThatMustNotBeThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
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
		a := b.call("", "POST", identityPath+"/clients", body, impersonate, certified(alice)).is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.problem().Errors, field, body)
	}
}

func TestQuotas_BoundWhatOneOrganisationKeeps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	as := []string{impersonate, certified(alice)}
	for i := range 20 {
		b.call("", "POST", identityPath+"/clients", `{"name":"n","jwks":{"keys":[`+publicKey+`]}}`, as...).is(http.StatusCreated, "")
		require.Less(t, i, 20)
	}
	full := b.call("", "POST", identityPath+"/clients", `{"name":"n","jwks":{"keys":[`+publicKey+`]}}`, as...).is(http.StatusConflict, "FMD-00030").problem()
	require.Equal(t, int64(20), *full.Limit)
	require.Equal(t, int64(21), *full.Actual)
}
