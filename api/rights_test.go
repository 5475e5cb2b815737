package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func (b *bundle) revoke(p models.Party) {
	b.t.Helper()
	b.call(owner, "DELETE", grants+"/"+p.Number(), "", "If-Match", "*").is(http.StatusNoContent, "")
}

func TestRight_IsAskedForAtEveryStep(t *testing.T) {
	t.Parallel()
	b := setup(t)
	waiting, published := b.initialize(), b.publish(content)
	b.revoke(alice)
	b.call(alice, "POST", "/filetransfer", toJSON(t, draft())).is(http.StatusUnauthorized, "BRO-00006")
	before := b.stored()
	b.upload(waiting, []byte(content)).is(http.StatusUnauthorized, "BRO-00006")
	require.Equal(t, before, b.stored())
	require.Equal(t, contract.FileTransferStatus("Initialized"), b.overview(alice, waiting).FileTransferStatus, "what is its own stays to be seen")

	download, confirm := "/filetransfer/"+published+"/download", "/filetransfer/"+published+"/confirmdownload"
	etag := b.call(bob, "GET", download, "").is(http.StatusOK, "").Header.Get("ETag")
	b.ok(carol, "GET", download, "")
	b.ok(carol, "POST", confirm, "")
	b.revoke(bob)
	b.revoke(carol)
	b.call(bob, "GET", download, "").is(http.StatusUnauthorized, "BRO-00006")
	b.call(bob, "GET", download, "", "Range", "bytes=0-0").is(http.StatusUnauthorized, "BRO-00006")
	b.call(bob, "GET", download, "", "If-None-Match", etag).is(http.StatusUnauthorized, "BRO-00006")
	require.Equal(t, http.StatusUnauthorized, b.call(bob, "HEAD", download, "").StatusCode)
	b.call(bob, "POST", confirm, "").is(http.StatusUnauthorized, "BRO-00006")
	b.call(carol, "POST", confirm, "").is(http.StatusNoContent, "")
	b.ok(owner, "PUT", grants+"/"+bob.Number(), `{"receive":true}`)
	b.call(bob, "POST", confirm, "").is(http.StatusNoContent, "")
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
	b := setup(t)
	id := b.initialize()
	body := &revokingBody{Reader: strings.NewReader(strings.Repeat("x", 64<<10)), left: 32, revoke: func() { b.revoke(alice) }}
	b.do(b.request(alice, "POST", "/filetransfer/"+id+"/upload", body, "Content-Type", "application/octet-stream")).is(http.StatusUnauthorized, "BRO-00006")
	require.Empty(t, b.stored())
	b.ok(owner, "PUT", grants+"/"+alice.Number(), `{"send":true}`)
	b.upload(id, []byte(content)).is(http.StatusOK, "")
}

func TestRight_LostDuringADownloadEndsIt(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) { s.RecheckRight = 20 * time.Millisecond })
	id := b.publish(strings.Repeat("x", 64<<20))
	r := b.request(bob, "GET", "/filetransfer/"+id+"/download", nil)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	_, err = io.CopyN(io.Discard, response.Body, 1<<10)
	require.NoError(t, err)
	b.revoke(bob)
	require.Eventually(t, func() bool { // the server stops although nobody reads
		v, err := b.store.TransferDetails(t.Context(), mustUUID(t, id), alice)
		require.NoError(t, err)
		return v.Recipients[0].FirstAccess != nil && b.ended(id, bob)
	}, 10*time.Second, 20*time.Millisecond)
	n, err := io.Copy(io.Discard, response.Body)
	require.True(t, errors.Is(err, io.ErrUnexpectedEOF) || err != nil, "the client sees that bytes are missing")
	require.Less(t, n, int64(64<<20))
}

