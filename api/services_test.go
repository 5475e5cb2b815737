package api

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func TestServiceOwner_RegistersItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call(owner, "POST", "/serviceowner", `{"name":"again"}`).is(http.StatusConflict, "BRO-07002")
	b.call(bob, "POST", "/serviceowner", `{}`).is(http.StatusBadRequest, "FMD-00001")
	b.call(bob, "GET", "/serviceowner", "").is(http.StatusNotFound, "BRO-07004")
	var out contract.ServiceOwner
	b.call(owner, "GET", "/serviceowner", "").is(http.StatusOK, "").json(&out)
	require.Equal(t, "The tax office", out.Name)
	require.Equal(t, contract.StorageProviderDeploymentStatusReady, out.StorageProviders[0].DeploymentStatus)
}

func TestResource_KeepsItsOwnerAndItsOtherFields(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call(bob, "PUT", "/resource/mine", `{}`).is(http.StatusBadRequest, "BRO-00024")
	b.ok(bob, "POST", "/serviceowner", `{"name":"Bob"}`)
	b.call(bob, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1}`).is(http.StatusUnauthorized, "BRO-00006")
	b.call(bob, "GET", "/resource/"+svc, "").is(http.StatusUnauthorized, "BRO-00006")
	b.call(bob, "GET", "/resource/"+svc+"/grants", "").is(http.StatusUnauthorized, "BRO-00006")
	b.call(bob, "PUT", "/resource/"+svc+"/grants/"+mallory.Number(), `{"send":true,"receive":true}`).is(http.StatusUnauthorized, "BRO-00006")
	b.call(bob, "DELETE", "/resource/"+svc+"/grants/"+alice.Number(), "").is(http.StatusUnauthorized, "BRO-00006")
	b.call(owner, "GET", "/resource/unknown", "").is(http.StatusBadRequest, "BRO-00025")

	b.call(owner, "PUT", "/resource/"+svc, `{"fileTransferTimeToLive":"P40DT12H","externalServiceCodeLegacy":"1234","externalServiceEditionCodeLegacy":5}`).is(http.StatusNoContent, "")
	b.call(owner, "PUT", "/resource/"+svc, `{"useManifestFileShim":true,"purgeFileTransferGracePeriod":"PT0S"}`).is(http.StatusNoContent, "")
	var r contract.Resource
	b.call(owner, "GET", "/resource/"+svc, "").is(http.StatusOK, "").json(&r)
	require.Equal(t, "40.12:00:00", r.FileTransferTimeToLive)
	require.Equal(t, "00:00:00", r.PurgeFileTransferGracePeriod)
	require.True(t, r.UseManifestFileShim)
	require.Equal(t, models.MaxFileSizeLimit, r.MaxFileTransferSize)
}

func TestResource_RefusesBadPolicies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for body, code := range map[string]string{
		`{"maxFileTransferSize":-1}`: "BRO-00011", `{"maxFileTransferSize":0}`: "BRO-00012", `{"maxFileTransferSize":1677721600001}`: "BRO-00022",
		`{"fileTransferTimeToLive":"30"}`: "BRO-00014", `{"fileTransferTimeToLive":"-P1D"}`: "BRO-00014", `{"fileTransferTimeToLive":"PT0S"}`: "BRO-00014",
		`{"fileTransferTimeToLive":"P366D"}`: "BRO-00015", `{"purgeFileTransferGracePeriod":"2h"}`: "BRO-00017", `{"purgeFileTransferGracePeriod":"-PT1H"}`: "BRO-00017",
		`{"purgeFileTransferGracePeriod":"PT24H1S"}`: "BRO-00018", `{"useManifestFileShim":true}`: "BRO-00023",
		`{"requiredParty":"someone"}`: "FMD-00001", `{"externalServiceCodeLegacy":"12345678"}`: "FMD-00001", `{"maxFileTransferSize":"1"}`: "FMD-00001",
	} {
		b.call(owner, "PUT", "/resource/"+svc, body).is(http.StatusBadRequest, code)
	}
	b.call(owner, "PUT", "/resource/a:b", `{}`).is(http.StatusBadRequest, "FMD-00001")
}

// silentStorage does not answer.
type silentStorage struct{ Contents }

func (silentStorage) Ready(context.Context) error { return errors.New("disk: a secret path") }

// PostgreSQL takes no such text, not even in a question: what SQLite lets pass was a 500 there.
func TestText_ThatNoDatabaseHoldsIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
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
			a := b.call(owner, c.method, c.path, c.body).is(http.StatusBadRequest, "FMD-00001")
			require.Contains(t, a.problem().Errors, c.field, c.path)
		}
	}
}

func TestHealth_NamesWhatFails(t *testing.T) {
	t.Parallel()
	get := func(b *bundle, path string) reply {
		r := b.request(alice, "GET", "", nil)
		r.URL.Path = path
		r.Header.Del("Authorization")
		return b.do(r)
	}
	b := setup(t)
	get(b, "/livez").is(http.StatusOK, "")
	get(b, "/readyz").is(http.StatusOK, "")
	require.Equal(t, "Environment properly configured", string(get(b, "/health").body))

	broken := setup(t, func(s *Server) { s.Contents = silentStorage{s.Contents} })
	broken.door.set(models.ErrUnavailable)
	get(broken, "/livez").is(http.StatusOK, "")
	a := get(broken, "/readyz").is(http.StatusServiceUnavailable, "")
	var report contract.HealthReport
	a.json(&report)
	failing := map[string]contract.HealthStatus{}
	for _, c := range report.Checks {
		failing[c.Name] = c.Status
	}
	require.Equal(t, map[string]contract.HealthStatus{"database": "ok", "temporal": "failing", "storage": "failing"}, failing)
	require.NotContains(t, string(a.body), "secret")
	require.Equal(t, http.StatusBadRequest, get(broken, "/health").StatusCode)
}

func TestUnknownPaths_AreProblems(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call(alice, "GET", "/nothing", "").is(http.StatusNotFound, "FMD-00010")
	b.call(alice, "DELETE", "/filetransfer", "").is(http.StatusMethodNotAllowed, "FMD-00010")
}
