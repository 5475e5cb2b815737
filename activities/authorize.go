package activities

import (
	"context"

	"github.com/formidling/formidling/models"
)

// AuthorizeInput is the request of the sender.
type AuthorizeInput struct {
	Submission models.Submission
	RunID      string // of the workflow; the same one after an operator reset it
}

// AuthorizeResult is the policy under which the transfer was accepted.
type AuthorizeResult struct{ Acceptance models.Acceptance }

// Authorize checks the rights of all parties and inserts the transfer, or refuses it.
// Safe to repeat: the same workflow run is given the acceptance that it was given before, and a refusal is receipted once.
func (a *Activities) Authorize(ctx context.Context, in AuthorizeInput) (AuthorizeResult, error) {
	accepted, err := a.transfers.AcceptTransfer(ctx, in.Submission, in.RunID, a.uploadWindow)
	if refusal, refused := models.AsError(err); refused && IsRefusal(Refusal(err)) && a.receipts != nil {
		if err := a.receipts.RecordRefusal(ctx, in.Submission, in.RunID, refusal); err != nil {
			return AuthorizeResult{}, err
		}
	} else if err == nil {
		a.issue(ctx, in.Submission.ID)
	}
	return AuthorizeResult{accepted}, Refusal(err)
}