// The four organisations of Altinn 2's registry, from end to end.
func TestRight_OfTheFourOrganisations(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ok(owner, "PUT", "/resource/four", `{}`)
	four := map[models.Party]string{
		alice: `{"send":true,"receive":true,"acceptsReplies":true}`, bob: `{"send":true,"receive":true}`,
		carol: `{"receive":true}`, mallory: `{"send":true,"replyOnly":true,"receive":true}`,
	}
	for p, terms := range four {
		b.ok(owner, "PUT", "/resource/four/grants/"+p.Number(), terms)
	}
	allowed := map[models.Party][]models.Party{alice: {bob, carol, mallory}, bob: {alice, carol, mallory}, carol: {}, mallory: {alice}}
	for from, to := range allowed {
		got := []models.Party{}
		for _, r := range []models.Party{alice, bob, carol, mallory} {
			d := draft()
			d["resourceId"], d["sender"], d["recipients"] = "four", from, []any{r}
			a := b.call(from, "POST", "/filetransfer", toJSON(t, d))
			var decision contract.Decision
			b.call(from, "GET", "/resource/four/decision?action=send&from="+from.Number()+"&to="+r.Number(), "").is(http.StatusOK, "").json(&decision)
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
	b := setup(t)
	send := func(status int, code string, headers ...string) reply {
		return b.call(alice, "POST", "/filetransfer", toJSON(t, draft()), headers...).is(status, code)
	}
	b.policy(`{"maxRecipients":1}`)
	require.Equal(t, int64(1), *send(http.StatusBadRequest, "FMD-00001").problem().Limit)
	b.policy(`{"maxRecipients":0,"loginMethods":["certificate","key-token"]}`)
	send(http.StatusForbidden, "FMD-00028")
	send(http.StatusOK, "", impersonate, certified(alice))
	b.policy(`{"loginMethods":[],"suppliers":"none"}`)
	b.call(alice, "PUT", "/identity/api/v1/delegations/"+mallory.Number(), `{"send":true,"receive":true}`, impersonate, certified(alice)).is(http.StatusCreated, "")
	supplier := certified(alice, through(mallory))
	send(http.StatusForbidden, "FMD-00029", impersonate, supplier)
	b.policy(`{"suppliers":"listed","acceptedSuppliers":["310000035"]}`)
	send(http.StatusForbidden, "FMD-00029", impersonate, supplier)
	b.policy(`{"acceptedSuppliers":["310000051"]}`)
	send(http.StatusOK, "", impersonate, supplier)
	var r contract.Resource
	b.call(owner, "GET", "/resource/"+svc, "").is(http.StatusOK, "").json(&r)
	require.Equal(t, []string{string(mallory)}, r.AcceptedSuppliers)
	b.call(owner, "PUT", "/resource/"+svc, `{"closed":false}`).is(http.StatusPreconditionRequired, "FMD-00024")
	b.ok(owner, "PUT", "/resource/"+svc, `{"purgeFileTransferGracePeriod":"PT1H"}`) // Altinn's own field, as its clients send it
	for body, field := range map[string]string{
		`{"maxRecipients":-1}`: "maxRecipients", `{"maxRecipients":20001}`: "maxRecipients", `{"loginMethods":["password"]}`: "loginMethods",
		`{"suppliers":"some"}`: "suppliers", `{"acceptedSuppliers":["x"]}`: "acceptedSuppliers[0]", `{"acceptedSuppliers":["310000028"]}`: "acceptedSuppliers[0]",
		`{"requiredParty":"310000028"}`: "requiredParty", `{"virusScan":"maybe"}`: "virusScan", `{"virusScan":"required"}`: "virusScan",
	} {
		require.Contains(t, b.call(owner, "PUT", "/resource/"+svc, body, "If-Match", "*").is(http.StatusBadRequest, "FMD-00001").problem().Errors, field)
	}
}

func TestPolicy_MayLetRecipientsSeeEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish(content)
	require.Len(t, b.overview(bob, id).Recipients, 1)
	b.policy(`{"recipientsSeeEachOther":true}`)
	require.Len(t, b.overview(bob, id).Recipients, 2)
	b.call(mallory, "GET", "/filetransfer/"+id, "").is(http.StatusNotFound, "BRO-00001")
	b.ok(bob, "GET", "/filetransfer/"+id+"/download", "")
	b.ok(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "")
}

func TestClosedService_FinishesWhatRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	etag := b.call(owner, "GET", "/resource/"+svc, "").is(http.StatusOK, "").Header.Get("ETag")
	b.call(owner, "DELETE", "/resource/"+svc, "").is(http.StatusPreconditionRequired, "FMD-00024")
	b.call(owner, "DELETE", "/resource/unknown", "", "If-Match", "*").is(http.StatusBadRequest, "BRO-00025")
	closed := b.call(owner, "DELETE", "/resource/"+svc, "", "If-Match", etag).is(http.StatusNoContent, "").Header.Get("ETag")
	b.call(owner, "PUT", "/resource/"+svc, `{"closed":false}`, "If-Match", etag).is(http.StatusPreconditionFailed, "FMD-00025")
	b.call(alice, "POST", "/filetransfer", toJSON(t, draft())).is(http.StatusForbidden, "FMD-00027")
	b.call(mallory, "POST", "/filetransfer", strings.ReplaceAll(toJSON(t, draft()), string(alice), string(mallory))).is(http.StatusUnauthorized, "BRO-00006")
	b.upload(id, []byte(content)).is(http.StatusOK, "")
	for _, p := range []models.Party{bob, carol} {
		b.ok(p, "GET", "/filetransfer/"+id+"/download", "")
		b.ok(p, "POST", "/filetransfer/"+id+"/confirmdownload", "")
	}
	b.call(owner, "PUT", "/resource/"+svc, `{"closed":false}`, "If-Match", closed).is(http.StatusNoContent, "")
	b.initialize()
}

