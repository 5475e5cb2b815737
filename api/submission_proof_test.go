package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/receipts"
)

// signs makes what a party signs for a submission to some recipients.
func (r *receipted) signs(p models.Party, change func(*models.SubmissionProof), to ...models.Party) string {
	r.t.Helper()
	said := models.SubmissionProof{Recipients: to, Reference: "ref", Sender: alice, Service: svc, SHA256: sha256Hex([]byte("hello"))}
	if change != nil {
		change(&said)
	}
	c, err := r.pki.Organisation(p.Number())
	require.NoError(r.t, err)
	proof, err := identity.SignProof(c, said.Payload())
	require.NoError(r.t, err)
	return proof
}

func (r *receipted) submission(proof string, to ...models.Party) string {
	d := draft()
	d["sendersFileTransferReference"], d["sha256"], d["proof"], d["recipients"] = "ref", sha256Hex([]byte("hello")), proof, to
	return toJSON(r.t, d)
}

func TestSubmissionProof_IsKeptAndVerifiedOffline(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	key := func(p *models.SubmissionProof) { p.IdempotencyKey = "first" }
	var out contract.FileTransferInitialized
	for range 2 { // each try may sign anew
		body := r.submission(r.signs(alice, key, bob), bob)
		r.call(alice, "POST", "/filetransfer", body, "Idempotency-Key", "first").is(http.StatusOK, "").json(&out)
	}
	id := out.FileTransferID.String()
	said := r.last(alice, id)
	require.Equal(t, models.ReceiptAuthorized, said.Event)
	require.NotEmpty(t, said.Claim.Proof)
	require.Contains(t, strings.Join(r.verified(alice, id).Sentences, "\n"), string(alice)+" itself signed", "before the first byte")
	r.upload(id, []byte("hello")).is(http.StatusOK, "")
	accepted := r.verified(alice, id).Receipts[1]
	require.Equal(t, models.ReceiptAccepted, accepted.Event)
	require.Equal(t, said.Claim, accepted.Claim)
	for _, by := range []models.Party{alice, bob} {
		text := strings.Join(r.verified(by, id).Sentences, "\n")
		require.Contains(t, text, `to be sent in service `+svc+` to `+string(bob)+` under its reference "ref"`, by)
	}
	timeline := r.call(alice, "GET", "/filetransfer/"+id+"/timeline", "").is(http.StatusOK, "")
	require.Contains(t, string(timeline.body), "submission-proof")

	raw := r.call(alice, "GET", "/filetransfer/"+id+"/receipts/bundle", "").is(http.StatusOK, "").body
	var b models.ReceiptBundle
	require.NoError(t, json.Unmarshal(raw, &b))
	for name, payload := range map[string]string{
		"none":          "",
		"other":         strings.Replace(b.Proofs[0].Payload, `"ref"`, `"fer"`, 1),
		"not canonical": strings.Replace(b.Proofs[0].Payload, `"ref"`, `"\u0072ef"`, 1),
		"other content": strings.Replace(b.Proofs[0].Payload, sha256Hex([]byte("hello")), sha256Hex([]byte("x")), 1),
	} {
		forged := b
		forged.Proofs = []models.BundledProof{b.Proofs[0]}
		forged.Proofs[0].Payload = payload
		_, err := receipts.Verify([]byte(toJSON(t, forged)), nil)
		require.ErrorContains(t, err, "proof 1 of the bundle", name)
	}
}

// What names the other recipients is for none of them to see.
func TestSubmissionProof_OfAFileForSeveralIsTheSendersAlone(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	var out contract.FileTransferInitialized
	r.call(alice, "POST", "/filetransfer", r.submission(r.signs(alice, nil, bob, carol), bob, bob, carol)).is(http.StatusOK, "").json(&out)
	id := out.FileTransferID.String()
	r.upload(id, []byte("hello"), "Formidling-Proof", r.proof(alice, id, sha256Hex([]byte("hello")))).is(http.StatusOK, "")
	require.Len(t, r.verified(alice, id).Statement.Proofs, 2)
	require.Len(t, r.verified(bob, id).Statement.Proofs, 1)
	raw := r.call(bob, "GET", "/filetransfer/"+id+"/receipts/bundle", "").is(http.StatusOK, "").body
	require.NotContains(t, string(raw), carol.Number())
}

