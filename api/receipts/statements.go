package receipts

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// ReadConfirmation reads the optional body of a confirmation.
func ReadConfirmation(c *gin.Context) (models.Claim, error) {
	var claim models.Claim
	if noBody(c.Request) {
		return claim, nil
	}
	var body contract.DownloadConfirmation
	if err := web.ReadJSON(c, &body, false); err != nil {
		return claim, err
	}
	claim = models.Claim{SHA256: web.Value(body.Sha256), Text: web.Value(body.Text), Status: string(web.Value(body.Status)), Proof: web.Value(body.Proof)}
	return claim, claim.Check(models.ClaimOK, models.ClaimRejected)
}

// noBody tells a request without a body from one whose length or kind is not told. What it reads to know is put back.
func noBody(r *http.Request) bool {
	if r.ContentLength >= 0 {
		return r.ContentLength == 0
	}
	peeked := bufio.NewReader(r.Body)
	_, err := peeked.Peek(1)
	r.Body = struct {
		io.Reader
		io.Closer
	}{peeked, r.Body}
	return errors.Is(err, io.EOF)
}

// AcknowledgeTransfer keeps what a party made of a transfer, also when the file has gone.
func (h *Handler) AcknowledgeTransfer(c *gin.Context, id contract.FileTransferID) {
	if err := h.acknowledge(c, id); err != nil {
		web.Problem(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

func (h *Handler) acknowledge(c *gin.Context, id contract.FileTransferID) error {
	if h.Receipts == nil {
		return models.ErrNoSuchRoute
	}
	var body contract.Acknowledgement
	if err := web.ReadJSON(c, &body, true); err != nil {
		return err
	}
	claim := models.Claim{SHA256: web.Value(body.Sha256), Text: web.Value(body.Text), Status: string(web.Value(body.Status)), Proof: web.Value(body.Proof)}
	if err := claim.Check(models.ClaimOK, models.ClaimUnexpectedError, models.ClaimValidationFailed, models.ClaimRejected); err != nil {
		return err
	}
	if claim == (models.Claim{}) {
		return models.InvalidField("status", "One of status, text, sha256 and proof is required.")
	}
	v, err := h.Sight.Look(c.Request.Context(), id, web.Actor(c))
	if err != nil {
		return err
	}
	if err := v.MayAcknowledge(web.Caller(c)); err != nil {
		return err
	}
	kind := models.StatementAcknowledgement
	if v.SentBy(web.Caller(c)) && claim.Proof != "" {
		kind = models.StatementSenderProof
	}
	return h.state(c.Request.Context(), v, web.Actor(c), kind, claim)
}

// state checks what a party says about the content of a transfer, and keeps it. One who found other content is told so,
// and a receipt will say it.
func (h *Handler) state(ctx context.Context, v models.TransferView, by models.Caller, kind models.StatementKind, claim models.Claim) error {
	content := v.ContentSHA256
	if v.ContentKey == "" && kind == models.StatementSenderProof {
		content = v.DeclaredSHA256
	}
	if (claim.SHA256 != "" || claim.Proof != "") && content == "" {
		return models.ErrNoFileYet
	}
	st := models.Statement{
		TransferID: v.ID, Party: by.Party, Kind: kind, Status: claim.Status, Text: claim.Text, SHA256: claim.SHA256,
		Proof: claim.Proof, Actor: *models.NewReceiptActor(by),
		AsSender: kind != models.StatementConfirmation && v.SentBy(by.Party),
	}
	if claim.SHA256 != "" && claim.SHA256 != content {
		st.Kind, st.Proof = models.StatementMismatch, "" // whatever it signs is not this content
		if err := h.Receipts.AppendStatement(ctx, st); err != nil && !errors.Is(err, models.ErrSaidEnough) {
			return err
		}
		return models.ErrOtherContent // however often it was said: this confirms nothing
	}
	if claim.Proof != "" {
		if h.Proofs == nil {
			return models.ErrNoProofs
		}
		if err := h.Proofs.CheckProof(by.Party, claim.Proof, models.ProofPayload(v.ID, content)); err != nil {
			return err
		}
		st.SHA256 = content
	}
	return h.Receipts.AppendStatement(ctx, st)
}

// CheckSubmission checks what a sender signed with its own certificate for a submission.
func (h *Handler) CheckSubmission(sub models.Submission) error {
	switch {
	case sub.Proof == "":
		return nil
	case h.Receipts == nil || h.Proofs == nil:
		return models.ErrNoProofs
	}
	return h.Proofs.CheckProof(sub.Sender.Party, sub.Proof, sub.SubmissionProof().Payload())
}

// SenderProof checks the sender's own signature for content that it declared, before the first byte of it.
func (h *Handler) SenderProof(ctx context.Context, v models.TransferView, by models.Caller, proof string) error {
	switch {
	case proof == "":
		return nil
	case h.Receipts == nil:
		return models.ErrNoProofs
	case len(proof) > models.MaxProof:
		return models.InvalidField("Formidling-Proof", "The proof is longer than 32768 bytes.")
	case v.DeclaredSHA256 == "":
		return models.ErrProofInvalid.Because("Declare the SHA-256 at initialize.")
	}
	return h.state(ctx, v, by, models.StatementSenderProof, models.Claim{Proof: proof})
}

// RecordStatement keeps who asks for something and what it says, for the receipt of it. Nothing is lost with a broker that
// keeps no receipts.
func (h *Handler) RecordStatement(ctx context.Context, v models.TransferView, by models.Caller, kind models.StatementKind, claim models.Claim) error {
	if h.Receipts == nil {
		return nil
	}
	err := h.state(ctx, v, by, kind, claim)
	if errors.Is(err, models.ErrSaidEnough) { // it was said; this is about what is to be done
		return nil
	}
	return err
}