func TestSupplier_SeesAndDoesWhatWasDelegatedAndNothingElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish(content)
	delegation := "/identity/api/v1/delegations/" + mallory.Number()
	acting := []string{impersonate, certified(bob, through(mallory))}
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
			require.Equal(t, status, b.call("", s.method, s.path, "", acting...).StatusCode, s)
		}
	}
	all(http.StatusUnauthorized)
	b.call(bob, "PUT", delegation+"?resource=other", `{"receive":true,"send":true}`, impersonate, certified(bob)).is(http.StatusCreated, "")
	all(http.StatusNotFound)
	b.call("", "GET", "/filetransfer?resourceId="+svc, "", acting...).is(http.StatusUnauthorized, "BRO-00006")
	b.call(bob, "PUT", delegation+"?resource="+svc, `{"send":true}`, impersonate, certified(bob)).is(http.StatusCreated, "")
	all(http.StatusNotFound) // what bob received is not what it may send
	b.call("", "GET", "/filetransfer?role=Recipient&resourceId="+svc, "", acting...).is(http.StatusUnauthorized, "BRO-00006")
	b.call(bob, "PUT", delegation+"?resource="+svc, `{"receive":true}`, impersonate, certified(bob), "If-Match", "*").is(http.StatusOK, "")
	b.call("", "GET", "/filetransfer?resourceId="+svc, "", acting...).is(http.StatusOK, "")
	for _, s := range steps {
		require.Less(t, b.call("", s.method, s.path, "", acting...).StatusCode, 300, s)
	}
	sent := func(role string) (ids []string) {
		b.call("", "GET", "/filetransfer?resourceId="+svc+role, "", impersonate, certified(alice, through(mallory))).is(http.StatusOK, "").json(&ids)
		return ids
	}
	b.call(alice, "PUT", delegation, `{"receive":true}`, impersonate, certified(alice)).is(http.StatusCreated, "")
	require.Empty(t, sent(""), "what alice sent is not what mallory may receive for it")
	b.call("", "GET", "/filetransfer/"+id, "", impersonate, certified(alice, through(mallory))).is(http.StatusNotFound, "BRO-00001")
	b.call(alice, "PUT", delegation, `{"send":true}`, impersonate, certified(alice), "If-Match", "*").is(http.StatusOK, "")
	require.Equal(t, []string{id}, sent(""))
	require.Equal(t, []string{id}, sent("&role=Sender"))
	for _, route := range []struct{ method, path string }{
		{"GET", "/identity/api/v1/audit"},
		{"GET", "/identity/api/v1/clients"},
		{"GET", "/identity/api/v1/delegations"},
		{"GET", "/identity/api/v1/credential-lock"},
		{"GET", "/access-requests"},
		{"PUT", "/resource/x"},
		{"GET", grants},
		{"POST", "/serviceowner"},
		{"POST", "/resource/" + svc + "/access-requests"},
		{"PUT", delegation},
		{"PUT", "/identity/api/v1/credential-lock"},
		{"POST", "/identity/api/v1/clients"},
	} {
		b.call("", route.method, route.path, "{}", acting...).is(http.StatusForbidden, "FMD-00032")
	}
}
