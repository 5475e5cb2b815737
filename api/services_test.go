package api_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func TestServiceOwner_RegistersItself(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Call(owner, "POST", "/serviceowner", `{"name":"again"}`).Is(http.StatusConflict, "BRO-07002")
	b.Call(bob, "POST", "/serviceowner", `{}`).Is(http.StatusBadRequest, "FMD-00001")
	b.Call(bob, "GET", "/serviceowner", "").Is(http.StatusNotFound, "BRO-07004")
	var out contract.ServiceOwner
	b.Call(owner, "GET", "/serviceowner", "").Is(http.StatusOK, "").JSON(&out)
	require.Equal(t, "The tax office", out.Name)
	require.Equal(t, contract.StorageProviderDeploymentStatusReady, out.StorageProviders[0].DeploymentStatus)
}

func TestResource_KeepsItsOwnerAndItsOtherFields(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Call(bob, "PUT", "/resource/mine", `{}`).Is(http.StatusBadRequest, "BRO-00024")
	b.OK(bob, "POST", "/serviceowner", `{"name":"Bob"}`)
	b.Call(bob, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1}`).Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(bob, "GET", "/resource/"+svc, "").Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(bob, "GET", "/resource/"+svc+"/grants", "").Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(bob, "PUT", "/resource/"+svc+"/grants/"+mallory.Number(), `{"send":true,"receive":true}`).Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(bob, "DELETE", "/resource/"+svc+"/grants/"+alice.Number(), "").Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(owner, "GET", "/resource/unknown", "").Is(http.StatusBadRequest, "BRO-00025")

	b.Call(owner, "PUT", "/resource/"+svc, `{"fileTransferTimeToLive":"P40DT12H","externalServiceCodeLegacy":"1234","externalServiceEditionCodeLegacy":5}`).Is(http.StatusNoContent, "")
	b.Call(owner, "PUT", "/resource/"+svc, `{"useManifestFileShim":true,"purgeFileTransferGracePeriod":"PT0S"}`).Is(http.StatusNoContent, "")
	var r contract.Resource
	b.Call(owner, "GET", "/resource/"+svc, "").Is(http.StatusOK, "").JSON(&r)
	require.Equal(t, "40.12:00:00", r.FileTransferTimeToLive)
	require.Equal(t, "00:00:00", r.PurgeFileTransferGracePeriod)
	require.True(t, r.UseManifestFileShim)
	require.Equal(t, models.MaxFileSizeLimit, r.MaxFileTransferSize)
}

func TestResource_RefusesBadPolicies(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for body, code := range map[string]string{
		`{"maxFileTransferSize":-1}`: "BRO-00011", `{"maxFileTransferSize":0}`: "BRO-00012", `{"maxFileTransferSize":1677721600001}`: "BRO-00022",
		`{"fileTransferTimeToLive":"30"}`: "BRO-00014", `{"fileTransferTimeToLive":"-P1D"}`: "BRO-00014", `{"fileTransferTimeToLive":"PT0S"}`: "BRO-00014",
		`{"fileTransferTimeToLive":"P366D"}`: "BRO-00015", `{"purgeFileTransferGracePeriod":"2h"}`: "BRO-00017", `{"purgeFileTransferGracePeriod":"-PT1H"}`: "BRO-00017",
		`{"purgeFileTransferGracePeriod":"PT24H1S"}`: "BRO-00018", `{"useManifestFileShim":true}`: "BRO-00023",
		`{"requiredParty":"someone"}`: "FMD-00001", `{"externalServiceCodeLegacy":"12345678"}`: "FMD-00001", `{"maxFileTransferSize":"1"}`: "FMD-00001",
	} {
		b.Call(owner, "PUT", "/resource/"+svc, body).Is(http.StatusBadRequest, code)
	}
	b.Call(owner, "PUT", "/resource/a:b", `{}`).Is(http.StatusBadRequest, "FMD-00001")
}

// silentStorage does not answer.
type silentStorage struct{ api.Contents }

func (silentStorage) Ready(context.Context) error { return errors.New("disk: a secret path") }

// PostgreSQL takes no such text, not even in a question: what SQLite lets pass was a 500 there.
func TestText_ThatNoDatabaseHoldsIsRefused(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for _, bad := range []string{"%00", "%ff"} {
		for _, c := range []struct{ method, path, body, field string }{
			{"GET", "/resource/" + bad, "", "resourceId"},
			{"PUT", "/resource/" + bad, "{}", "resourceId"},
			{"GET", "/resource/" + bad + "/grants", "", "resourceId"},
			{"PUT", "/resource/" + bad + "/grants/" + bob.Number(), `{"send":true}`, "resourceId"},
			{"DELETE", "/resource/" + bad + "/grants/" + bob.Number(), "", "resourceId"},
			{"GET", "/filetransfer?resourceId=" + bad, "", "resourceId"},
			{"GET", "/filetransfer?resourceId=" + svc + "&sendersFileTransferReference=" + bad, "", "sendersFileTransferReference"},
			{"PUT", "/resource/" + svc, `{"externalServiceCodeLegacy":"\u0000"}`, "externalServiceCodeLegacy"},
		} {
			a := b.Call(owner, c.method, c.path, c.body).Is(http.StatusBadRequest, "FMD-00001")
			require.Contains(t, a.Problem().Errors, c.field, c.path)
		}
	}
}

func TestHealth_NamesWhatFails(t *testing.T) {
	t.Parallel()
	get := func(b *apitest.Bundle, path string) apitest.Reply {
		r := b.Request(alice, "GET", "", nil)
		r.URL.Path = path
		r.Header.Del("Authorization")
		return b.Do(r)
	}
	b := apitest.Setup(t)
	get(b, "/livez").Is(http.StatusOK, "")
	get(b, "/readyz").Is(http.StatusOK, "")
	require.Equal(t, "Environment properly configured", string(get(b, "/health").Raw))

	broken := apitest.Setup(t, func(s *apitest.Config) { s.Contents = silentStorage{s.Contents} })
	broken.Workflows.SetDown(models.ErrUnavailable)
	get(broken, "/livez").Is(http.StatusOK, "")
	a := get(broken, "/readyz").Is(http.StatusServiceUnavailable, "")
	var report contract.HealthReport
	a.JSON(&report)
	failing := map[string]contract.HealthStatus{}
	for _, c := range report.Checks {
		failing[c.Name] = c.Status
	}
	require.Equal(t, map[string]contract.HealthStatus{"database": "ok", "temporal": "failing", "storage": "failing"}, failing)
	require.NotContains(t, string(a.Raw), "secret")
	require.Equal(t, http.StatusBadRequest, get(broken, "/health").StatusCode)
}

func TestUnknownPaths_AreProblems(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Call(alice, "GET", "/nothing", "").Is(http.StatusNotFound, "FMD-00010")
	b.Call(alice, "DELETE", "/filetransfer", "").Is(http.StatusMethodNotAllowed, "FMD-00010")
}
