package receipts_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/tus"
	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/receipts"
)

// signs makes what a party signs for a submission to some recipients.
func (r *receipted) signs(p models.Party, change func(*models.SubmissionProof), to ...models.Party) string {
	r.T.Helper()
	said := models.SubmissionProof{Recipients: to, Reference: "ref", Sender: alice, Service: svc, SHA256: apitest.SHA256Hex([]byte("hello"))}
	if change != nil {
		change(&said)
	}
	c, err := r.pki.Organisation(p.Number())
	require.NoError(r.T, err)
	proof, err := identity.SignProof(c, said.Payload())
	require.NoError(r.T, err)
	return proof
}

func (r *receipted) submission(proof string, to ...models.Party) string {
	d := apitest.Draft()
	d["sendersFileTransferReference"], d["sha256"], d["proof"], d["recipients"] = "ref", apitest.SHA256Hex([]byte("hello")), proof, to
	return apitest.ToJSON(r.T, d)
}

func TestSubmissionProof_IsKeptAndVerifiedOffline(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	key := func(p *models.SubmissionProof) { p.IdempotencyKey = "first" }
	var out contract.FileTransferInitialized
	for range 2 { // each try may sign anew
		body := r.submission(r.signs(alice, key, bob), bob)
		r.Call(alice, "POST", "/filetransfer", body, "Idempotency-Key", "first").Is(http.StatusOK, "").JSON(&out)
	}
	id := out.FileTransferID.String()
	said := r.last(alice, id)
	require.Equal(t, models.ReceiptAuthorized, said.Event)
	require.NotEmpty(t, said.Claim.Proof)
	require.Contains(t, strings.Join(r.verified(alice, id).Sentences, "\n"), string(alice)+" itself signed", "before the first byte")
	r.Upload(id, []byte("hello")).Is(http.StatusOK, "")
	accepted := r.verified(alice, id).Receipts[1]
	require.Equal(t, models.ReceiptAccepted, accepted.Event)
	require.Equal(t, said.Claim, accepted.Claim)
	for _, by := range []models.Party{alice, bob} {
		text := strings.Join(r.verified(by, id).Sentences, "\n")
		require.Contains(t, text, `to be sent in service `+svc+` to `+string(bob)+` under its reference "ref"`, by)
	}
	timeline := r.Call(alice, "GET", "/filetransfer/"+id+"/timeline", "").Is(http.StatusOK, "")
	require.Contains(t, string(timeline.Raw), "submission-proof")

	raw := r.Call(alice, "GET", "/filetransfer/"+id+"/receipts/bundle", "").Is(http.StatusOK, "").Raw
	var b models.ReceiptBundle
	require.NoError(t, json.Unmarshal(raw, &b))
	for name, payload := range map[string]string{
		"none":          "",
		"other":         strings.Replace(b.Proofs[0].Payload, `"ref"`, `"fer"`, 1),
		"not canonical": strings.Replace(b.Proofs[0].Payload, `"ref"`, `"\u0072ef"`, 1),
		"other content": strings.Replace(b.Proofs[0].Payload, apitest.SHA256Hex([]byte("hello")), apitest.SHA256Hex([]byte("x")), 1),
	} {
		forged := b
		forged.Proofs = []models.BundledProof{b.Proofs[0]}
		forged.Proofs[0].Payload = payload
		_, err := receipts.Verify([]byte(apitest.ToJSON(t, forged)), nil)
		require.ErrorContains(t, err, "proof 1 of the bundle", name)
	}
}

// What names the other recipients is for none of them to see.
func TestSubmissionProof_OfAFileForSeveralIsTheSendersAlone(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	var out contract.FileTransferInitialized
	r.Call(alice, "POST", "/filetransfer", r.submission(r.signs(alice, nil, bob, carol), bob, bob, carol)).Is(http.StatusOK, "").JSON(&out)
	id := out.FileTransferID.String()
	r.Upload(id, []byte("hello"), "Formidling-Proof", r.proof(alice, id, apitest.SHA256Hex([]byte("hello")))).Is(http.StatusOK, "")
	require.Len(t, r.verified(alice, id).Statement.Proofs, 2)
	require.Len(t, r.verified(bob, id).Statement.Proofs, 1)
	raw := r.Call(bob, "GET", "/filetransfer/"+id+"/receipts/bundle", "").Is(http.StatusOK, "").Raw
	require.NotContains(t, string(raw), carol.Number())
}

