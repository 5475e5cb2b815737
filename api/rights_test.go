package api_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func TestRight_IsAskedForAtEveryStep(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	waiting, published := b.Initialize(), b.Publish(content)
	b.Revoke(alice)
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft())).Is(http.StatusUnauthorized, "BRO-00006")
	before := b.Stored()
	b.Upload(waiting, []byte(content)).Is(http.StatusUnauthorized, "BRO-00006")
	require.Equal(t, before, b.Stored())
	require.Equal(t, contract.FileTransferStatus("Initialized"), b.Overview(alice, waiting).FileTransferStatus, "what is its own stays to be seen")

	download, confirm := "/filetransfer/"+published+"/download", "/filetransfer/"+published+"/confirmdownload"
	etag := b.Call(bob, "GET", download, "").Is(http.StatusOK, "").Header.Get("ETag")
	b.OK(carol, "GET", download, "")
	b.OK(carol, "POST", confirm, "")
	b.Revoke(bob)
	b.Revoke(carol)
	b.Call(bob, "GET", download, "").Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(bob, "GET", download, "", "Range", "bytes=0-0").Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(bob, "GET", download, "", "If-None-Match", etag).Is(http.StatusUnauthorized, "BRO-00006")
	require.Equal(t, http.StatusUnauthorized, b.Call(bob, "HEAD", download, "").StatusCode)
	b.Call(bob, "POST", confirm, "").Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(carol, "POST", confirm, "").Is(http.StatusNoContent, "")
	b.OK(owner, "PUT", apitest.Grants+"/"+bob.Number(), `{"receive":true}`)
	b.Call(bob, "POST", confirm, "").Is(http.StatusNoContent, "")
}

// revokingBody takes the sender's right away when half of the bytes were read.
type revokingBody struct {
	io.Reader
	revoke func()
	left   int
}

func (r *revokingBody) Read(p []byte) (int, error) {
	if r.left--; r.left == 0 {
		r.revoke()
	}
	return r.Reader.Read(p[:min(len(p), 1<<10)])
}

func TestRight_LostDuringTheUploadIsMissingAtItsCommit(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	body := &revokingBody{Reader: strings.NewReader(strings.Repeat("x", 64<<10)), left: 32, revoke: func() { b.Revoke(alice) }}
	b.Do(b.Request(alice, "POST", "/filetransfer/"+id+"/upload", body, "Content-Type", "application/octet-stream")).Is(http.StatusUnauthorized, "BRO-00006")
	require.Empty(t, b.Stored())
	b.OK(owner, "PUT", apitest.Grants+"/"+alice.Number(), `{"send":true}`)
	b.Upload(id, []byte(content)).Is(http.StatusOK, "")
}

func TestRight_LostDuringADownloadEndsIt(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) { s.RecheckRight = 20 * time.Millisecond })
	id := b.Publish(strings.Repeat("x", 64<<20))
	r := b.Request(bob, "GET", "/filetransfer/"+id+"/download", nil)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	_, err = io.CopyN(io.Discard, response.Body, 1<<10)
	require.NoError(t, err)
	b.Revoke(bob)
	require.Eventually(t, func() bool { // the server stops although nobody reads
		v, err := b.Store.TransferDetails(t.Context(), apitest.MustUUID(t, id), alice)
		require.NoError(t, err)
		return v.Recipients[0].FirstAccess != nil && b.Ended(id, bob)
	}, 10*time.Second, 20*time.Millisecond)
	n, err := io.Copy(io.Discard, response.Body)
	require.True(t, errors.Is(err, io.ErrUnexpectedEOF) || err != nil, "the client sees that bytes are missing")
	require.Less(t, n, int64(64<<20))
}

// The four organisations of Altinn 2's registry, from end to end.
func TestRight_OfTheFourOrganisations(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.OK(owner, "PUT", "/resource/four", `{}`)
	four := map[models.Party]string{
		alice: `{"send":true,"receive":true,"acceptsReplies":true}`, bob: `{"send":true,"receive":true}`,
		carol: `{"receive":true}`, mallory: `{"send":true,"replyOnly":true,"receive":true}`,
	}
	for p, terms := range four {
		b.OK(owner, "PUT", "/resource/four/grants/"+p.Number(), terms)
	}
	allowed := map[models.Party][]models.Party{alice: {bob, carol, mallory}, bob: {alice, carol, mallory}, carol: {}, mallory: {alice}}
	for from, to := range allowed {
		got := []models.Party{}
		for _, r := range []models.Party{alice, bob, carol, mallory} {
			d := apitest.Draft()
			d["resourceId"], d["sender"], d["recipients"] = "four", from, []any{r}
			a := b.Call(from, "POST", "/filetransfer", apitest.ToJSON(t, d))
			var decision contract.Decision
			b.Call(from, "GET", "/resource/four/decision?action=send&from="+from.Number()+"&to="+r.Number(), "").Is(http.StatusOK, "").JSON(&decision)
			require.Equal(t, a.StatusCode == http.StatusOK, decision.Decision == contract.DecisionDecisionAllow, "%s to %s: what is explained is what happens", from, r)
			if a.StatusCode == http.StatusOK && r != from {
				got = append(got, r)
			}
		}
		require.ElementsMatch(t, to, got, "from %s", from)
	}
}