func TestSubmissionProof_IsTheSendersOwnOrRefused(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	for name, proof := range map[string]string{
		"of the recipient":     r.signs(bob, nil, bob),
		"for other recipients": r.signs(alice, nil, carol),
		"in another order":     r.signs(alice, nil, carol, bob),
		"of other content":     r.signs(alice, func(p *models.SubmissionProof) { p.SHA256 = sha256Hex([]byte("x")) }, bob),
		"of another reference": r.signs(alice, func(p *models.SubmissionProof) { p.Reference = "another" }, bob),
		"of another service":   r.signs(alice, func(p *models.SubmissionProof) { p.Service = "another" }, bob),
		"with a key":           r.signs(alice, func(p *models.SubmissionProof) { p.IdempotencyKey = "k" }, bob),
		"of no submission":     r.proof(alice, "00000000-0000-0000-0000-000000000000", sha256Hex([]byte("hello"))),
	} {
		a := r.call(alice, "POST", "/filetransfer", r.submission(proof, bob))
		require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, name)
		require.Equal(t, "FMD-00051", a.problem().Code, name)
	}
	undeclared := draft()
	undeclared["proof"] = "x"
	p := r.call(alice, "POST", "/filetransfer", toJSON(t, undeclared)).is(http.StatusBadRequest, "FMD-00001").problem()
	require.Contains(t, p.Errors, "proof")
	r.server.Proofs = nil
	r.call(alice, "POST", "/filetransfer", r.submission(r.signs(alice, nil, bob), bob)).is(http.StatusForbidden, "FMD-00052")
}

func TestSubmissionProof_ComesInAFormToo(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	send := func(proof string) reply {
		parts := append([]part{{"Metadata.Sha256", sha256Hex([]byte("hello"))}, {"Metadata.Proof", proof}}, formParts()...)
		parts[len(parts)-1].value = "hello"
		return r.form(parts)
	}
	send(r.signs(alice, nil, bob)).is(http.StatusUnprocessableEntity, "FMD-00051")
	var out contract.FileUploaded
	send(r.signs(alice, nil, bob, carol)).is(http.StatusOK, "").json(&out)
	require.Len(t, r.verified(alice, out.FileTransferID.String()).Statement.Proofs, 1)
}

func TestProof_OfTheSenderOpensATusUploadToo(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	sum := sha256Hex([]byte("hello"))
	declared := func() string { return r.initialize(func(d map[string]any) { d["sha256"] = sum }) }
	id := declared()
	r.tusCall(alice, "POST", tusPath+id, nil, "Upload-Length", "5", "Formidling-Proof", r.proof(bob, id, sum)).is(http.StatusUnprocessableEntity, "FMD-00051")
	path := r.openFor(id, 5, "Formidling-Proof", r.proof(alice, id, sum))
	r.patch(path, 0, []byte("hello")).is(http.StatusNoContent, "")
	joined := declared()
	part := r.openFor(joined, 5, "Upload-Concat", "partial", "Formidling-Proof", "passed over")
	r.patch(part, 0, []byte("hello")).is(http.StatusNoContent, "")
	for range 2 {
		r.tusCall(alice, "POST", tusPath+joined, nil, "Upload-Concat", "final;"+part, "Formidling-Proof", r.proof(alice, joined, sum)).is(http.StatusCreated, "")
	}
	for _, one := range []string{id, joined} {
		require.Len(t, r.verified(bob, one).Statement.Proofs, 1)
		require.NotEmpty(t, r.verified(alice, one).Receipts[1].Claim.Proof)
	}
	undeclared := r.initialize()
	r.tusCall(alice, "POST", tusPath+undeclared, nil, "Upload-Length", "5", "Formidling-Proof", r.proof(alice, undeclared, sum)).is(http.StatusUnprocessableEntity, "FMD-00051")
}