func TestSubmissionProof_IsTheSendersOwnOrRefused(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	for name, proof := range map[string]string{
		"of the recipient":     r.signs(bob, nil, bob),
		"for other recipients": r.signs(alice, nil, carol),
		"in another order":     r.signs(alice, nil, carol, bob),
		"of other content":     r.signs(alice, func(p *models.SubmissionProof) { p.SHA256 = apitest.SHA256Hex([]byte("x")) }, bob),
		"of another reference": r.signs(alice, func(p *models.SubmissionProof) { p.Reference = "another" }, bob),
		"of another service":   r.signs(alice, func(p *models.SubmissionProof) { p.Service = "another" }, bob),
		"with a key":           r.signs(alice, func(p *models.SubmissionProof) { p.IdempotencyKey = "k" }, bob),
		"of no submission":     r.proof(alice, "00000000-0000-0000-0000-000000000000", apitest.SHA256Hex([]byte("hello"))),
	} {
		a := r.Call(alice, "POST", "/filetransfer", r.submission(proof, bob))
		require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, name)
		require.Equal(t, "FMD-00051", a.Problem().Code, name)
	}
	undeclared := apitest.Draft()
	undeclared["proof"] = "x"
	p := r.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, undeclared)).Is(http.StatusBadRequest, "FMD-00001").Problem()
	require.Contains(t, p.Errors, "proof")
	r.Restart(func(s *apitest.Config) { s.Proofs = nil })
	r.Call(alice, "POST", "/filetransfer", r.submission(r.signs(alice, nil, bob), bob)).Is(http.StatusForbidden, "FMD-00052")
}

func TestSubmissionProof_ComesInAFormToo(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	send := func(proof string) apitest.Reply {
		parts := append([]apitest.FormPart{{"Metadata.Sha256", apitest.SHA256Hex([]byte("hello"))}, {"Metadata.Proof", proof}}, apitest.FormParts()...)
		parts[len(parts)-1][1] = "hello"
		return r.Form(parts)
	}
	send(r.signs(alice, nil, bob)).Is(http.StatusUnprocessableEntity, "FMD-00051")
	var out contract.FileUploaded
	send(r.signs(alice, nil, bob, carol)).Is(http.StatusOK, "").JSON(&out)
	require.Len(t, r.verified(alice, out.FileTransferID.String()).Statement.Proofs, 1)
}

func TestProof_OfTheSenderOpensATusUploadToo(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	sum := apitest.SHA256Hex([]byte("hello"))
	declared := func() string { return r.Initialize(func(d map[string]any) { d["sha256"] = sum }) }
	id := declared()
	r.TusCall(alice, "POST", tus.Path+id, nil, "Upload-Length", "5", "Formidling-Proof", r.proof(bob, id, sum)).Is(http.StatusUnprocessableEntity, "FMD-00051")
	path := r.OpenFor(id, 5, "Formidling-Proof", r.proof(alice, id, sum))
	r.Patch(path, 0, []byte("hello")).Is(http.StatusNoContent, "")
	joined := declared()
	part := r.OpenFor(joined, 5, "Upload-Concat", "partial", "Formidling-Proof", "passed over")
	r.Patch(part, 0, []byte("hello")).Is(http.StatusNoContent, "")
	for range 2 {
		r.TusCall(alice, "POST", tus.Path+joined, nil, "Upload-Concat", "final;"+part, "Formidling-Proof", r.proof(alice, joined, sum)).Is(http.StatusCreated, "")
	}
	for _, one := range []string{id, joined} {
		require.Len(t, r.verified(bob, one).Statement.Proofs, 1)
		require.NotEmpty(t, r.verified(alice, one).Receipts[1].Claim.Proof)
	}
	undeclared := r.Initialize()
	r.TusCall(alice, "POST", tus.Path+undeclared, nil, "Upload-Length", "5", "Formidling-Proof", r.proof(alice, undeclared, sum)).Is(http.StatusUnprocessableEntity, "FMD-00051")
}