func TestPolicy_OfTheServiceHolds(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	send := func(status int, code string, headers ...string) apitest.Reply {
		return b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft()), headers...).Is(status, code)
	}
	b.Policy(`{"maxRecipients":1}`)
	require.Equal(t, int64(1), *send(http.StatusBadRequest, "FMD-00001").Problem().Limit)
	b.Policy(`{"maxRecipients":0,"loginMethods":["certificate","key-token"]}`)
	send(http.StatusForbidden, "FMD-00028")
	send(http.StatusOK, "", apitest.Impersonate, apitest.Certified(alice))
	b.Policy(`{"loginMethods":[],"suppliers":"none"}`)
	b.Call(alice, "PUT", "/identity/api/v1/delegations/"+mallory.Number(), `{"send":true,"receive":true}`, apitest.Impersonate, apitest.Certified(alice)).Is(http.StatusCreated, "")
	supplier := apitest.Certified(alice, apitest.Through(mallory))
	send(http.StatusForbidden, "FMD-00029", apitest.Impersonate, supplier)
	b.Policy(`{"suppliers":"listed","acceptedSuppliers":["310000035"]}`)
	send(http.StatusForbidden, "FMD-00029", apitest.Impersonate, supplier)
	b.Policy(`{"acceptedSuppliers":["310000051"]}`)
	send(http.StatusOK, "", apitest.Impersonate, supplier)
	var r contract.Resource
	b.Call(owner, "GET", "/resource/"+svc, "").Is(http.StatusOK, "").JSON(&r)
	require.Equal(t, []string{string(mallory)}, r.AcceptedSuppliers)
	b.Call(owner, "PUT", "/resource/"+svc, `{"closed":false}`).Is(http.StatusPreconditionRequired, "FMD-00024")
	b.OK(owner, "PUT", "/resource/"+svc, `{"purgeFileTransferGracePeriod":"PT1H"}`) // Altinn's own field, as its clients send it
	for body, field := range map[string]string{
		`{"maxRecipients":-1}`: "maxRecipients", `{"maxRecipients":20001}`: "maxRecipients", `{"loginMethods":["password"]}`: "loginMethods",
		`{"suppliers":"some"}`: "suppliers", `{"acceptedSuppliers":["x"]}`: "acceptedSuppliers[0]", `{"acceptedSuppliers":["310000028"]}`: "acceptedSuppliers[0]",
		`{"requiredParty":"310000028"}`: "requiredParty", `{"virusScan":"maybe"}`: "virusScan", `{"virusScan":"required"}`: "virusScan",
	} {
		require.Contains(t, b.Call(owner, "PUT", "/resource/"+svc, body, "If-Match", "*").Is(http.StatusBadRequest, "FMD-00001").Problem().Errors, field)
	}
}

func TestPolicy_MayLetRecipientsSeeEachOther(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Publish(content)
	require.Len(t, b.Overview(bob, id).Recipients, 1)
	b.Policy(`{"recipientsSeeEachOther":true}`)
	require.Len(t, b.Overview(bob, id).Recipients, 2)
	b.Call(mallory, "GET", "/filetransfer/"+id, "").Is(http.StatusNotFound, "BRO-00001")
	b.OK(bob, "GET", "/filetransfer/"+id+"/download", "")
	b.OK(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "")
}

func TestClosedService_FinishesWhatRuns(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	etag := b.Call(owner, "GET", "/resource/"+svc, "").Is(http.StatusOK, "").Header.Get("ETag")
	b.Call(owner, "DELETE", "/resource/"+svc, "").Is(http.StatusPreconditionRequired, "FMD-00024")
	b.Call(owner, "DELETE", "/resource/unknown", "", "If-Match", "*").Is(http.StatusBadRequest, "BRO-00025")
	closed := b.Call(owner, "DELETE", "/resource/"+svc, "", "If-Match", etag).Is(http.StatusNoContent, "").Header.Get("ETag")
	b.Call(owner, "PUT", "/resource/"+svc, `{"closed":false}`, "If-Match", etag).Is(http.StatusPreconditionFailed, "FMD-00025")
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft())).Is(http.StatusForbidden, "FMD-00027")
	b.Call(mallory, "POST", "/filetransfer", strings.ReplaceAll(apitest.ToJSON(t, apitest.Draft()), string(alice), string(mallory))).Is(http.StatusUnauthorized, "BRO-00006")
	b.Upload(id, []byte(content)).Is(http.StatusOK, "")
	for _, p := range []models.Party{bob, carol} {
		b.OK(p, "GET", "/filetransfer/"+id+"/download", "")
		b.OK(p, "POST", "/filetransfer/"+id+"/confirmdownload", "")
	}
	b.Call(owner, "PUT", "/resource/"+svc, `{"closed":false}`, "If-Match", closed).Is(http.StatusNoContent, "")
	b.Initialize()
}

