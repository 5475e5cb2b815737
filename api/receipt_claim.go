package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// readConfirmation reads the optional body of a confirmation.
func readConfirmation(c *gin.Context) (models.Claim, error) {
	var claim models.Claim
	if noBody(c.Request) {
		return claim, nil
	}
	var body contract.DownloadConfirmation
	if err := readJSON(c, &body, false); err != nil {
		return claim, err
	}
	claim = models.Claim{SHA256: value(body.Sha256), Text: value(body.Text), Status: string(value(body.Status)), Proof: value(body.Proof)}
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
func (s *Server) AcknowledgeTransfer(c *gin.Context, id contract.FileTransferID) {
	if err := s.acknowledge(c, id); err != nil {
		s.problem(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

func (s *Server) acknowledge(c *gin.Context, id contract.FileTransferID) error {
	if s.Receipts == nil {
		return errNoRoute
	}
	var body contract.Acknowledgement
	if err := readJSON(c, &body, true); err != nil {
		return err
	}
	claim := models.Claim{SHA256: value(body.Sha256), Text: value(body.Text), Status: string(value(body.Status)), Proof: value(body.Proof)}
	if err := claim.Check(models.ClaimOK, models.ClaimUnexpectedError, models.ClaimValidationFailed, models.ClaimRejected); err != nil {
		return err
	}
	if claim == (models.Claim{}) {
		return models.InvalidField("status", "One of status, text, sha256 and proof is required.")
	}
	v, err := s.look(c.Request.Context(), id, actor(c))
	if err != nil {
		return err
	}
	if err := v.MayAcknowledge(caller(c)); err != nil {
		return err
	}
	kind := models.StatementAcknowledgement
	if v.SentBy(caller(c)) && claim.Proof != "" {
		kind = models.StatementSenderProof
	}
	return s.state(c.Request.Context(), v, actor(c), kind, claim)
}

// state checks what a party says about the content of a transfer, and keeps it. One who found other content is told so,
// and a receipt will say it.
func (s *Server) state(ctx context.Context, v models.TransferView, by models.Caller, kind models.StatementKind, claim models.Claim) error {
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
		if err := s.Receipts.State(ctx, st); err != nil && !errors.Is(err, models.ErrSaidEnough) {
			return err
		}
		return models.ErrOtherContent // however often it was said: this confirms nothing
	}
	if claim.Proof != "" {
		if s.Proofs == nil {
			return models.ErrNoProofs
		}
		if err := s.Proofs.CheckProof(by.Party, claim.Proof, models.ProofPayload(v.ID, content)); err != nil {
			return err
		}
		st.SHA256 = content
	}
	return s.Receipts.State(ctx, st)
}

// checkSubmissionProof checks what a sender signed with its own certificate for a submission.
func (s *Server) checkSubmissionProof(sub models.Submission) error {
	switch {
	case sub.Proof == "":
		return nil
	case s.Receipts == nil || s.Proofs == nil:
		return models.ErrNoProofs
	}
	return s.Proofs.CheckProof(sub.Sender.Party, sub.Proof, sub.SubmissionProof().Payload())
}

// senderProof checks the sender's own signature for content that it declared, before the first byte of it.
func (s *Server) senderProof(ctx context.Context, v models.TransferView, by models.Caller, proof string) error {
	switch {
	case proof == "":
		return nil
	case s.Receipts == nil:
		return models.ErrNoProofs
	case len(proof) > models.MaxProof:
		return models.InvalidField("Formidling-Proof", "The proof is longer than 32768 bytes.")
	case v.DeclaredSHA256 == "":
		return models.ErrProofInvalid.Because("Declare the SHA-256 at initialize.")
	}
	return s.state(ctx, v, by, models.StatementSenderProof, models.Claim{Proof: proof})
}

// beside keeps who asks for something and what it says, for the receipt of it. Nothing is lost with a broker that
// keeps no receipts.
func (s *Server) beside(ctx context.Context, v models.TransferView, by models.Caller, kind models.StatementKind, claim models.Claim) error {
	if s.Receipts == nil {
		return nil
	}
	err := s.state(ctx, v, by, kind, claim)
	if errors.Is(err, models.ErrSaidEnough) { // it was said; this is about what is to be done
		return nil
	}
	return err
}