func TestSupplier_SeesAndDoesWhatWasDelegatedAndNothingElse(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Publish(content)
	delegation := "/identity/api/v1/delegations/" + mallory.Number()
	acting := []string{apitest.Impersonate, apitest.Certified(bob, apitest.Through(mallory))}
	steps := []struct{ method, path string }{
		{"GET", "/filetransfer/" + id},
		{"GET", "/filetransfer/" + id + "/details"},
		{"GET", "/filetransfer/" + id + "/download"},
		{"HEAD", "/filetransfer/" + id + "/download"},
		{"POST", "/filetransfer/" + id + "/confirmdownload"},
	}
	all := func(status int) {
		t.Helper()
		for _, s := range steps {
			require.Equal(t, status, b.Call("", s.method, s.path, "", acting...).StatusCode, s)
		}
	}
	all(http.StatusUnauthorized)
	b.Call(bob, "PUT", delegation+"?resource=other", `{"receive":true,"send":true}`, apitest.Impersonate, apitest.Certified(bob)).Is(http.StatusCreated, "")
	all(http.StatusNotFound)
	b.Call("", "GET", "/filetransfer?resourceId="+svc, "", acting...).Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(bob, "PUT", delegation+"?resource="+svc, `{"send":true}`, apitest.Impersonate, apitest.Certified(bob)).Is(http.StatusCreated, "")
	all(http.StatusNotFound) // what bob received is not what it may send
	b.Call("", "GET", "/filetransfer?role=Recipient&resourceId="+svc, "", acting...).Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(bob, "PUT", delegation+"?resource="+svc, `{"receive":true}`, apitest.Impersonate, apitest.Certified(bob), "If-Match", "*").Is(http.StatusOK, "")
	b.Call("", "GET", "/filetransfer?resourceId="+svc, "", acting...).Is(http.StatusOK, "")
	for _, s := range steps {
		require.Less(t, b.Call("", s.method, s.path, "", acting...).StatusCode, 300, s)
	}
	sent := func(role string) (ids []string) {
		b.Call("", "GET", "/filetransfer?resourceId="+svc+role, "", apitest.Impersonate, apitest.Certified(alice, apitest.Through(mallory))).Is(http.StatusOK, "").JSON(&ids)
		return ids
	}
	b.Call(alice, "PUT", delegation, `{"receive":true}`, apitest.Impersonate, apitest.Certified(alice)).Is(http.StatusCreated, "")
	require.Empty(t, sent(""), "what alice sent is not what mallory may receive for it")
	b.Call("", "GET", "/filetransfer/"+id, "", apitest.Impersonate, apitest.Certified(alice, apitest.Through(mallory))).Is(http.StatusNotFound, "BRO-00001")
	b.Call(alice, "PUT", delegation, `{"send":true}`, apitest.Impersonate, apitest.Certified(alice), "If-Match", "*").Is(http.StatusOK, "")
	require.Equal(t, []string{id}, sent(""))
	require.Equal(t, []string{id}, sent("&role=Sender"))
	for _, route := range []struct{ method, path string }{
		{"GET", "/identity/api/v1/audit"},
		{"GET", "/identity/api/v1/clients"},
		{"GET", "/identity/api/v1/delegations"},
		{"GET", "/identity/api/v1/credential-lock"},
		{"GET", "/access-requests"},
		{"PUT", "/resource/x"},
		{"GET", apitest.Grants},
		{"POST", "/serviceowner"},
		{"POST", "/resource/" + svc + "/access-requests"},
		{"PUT", delegation},
		{"PUT", "/identity/api/v1/credential-lock"},
		{"POST", "/identity/api/v1/clients"},
	} {
		b.Call("", route.method, route.path, "{}", acting...).Is(http.StatusForbidden, "FMD-00032")
	}
}

// The sender itself may take back what is its own; who acts for it may do so while the sender may send.
func TestCancel_ThroughASupplierAsksForTheSendersRight(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	first, second := b.Initialize(), b.Initialize()
	acting := []string{apitest.Impersonate, apitest.Certified(alice, apitest.Through(mallory))}
	b.Call(alice, "PUT", "/identity/api/v1/delegations/"+mallory.Number(), `{"send":true}`, apitest.Impersonate, apitest.Certified(alice)).Is(http.StatusCreated, "")
	b.Call("", "POST", "/filetransfer/"+first+"/cancel", "", acting...).Is(http.StatusNoContent, "")
	b.Revoke(alice)
	b.Call("", "POST", "/filetransfer/"+second+"/cancel", "", acting...).Is(http.StatusUnauthorized, "BRO-00006")
	require.Equal(t, contract.FileTransferStatus("Initialized"), b.Overview(alice, second).FileTransferStatus)
	b.Call(alice, "POST", "/filetransfer/"+second+"/cancel", "").Is(http.StatusNoContent, "")
}
